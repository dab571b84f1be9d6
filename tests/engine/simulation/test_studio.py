"""A simulated annotator at the fake server: what is wrong with one task stops no other."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from engine.assist.settings import BackendSettings
from engine.simulation.annotator import AnnotatorParameters
from engine.simulation.studio import Worked, annotate_tasks
from model.errors import ConfigurationError
from tests.engine.assist.runs import AssistedRun
from tests.engine.backend.served import served_backend
from tests.engine.simulation.discs import make_discs


def simulate(run: AssistedRun, truth: Path) -> Worked:
    parameters = AnnotatorParameters(accept_iou=0.6, most_clicks=3)
    return annotate_tasks(run.settings, truth, parameters, run.connection())


def test_a_task_that_cannot_be_done_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    truth = make_discs(tmp_path, count=4)
    with served_backend(tmp_path) as address:
        backend = BackendSettings(url=address, credentials=str(tmp_path / "backend.json"))
        run = AssistedRun(tmp_path, photos=0, backend=backend)
        with pytest.raises(ConfigurationError, match="nothing was sent yet"):
            simulate(run, truth)
        run.send()
        (tmp_path / "photos" / "0.png").unlink()
        deleted = run.server.task_of("1.png")

        def delete(request: httpx.Request) -> None:
            if request.url.path == f"/api/tasks/{deleted}":
                run.server.all_tasks.pop(deleted, None)

        run.server.before = delete
        worked = simulate(run, truth)
    assert (worked.tasks, worked.failed) == (2, 2)
    gone, other = worked.problems
    assert gone.startswith(f"task {run.server.task_of('0.png')}: the click backend gave none")
    assert other == f"task {deleted}: was deleted meanwhile"
    done = [task for task in run.server.all_tasks.values() if task["annotations"]]
    assert [task["data"]["path"] for task in done] == ["2.png", "3.png"]
