"""A checkpoint's card filled by the documented command, shown, and refused where it must be."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.checkpoint_cards.lines import card_fields, card_lines
from engine.checkpoint_cards.written import read_written
from engine.cli import app
from engine.training.claim import CONFIGURATION_NAME
from engine.training.journal import LOG_NAME
from model.card_entries import DataSet, Result, TrainingRun
from model.checkpoint_card import PRECISION_METRIC, CheckpointCard, Thresholds
from model.checkpoints import read_card, update_card
from tests.engine.commands.checkpoint_files import random_checkpoint

TEXT = """
data: [{name: boxes, licence: CC0, attribution: nobody, used: 3 pictures}]
recipe: [{configuration: first.yaml, steps: 10, pictures: 40, side_px: 64}]
limits: [Finds boxes only.]
thresholds: {predicted_iou: 0.5, stability: 0.7}
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint") / "a.safetensors")


def run_folder(folder: Path) -> Path:
    folder.mkdir()
    configuration = {
        "data": {"images_per_step": 4, "side_px": 64},
        "session": {"loop": {"accumulate": 2}},
    }
    (folder / CONFIGURATION_NAME).write_text(json.dumps(configuration))
    lines = [{"step": 25, "seconds_per_step": 60}, {"step": 50, "seconds_per_step": 12}]
    (folder / LOG_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def training_run(
    configuration: str, *, steps: int, pictures: int, hours: float | None = None
) -> TrainingRun:
    return TrainingRun(
        configuration=configuration, steps=steps, pictures=pictures, side_px=64, hours=hours
    )


def evaluation(path: Path, model_id: str) -> Path:
    document = {
        "model_id": model_id,
        "n_masks": 7,
        "miou": {"1": 0.4, "5": 0.6},
        "noc": {},
        "iou_correlation": 0.7,
        "baselines": {"grabcut": {"miou": {"1": 0.3}}},
    }
    path.write_text(json.dumps(document))
    return path


def test_one_command_fills_the_card_from_text_runs_and_evaluations(
    tmp_path: Path, checkpoint: Path
) -> None:
    before = update_card(
        checkpoint, thresholds=Thresholds(0.9, 0.9), metrics={PRECISION_METRIC: 0.8, "other": 1.0}
    )
    (tmp_path / "card.yaml").write_text(TEXT)
    run = f"second.yaml={run_folder(tmp_path / 'run')}"
    measured = f"toy boxes={evaluation(tmp_path / 'e.json', before.model_id)}"
    options = ["--text", str(tmp_path / "card.yaml"), "--run", run, "--evaluation", measured]

    shown = CliRunner().invoke(app, ["checkpoints", "describe", str(checkpoint), *options])

    card = read_card(checkpoint)
    assert card.model_id == before.model_id
    assert (card.data, card.data_sets) == (
        ("boxes",),
        (DataSet(name="boxes", licence="CC0", attribution="nobody", used="3 pictures"),),
    )
    assert card.recipe == (
        training_run("first.yaml", steps=10, pictures=40),
        training_run("second.yaml", steps=50, pictures=400, hours=0.5),
    )
    figures = {"miou_1": 0.4, "miou_5": 0.6, "iou_correlation": 0.7}
    assert card.results == (Result("toy boxes", 7, figures, {"grabcut": 0.3}),)
    assert (card.limits, card.thresholds) == (("Finds boxes only.",), Thresholds(0.5, 0.7))
    assert card.metrics == {"other": 1.0}  # the precision was that of other thresholds
    assert shown.stdout.splitlines() == card_lines(card)


def test_a_filled_card_is_shown_to_people_and_to_programs() -> None:
    card = CheckpointCard(
        "tiny",
        "0" * 16,
        data_sets=(DataSet(name="boxes", licence="CC0", attribution="nobody"),),
        recipe=(
            training_run("a.yaml", steps=5, pictures=20, hours=1.5),
            training_run("b.yaml", steps=1, pictures=4),
        ),
        results=(
            Result("boxes", 7, {"miou_1": 0.41}, {"grabcut": 0.3}),
            Result("discs", 9, {"miou_1": 0.52}, {}),
        ),
        limits=("Finds boxes only.",),
    )
    text = "\n".join(card_lines(card))
    for words in ("boxes: CC0", "not kept", "24 pictures, 1.5 hours", "grabcut, 1 click", "0.520"):
        assert words in text
    assert "metrics" not in text
    fields = json.loads(json.dumps(card_fields(card)))
    assert fields["results"][0]["baselines"] == {"grabcut": 0.3}
    assert fields["recipe"][1]["hours"] is None


def test_the_starters_text_is_complete() -> None:
    written = read_written(str(Path(__file__).parents[3] / "docs" / "starter-card.yaml"))
    assert written.data
    assert written.recipe
    assert written.limits
    assert written.thresholds
    assert all(entry.licence and entry.attribution for entry in written.data)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "nothing to say: give --text, --run or --evaluation"),
        (["--run", "runs/mine"], "expected a name and a path, as configs/train-mine.yaml=runs"),
        (["--run", "a=nowhere"], "expected a training run's configuration"),
        (["--evaluation", "a=nowhere.json"], "expected what `mask-engine evaluate --json` writes"),
        (["--evaluation", "a=other.json"], "is about model ffff, and the checkpoint is"),
        (["--text", "odd.yaml"], "odd.yaml: unknown key 'limit'; did you mean 'limits'?"),
        (["--text", "inner.yaml"], "inner.yaml: unknown key 'recipe.0.epochs'"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_card_stays(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint: Path,
    options: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluation(Path("other.json"), "ffff")
    Path("odd.yaml").write_text("limit: [none]\n")
    Path("inner.yaml").write_text(TEXT.replace("side_px: 64", "side_px: 64, epochs: 3"))
    before = checkpoint.read_bytes()
    shown = CliRunner().invoke(app, ["checkpoints", "describe", str(checkpoint), *options])
    assert shown.exit_code == 2
    assert says in shown.stderr
    assert checkpoint.read_bytes() == before
