"""The command line as a person meets it: help, one clear line for every mistake, exit codes."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from engine import cli
from engine.cli import app
from model.errors import CheckpointError, ConfigurationError, ShardError, StopError
from pipelines.collect import CollectedRun
from tests.engine.run_factory import make_run
from tests.factories import make_photo_bytes
from tests.fakes import DiscSegmenter

COMMANDS = [
    ["auto"],
    ["status"],
    ["report"],
    ["export"],
    ["import"],
    ["embed"],
    ["serve"],
    ["simulate"],
    ["run"],
    ["rollback"],
    ["audit"],
    ["calibrate"],
    ["dataset", "build"],
    ["dataset", "diff"],
    ["dataset", "remove"],
    ["checkpoints"],
    ["checkpoints", "list"],
    ["checkpoints", "info"],
    ["checkpoints", "describe"],
    ["checkpoints", "average"],
    ["checkpoints", "fetch"],
]


def invoke(*arguments: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def assert_refused(outcome, message: str, code: int = 2):
    """One line on stderr, nothing on stdout, no traceback."""
    assert outcome.exit_code == code, outcome.output
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1, outcome.stderr
    assert lines[0].startswith("mask-engine: ")
    assert message in lines[0]
    assert outcome.stdout == ""


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(make_photo_bytes())
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_examples(command):
    outcome = invoke(*command, "--help")
    assert outcome.exit_code == 0
    if command != ["checkpoints"]:
        assert "Example" in outcome.stdout
        assert f"mask-engine {' '.join(command)}" in outcome.stdout


def test_help_loads_nothing_heavy_and_nothing_of_an_extra():
    code = (
        "import sys; from engine.cli import app; app(['--help'], standalone_mode=False);"
        "heavy = {'torch', 'apache_beam', 'pyarrow', 'PIL', 'httpx'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_told():
    outcome = invoke("--version")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("mask-engine ")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ConfigurationError("no such\n source"), 2, "no such source"),
        (CheckpointError("broken"), 2, "broken"),
        (StopError("disk is full"), 1, "disk is full"),
        (ShardError("shard 3"), 1, "shard 3"),
        (ZeroDivisionError("x"), 1, "unexpected ZeroDivisionError: x"),
        (MemoryError(), 1, "out of memory"),
        (KeyboardInterrupt(), 130, "stopped; run the same command again to go on"),
    ],
)
def test_every_error_is_one_line_and_an_exit_code(monkeypatch, error, code, text):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr("pipelines.status.run_status", fail)
    assert_refused(invoke("status", "run"), text, code)


def test_debug_shows_where_an_error_came_from(monkeypatch):
    def fail(_run):
        raise ZeroDivisionError("x")

    monkeypatch.setattr("pipelines.status.run_status", fail)
    outcome = invoke("--debug", "status", "run")
    assert "Traceback" in outcome.stderr
    assert outcome.exit_code == 1


def test_a_missing_argument_is_a_usage_error():
    outcome = invoke("status")
    assert outcome.exit_code == 2
    assert "WHERE" in outcome.stderr


# --- auto ------------------------------------------------------------------------------------


def test_settings_are_taken_from_file_pairs_and_flags_in_that_order(tmp_path):
    from engine.commands.auto import build_run

    config = tmp_path / "run.yaml"
    config.write_text(
        "source: a\nout: b\npreset: sa1b\nworkers: 4\nparameters: {nms_iou: 0.5, crop_layers: 1}\n"
    )
    run = build_run(
        str(config), ["nms_iou=0.6", "limits.max_pixels=1000"], {"out": "c", "preset": None}
    )
    assert (run.source, run.out, run.preset, run.workers) == ("a", "c", "sa1b", 4)
    assert run.parameters == {"nms_iou": 0.6, "crop_layers": 1}
    assert run.limits.max_pixels == 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["auto"], "SOURCE, the photos, is missing"),
        (["auto", "SRC"], "--out, the run's folder, is missing"),
        (["auto", "SRC", "--out", "OUT", "--preset", "fst"], "no preset is called 'fst'"),
        (["auto", "SRC", "--out", "OUT", "--set", "nms_io=0.5"], "did you mean 'nms_iou'?"),
        (["auto", "SRC", "--out", "OUT", "--set", "nms_iou"], "expected key=value"),
        (["auto", "SRC", "--out", "OUT", "--set", "nms_iou=7"], "nms_iou"),
        (["auto", "SRC", "--out", "OUT", "--set", "worker=7"], "did you mean 'workers'?"),
        (["auto", "SRC", "--out", "OUT", "--workers", "0"], "workers"),
        (["auto", "SRC", "--out", "OUT", "--workers", "few"], "a number of processes, or auto"),
        (["auto", "SRC", "b.jpg", "--out", "OUT"], "put a glob in quotes"),
        (["auto", "--config", "absent.yaml"], "absent.yaml"),
        (["auto", "SRC", "--out", "OUT", "--checkpoint", "sam_vit_x"], "sam_vit_x"),
        (["auto", "SRC", "--out", "OUT", "--checkpoint", "SRC/a.jpg"], "a.jpg"),
    ],
)
def test_what_auto_cannot_do_is_refused_before_any_work(tmp_path, photos, arguments, message):
    places = {"SRC": str(photos), "OUT": str(tmp_path / "run"), "SRC/a.jpg": f"{photos}/a.jpg"}
    assert_refused(invoke(*(places.get(a, a) for a in arguments)), message)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def with_discs(monkeypatch):
    """Puts the fake model in the checkpoint's place, as `auto` would load it."""
    from pipelines import automatic
    from tests.fakes import disc_segmenter

    real = automatic.run_automatic
    monkeypatch.setattr(
        automatic,
        "run_automatic",
        lambda run, progress: real(run, segmenter=disc_segmenter, progress=progress),
    )


