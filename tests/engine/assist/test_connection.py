"""Which project is a run's own: never that of another run, whatever their names and numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.errors import ConfigurationError
from tests.engine.assist.runs import AssistedRun


def beside(run: AssistedRun, out: str, tmp_path: Path) -> AssistedRun:
    """Another run with the same title, photos and server."""
    other = AssistedRun(tmp_path, out=out)
    other.server = run.server
    return other


def described(run: AssistedRun) -> list[str]:
    return [project["description"] for project in run.server.projects.values()]


def test_a_run_whose_folders_name_begins_another_ones_has_a_project_of_its_own(tmp_path):
    longer = AssistedRun(tmp_path, out=str(tmp_path / "runs" / "ab"))
    longer.send()
    shorter = beside(longer, str(tmp_path / "runs" / "a"), tmp_path)
    assert shorter.send().added == 4
    assert len(set(described(longer))) == 2


def test_the_same_folder_on_two_machines_means_two_projects(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    (run.out / "label-studio.json").unlink()  # another machine knows nothing of the first one's
    assert run.send().added == 4
    assert len(set(described(run))) == 2


def test_a_number_that_stands_for_somebody_elses_project_is_refused(tmp_path):
    run = AssistedRun(tmp_path)
    number = run.send().project
    theirs = {"id": number, "title": "Theirs", "description": "of the cats"}
    run.server.projects[number] = dict(theirs)
    for use in (run.send, run.collect):
        with pytest.raises(ConfigurationError, match=r"is 'Theirs', whose .*must not be"):
            use()
    assert run.server.projects[number] == theirs


def test_words_of_ones_own_in_the_description_are_fine(tmp_path):
    run = AssistedRun(tmp_path)
    number = run.send().project
    run.server.projects[number]["description"] += "\nfor Ann"
    assert run.send().there == 4
    run.collect()


def test_a_project_that_is_gone_is_told_with_what_to_do(tmp_path):
    run = AssistedRun(tmp_path)
    run.send()
    run.server.projects.clear()
    run.server.all_tasks.clear()
    with pytest.raises(ConfigurationError, match=r"is gone.*Remove .*label-studio\.json and send"):
        run.collect()
    (run.out / "label-studio.json").unlink()
    assert run.send().added == 4


def test_a_run_from_before_marks_were_kept_goes_on(tmp_path):
    run = AssistedRun(tmp_path)
    sent = run.send()
    project = run.server.projects[sent.project]
    file = run.out / "label-studio.json"
    known = json.loads(file.read_text())
    del known["mark"]
    file.write_text(json.dumps(known))
    project["description"] = "Made by mask-engine for some/where/run"
    run.collect()
    assert (run.send().there, len(run.server.projects)) == (4, 1)
    assert project["description"] == json.loads(file.read_text())["mark"]
