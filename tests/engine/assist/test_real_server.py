"""The assisted-manual stage at a real Label Studio: what the fake server's tests rest on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from engine.assist.collecting import Collected, collect
from engine.assist.connection import Connection, connected
from engine.assist.progress import server_progress
from engine.assist.sending import Sent, send
from engine.assist.settings import AssistRun, BackendSettings, ServerSettings
from engine.cli import app
from engine.label_studio.check import walk
from engine.label_studio.errors import ServerRefusedError, ServerUnavailableError
from engine.label_studio.tokens import TOKEN_VARIABLE
from engine.simulation.annotator import AnnotatorParameters
from engine.simulation.answers import DirectAnswers
from engine.simulation.run import SimulatedRun, run_simulation
from engine.simulation.studio import annotate_tasks
from model.errors import ConfigurationError
from pipelines.shards import read_rows
from stages import rle
from stages.records import ImageRow
from tests.engine.assist.runs import make_region
from tests.engine.backend.served import served_backend
from tests.engine.real_studio import RealStudio
from tests.engine.simulation.discs import make_discs
from tests.fakes import disc_segmenter
from tests.object_store import endpoint, store  # noqa: F401 - fixtures
from tests.pipelines.runs import shard_digests

# The first test waits for the server's first start, which makes its database.
pytestmark = [pytest.mark.label_studio, pytest.mark.timeout(900)]

SIZE_HW = (24, 32)


@pytest.fixture
def discs(tmp_path: Path, real_studio: RealStudio) -> Iterator[AssistRun]:
    """Three photos of discs, and a backend that answers clicks on them."""
    make_discs(tmp_path, count=3)
    name = f"photos-{tmp_path.name}"  # one server for all tests: each has photos of its own
    with served_backend(tmp_path, source_name=name) as address:
        yield AssistRun(
            source=str(tmp_path / "photos"),
            source_name=name,
            out=str(tmp_path / "run"),
            project="Discs",
            backend=BackendSettings(
                url=address,
                credentials=str(tmp_path / "backend.json"),
                click_log=str(tmp_path / "clicks"),
            ),
        )


def do_send(settings: AssistRun) -> Sent:
    with connected(settings.server) as connection:
        return send(settings, connection)


def do_collect(settings: AssistRun) -> Collected:
    with connected(settings.server) as connection:
        return collect(settings, connection)


def rows_of(settings: AssistRun) -> dict[str, ImageRow]:
    return {row.ref.path: row for row in read_rows(settings.out)}


def simulate(settings: AssistRun) -> int:
    truth = Path(settings.source).parent / "truth.json"
    with connected(settings.server) as connection:
        return annotate_tasks(settings, truth, AnnotatorParameters(), connection).tasks


def test_the_loop_from_sending_to_shards_is_that_of_the_direct_simulation(discs, tmp_path):
    assert do_send(discs).added == 3
    again = do_send(discs)
    assert (again.added, again.there, again.removed) == (0, 3, 0)
    assert [(link.name, link.says) for link in walk(discs) if not link.ok] == []
    assert simulate(discs) == 3
    assert simulate(discs) == 0  # nothing is left to do
    found = do_collect(discs)
    assert (found.finished, found.fresh, found.changed) == (3, 3, 0)
    direct = SimulatedRun(
        source=discs.source, source_name=discs.source_name, out=str(tmp_path / "direct")
    )
    run_simulation(direct, tmp_path / "truth.json", DirectAnswers(disc_segmenter()))
    for want in read_rows(direct.out):
        row = rows_of(discs)[want.ref.path]
        by_pixels = {mask.segmentation: mask for mask in row.masks}
        assert by_pixels.keys() == {mask.segmentation for mask in want.masks}
        for mask in want.masks:
            got = by_pixels[mask.segmentation]
            assert (got.origin, got.model_id) == ("simulated", mask.model_id)
            assert got.prompt == mask.prompt
            assert (got.clicks, got.seconds_from) == (mask.clicks, "clicks")
            assert got.seconds is not None
            assert got.seconds > 0
    before = shard_digests(Path(discs.out))
    assert do_collect(discs).fresh == 0
    assert shard_digests(Path(discs.out)) == before


def test_a_change_a_skip_and_a_deleted_task_become_what_they_are(discs, real_studio):
    sent = do_send(discs)
    simulate(discs)
    do_collect(discs)
    first = rows_of(discs)
    with real_studio.client() as studio:
        tasks = {task["data"]["path"]: task["id"] for task in studio.tasks(sent.project)}
        annotation = studio.task(tasks["0.png"])["annotations"][0]
        regions = annotation["result"]
        changed = make_region(
            ~rle.decode(first["0.png"].masks[0].segmentation), id=regions[0]["id"]
        )
        studio.patch(f"/api/annotations/{annotation['id']}/", {"result": [changed, *regions[1:]]})
        other = studio.task(tasks["1.png"])["annotations"][0]
        studio.patch(f"/api/annotations/{other['id']}/", {"was_cancelled": True})
        studio.delete(f"/api/tasks/{tasks['2.png']}/")
    found = do_collect(discs)
    assert (found.fresh, found.changed, found.gone) == (0, 2, ["2.png"])
    rows = rows_of(discs)
    assert rows["0.png"].revision == 1
    assert first["0.png"].masks[0].mask_id in {m.derived_from for m in rows["0.png"].masks}
    assert rows["1.png"].error is not None
    assert rows["1.png"].error.type == "skipped"
    assert rows["2.png"].masks == first["2.png"].masks


def test_two_hundred_tasks_survive_a_server_that_is_stopped_in_the_middle(tmp_path, real_studio):
    photos = tmp_path / "many"
    photos.mkdir()
    for number in range(200):
        Image.new("RGB", SIZE_HW[::-1], (number, 0, 0)).save(photos / f"{number:03}.png")
    settings = AssistRun(source=str(photos), out=str(tmp_path / "run"), project="Two hundred")

    def stop_after_half(done: int, total: int) -> None:
        if done >= total // 2:
            real_studio.stop()

    with (
        connected(settings.server) as connection,
        pytest.raises(ServerUnavailableError, match="the same command again"),
    ):
        send(settings, Connection(impatient(connection), connection.home), told=stop_after_half)
    with pytest.raises(ConfigurationError, match="is not running: start it"):
        do_send(settings)
    real_studio.start()
    sent = do_send(settings)
    assert (sent.there, sent.added, sent.removed) == (100, 100, 0)

    random = np.random.default_rng(5)
    truth = {}
    with real_studio.client() as studio:
        for task in studio.tasks(sent.project):
            masks = [random.random(SIZE_HW) < share for share in (0.5, 0.02)]
            regions = [make_region(mask) for mask in masks]
            content = {"result": regions, "lead_time": 8.0}
            studio.post(f"/api/tasks/{task['id']}/annotations/", content)
            truth[task["data"]["path"]] = {rle.encode(mask) for mask in masks}

    looked_at = 0

    def stop_late(done: int, total: int) -> None:
        nonlocal looked_at
        looked_at += 1
        if looked_at == 150:
            real_studio.stop()

    with (
        connected(settings.server) as connection,
        pytest.raises(ServerUnavailableError, match="the same command again"),
    ):
        collect(settings, Connection(impatient(connection), connection.home), told=stop_late)
    real_studio.start()
    found = do_collect(settings)
    assert (found.finished, found.changed) == (200, 0)
    assert found.fresh < 200  # what came before the stop was kept
    rows = rows_of(settings)
    assert {path: {mask.segmentation for mask in row.masks} for path, row in rows.items()} == truth
    assert {mask.seconds for row in rows.values() for mask in row.masks} == {4.0}
    with connected(settings.server) as connection:
        now = server_progress(settings, connection)
    assert (now.sent, now.there, now.finished, now.collected) == (200, 200, 200, 200)


def impatient(connection: Connection):
    """A client that does not wait between tries: the tests know when the server is away."""
    connection.studio._pause = lambda seconds: None
    return connection.studio


def test_both_kinds_of_token_open_and_wrong_ones_are_named(
    tmp_path, real_studio, monkeypatch, discs
):
    elsewhere = discs.model_copy(
        update={
            "server": ServerSettings(
                url=real_studio.url,
                document_root=str(real_studio.home.photos),
                photos_root=discs.source,
            )
        }
    )
    monkeypatch.setenv(TOKEN_VARIABLE, "0" * 40)
    with pytest.raises(ServerRefusedError, match=rf"token was not accepted.*{TOKEN_VARIABLE}"):
        do_send(elsewhere)
    monkeypatch.setenv(TOKEN_VARIABLE, "eyJhbGciOiJIUzI1NiJ9.e30.wrong")
    with pytest.raises(ServerRefusedError, match="personal access token was not accepted"):
        do_send(elsewhere)
    monkeypatch.delenv(TOKEN_VARIABLE)
    with pytest.raises(ConfigurationError, match="no token for it"):
        do_send(elsewhere)
    with real_studio.client() as studio:
        personal = studio.post("/api/token/", {})["token"]
    with real_studio.client(personal) as studio:
        assert studio.user()["email"] == real_studio.credentials.email


def test_the_commands_do_the_same(discs, tmp_path, real_studio, monkeypatch):
    config = tmp_path / "assist.yaml"
    config.write_text(json.dumps(discs.model_dump(mode="json")))  # JSON is YAML

    def run(*arguments: str) -> str:
        outcome = CliRunner().invoke(app, list(arguments))
        assert outcome.exit_code == 0, outcome.output
        return outcome.output

    sent = run("assist", "send", str(config))
    (project,) = re.findall(r"/projects/(\d+)/data", sent)
    assert "every link holds" in run("label-studio", "check", str(config))
    truth = str(tmp_path / "truth.json")
    done = run("simulate", str(config), "--truth", truth, "--label-studio")
    assert re.search(r"accepted +3\n", done)
    assert re.search(r"photos collected +3\n", run("assist", "collect", str(config)))
    assert json.loads(run("assist", "status", str(config), "--json"))["finished"] == 3
    assert run("label-studio", "status").startswith("up")
    with real_studio.client() as studio:
        (hook,) = studio.get("/api/webhooks/", {"project": project})
    assert (hook["send_payload"], list(hook["headers"])) == (False, ["Authorization"])
    assert discs.bell.mark() > 0, "the server did not say that somebody submitted"
    monkeypatch.setenv(TOKEN_VARIABLE, real_studio.credentials.token)
    assert "token: accepted" in run("label-studio", "check", "--url", real_studio.url)


# botocore and aiohttp leave closing to the interpreter's end; that is theirs, not ours.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_photos_on_s3_are_shown_by_signed_addresses(
    tmp_path,
    real_studio,
    endpoint,  # noqa: F811
    store,  # noqa: F811
):
    make_discs(tmp_path, count=1)
    store.put(str(tmp_path / "photos" / "0.png"), "bucket/discs/0.png")
    settings = AssistRun(
        source="s3://bucket/discs",
        out=str(tmp_path / "run"),
        project="On S3",
        server=ServerSettings(photos="s3", s3_endpoint=endpoint, s3_region="us-east-1"),
    )
    sent = do_send(settings)
    assert [link.says for link in walk(settings)][-1] == "128 x 96 px"
    with real_studio.client() as studio:
        (task,) = studio.tasks(sent.project)
        region = make_region(np.ones((96, 128), bool))
        studio.post(f"/api/tasks/{task['id']}/annotations/", {"result": [region]})
    assert do_collect(settings).fresh == 1
    (mask,) = rows_of(settings)["0.png"].masks
    assert mask.area == 96 * 128