FEW_POINTS = ("--set", "points_per_side=4", "--set", "min_predicted_iou=0.7")


@pytest.mark.usefixtures("with_discs")
def test_auto_makes_a_run_and_says_what_it_made(tmp_path, photos):
    out = tmp_path / "run"
    (photos / "empty.jpg").touch()
    outcome = invoke("auto", photos, "--out", out, *FEW_POINTS)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr == ""
    for text in ("masks a photo", "empty", "predicted IoU of at least 0.7: set by the user"):
        assert text in outcome.stdout
    assert outcome.stdout.strip().endswith(f"mask-engine report {out}")
    again = invoke("auto", photos, "--out", out, *FEW_POINTS)
    assert again.exit_code == 0


@pytest.mark.usefixtures("with_discs")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["auto", "absent", "--out", "OUT"], "no such folder"),
        (["auto", "EMPTY", "--out", "OUT"], "no photos in it"),
        (["auto", "SRC", "--out", "SRC"], "holds other things"),
        (["auto", "SRC", "--out", "SRC/a.jpg"], "is a file"),
    ],
)
def test_places_that_will_not_do_are_refused(tmp_path, photos, arguments, message):
    (tmp_path / "empty").mkdir()
    places = {
        "SRC": photos,
        "OUT": tmp_path / "run",
        "EMPTY": tmp_path / "empty",
        "SRC/a.jpg": photos / "a.jpg",
    }
    assert_refused(invoke(*(places.get(a, a) for a in arguments)), message)


@pytest.mark.usefixtures("with_discs")
def test_a_changed_setting_is_refused_by_name(tmp_path, photos):
    out = tmp_path / "run"
    assert invoke("auto", photos, "--out", out, *FEW_POINTS).exit_code == 0
    outcome = invoke("auto", photos, "--out", out, *FEW_POINTS, "--set", "nms_iou=0.5")
    assert_refused(outcome, "parameters.nms_iou was 0.7, now 0.5")


@pytest.mark.usefixtures("with_discs")
def test_too_many_failures_exit_with_one(tmp_path, photos):
    (photos / "a.jpg").write_bytes(b"")
    assert_refused(
        invoke("auto", photos, "--out", tmp_path / "run", *FEW_POINTS), "1 of 1 photos failed", 1
    )


def test_ctrl_c_in_the_middle_of_a_photo_is_one_line(tmp_path, photos, monkeypatch):
    from pipelines import automatic

    class Interrupted(DiscSegmenter):
        def embed(self, image_HWC):
            raise KeyboardInterrupt

    real = automatic.run_automatic
    monkeypatch.setattr(
        automatic,
        "run_automatic",
        lambda run, progress: real(run, segmenter=Interrupted, progress=progress),
    )
    outcome = invoke("auto", photos, "--out", tmp_path / "run", *FEW_POINTS)
    assert_refused(outcome, "stopped; run the same command again to go on", 130)


# --- status, report, export, import, checkpoints -----------------------------------------------


def test_status_tells_how_far_a_run_is(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows, shards_written=1)
    outcome = invoke("status", run)
    assert outcome.exit_code == 0
    assert "not finished" in outcome.stdout
    assert "2 of 5 (40%)" in outcome.stdout
    told = json.loads(invoke("status", run, "--json").stdout)
    assert (told["rows_done"], told["rows_planned"], told["finished"]) == (2, 5, False)


def test_status_of_a_run_that_nothing_was_collected_into_promises_no_time(tmp_path):
    run = tmp_path / "run"
    CollectedRun.open(str(run), source="photos", source_name="photos", configuration={})
    outcome = invoke("status", run)
    assert "photos done  none yet: photos that people work on count once they" in outcome.stdout
    assert "time left" not in outcome.stdout
    told = json.loads(invoke("status", run, "--json").stdout)
    assert (told["rows_planned"], told["finished"], told["seconds_left"]) == (0, False, None)


def test_report_writes_beside_the_shards(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    outcome = invoke("report", run, "--png", tmp_path / "sheet.png")
    assert outcome.exit_code == 0, outcome.stderr
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "5 photos, 6 masks, 1 failed" in outcome.stdout


def test_report_of_a_bucket_needs_a_place_for_the_page():
    assert_refused(invoke("report", "s3://bucket/run"), "say with --out where the page goes")


@pytest.mark.parametrize("export_format", ["sa1b", "coco", "png"])
def test_export_says_what_it_wrote_and_what_is_lost(tmp_path, photo_rows, export_format):
    run = make_run(tmp_path / "run", photo_rows, shards_written=2)
    outcome = invoke("export", run, "--format", export_format, "--out", tmp_path / "out")
    assert outcome.exit_code == 0, outcome.stderr
    assert "4 photos, 6 masks" in outcome.stdout
    assert "not finished" in outcome.stdout
    assert "Not held by this format:" in outcome.stdout


def test_an_unknown_format_is_a_usage_error(tmp_path):
    outcome = invoke("export", tmp_path, "--format", "gif", "--out", tmp_path / "out")
    assert outcome.exit_code == 2
    assert "gif" in outcome.stderr


@pytest.mark.parametrize("command", [["status"], ["report"], ["export", "-f", "coco", "-o", "x"]])
def test_what_is_no_run_is_refused(tmp_path, command):
    outcome = invoke(command[0], tmp_path, *command[1:])
    assert_refused(outcome, "")


def test_import_tells_what_it_made(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    invoke("export", run, "-f", "coco", "-o", tmp_path / "out", "--with-photos")
    outcome = invoke("import", tmp_path / "out", "-f", "coco", "-o", tmp_path / "back")
    assert outcome.exit_code == 0, outcome.stderr
    assert "mask-engine report" in outcome.stdout
    assert invoke("status", tmp_path / "back").exit_code == 0


def test_checkpoints_are_listed():
    outcome = invoke("checkpoints", "list")
    assert outcome.exit_code == 0
    assert {line.split()[0] for line in outcome.stdout.splitlines()} >= {"starter", "sam_vit_b"}


def test_fetching_an_unknown_checkpoint_is_refused():
    assert_refused(invoke("checkpoints", "fetch", "sam_vit_x"), "sam_vit_x")


def test_a_full_disk_is_told(monkeypatch, tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("engine.exports.work.write_marker", full)
    outcome = invoke("export", run, "-f", "coco", "-o", tmp_path / "out")
    assert_refused(outcome, "the disk is full", 1)
    assert not (tmp_path / "out").exists()


def test_the_border_leaves_exits_alone():
    assert isinstance(app, typer.Typer)
    assert cli.DONE == 0
