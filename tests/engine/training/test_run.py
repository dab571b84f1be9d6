"""Whole training runs, small: from a configuration to a checkpoint, killed, resumed and refused."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine.configuration import build, parse_assignments, read_yaml
from engine.training.journal import read_log
from engine.training.parameters import TrainingConfiguration
from engine.training.run import CHECKPOINT_NAME, train_run
from model.checkpoints import load_checkpoint
from model.errors import ConfigurationError, StopError
from model.network.architectures import build_sam
from model.training.examples import TrainingBatch
from model.training.loop import StepFigures
from model.training.session import TrainingSession
from tests.engine.training.photo_factory import write_coco

CONFIGS = Path(__file__).parents[3] / "configs"
TRAINING = sorted([*CONFIGS.glob("train-*.yaml"), *CONFIGS.glob("finetune-*.yaml")])


SMALL = {
    "data": {
        "side_px": 64,
        "images_per_step": 2,
        "masks_per_image": 1,
        "drawing_processes": 0,
        "sources": [{"kind": "procedural"}],
    },
    "session": {
        "start": "tiny",
        "loop": {
            "steps": 3,
            "plain_steps": 3,
            "rounds": {"round_shares": [1.0]},
            "optimiser": {"warmup_steps": 2},
        },
    },
    "log": {"figures_every_steps": 1, "overlays_every_steps": 0},
    # Sums of floats depend on how many threads share them.
    "threads": 1,
    "data_names": ["procedural"],
}


@pytest.fixture(autouse=True)
def same_threads_afterwards() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


SAVE_OFTEN = "log.save_every_seconds=0.001"


def make_configuration(*pairs: str) -> TrainingConfiguration:
    """A run of seconds; `key=value` pairs change it as --set does."""
    return build(TrainingConfiguration, [SMALL, parse_assignments(pairs)], origin="test")


def sources(*listed: dict[str, object]) -> str:
    return f"data.sources={json.dumps(listed)}"


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_every_shipped_configuration_loads(path: Path) -> None:
    assert build(TrainingConfiguration, [read_yaml(str(path))], origin=str(path)).data.sources


def test_a_run_leaves_checkpoint_log_curves_and_pictures(tmp_path: Path) -> None:
    result = train_run(make_configuration("log.overlays_every_steps=2"), tmp_path)

    loaded = load_checkpoint(str(result.checkpoint))
    assert (result.steps, loaded.model_id) == (3, result.model_id)
    assert loaded.card.data == ("procedural",)
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3]
    assert (tmp_path / "curves.png").stat().st_size > 0
    assert [p.name for p in (tmp_path / "overlays").iterdir()] == ["step-0000002.png"]


@pytest.mark.slow
def test_a_run_killed_in_the_middle_ends_with_the_same_bytes(tmp_path: Path) -> None:
    train_run(make_configuration(), tmp_path / "unbroken")

    killed = tmp_path / "killed"
    with _started(killed) as process:
        _wait_for(lambda: (killed / "state.pt").exists(), process)
        process.send_signal(signal.SIGKILL)
    train_run(make_configuration(), killed)

    expected, got = (folder / CHECKPOINT_NAME for folder in (tmp_path / "unbroken", killed))
    assert (expected.read_bytes() == got.read_bytes()) is True, "the weights differ"


@pytest.mark.slow
def test_two_processes_train_as_one_and_both_end_well(tmp_path: Path) -> None:
    # Where annotators have nothing to choose: one process that accumulates sees the same pictures
    # in as many batches. Statistics of batch norms are frozen: each process has its own.
    alike = ["session.loop.rounds.box_share=0", "session.frozen_statistics=true"]
    configuration = tmp_path / "run.json"  # JSON is YAML
    configuration.write_text(make_configuration(*alike).model_dump_json())
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc-per-node", "2", "-m", "engine.cli", "train"]
    done = subprocess.run(
        [*command, str(configuration), "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(str(tmp_path / "run" / CHECKPOINT_NAME)).card.data == ("procedural",)
    alone = ["data.images_per_step=1", "session.loop.accumulate=2"]
    train_run(make_configuration(*alike, *alone), tmp_path / "alone")
    torch.manual_seed(0)
    begun = build_sam("tiny").state_dict()
    ours, theirs = (_weights(tmp_path / name / CHECKPOINT_NAME) for name in ("run", "alone"))
    moved = sum(float((theirs[name] - begun[name]).square().sum()) for name in begun)
    apart = sum(float((theirs[name] - ours[name]).square().sum()) for name in begun)
    assert moved > 0
    assert apart < 1e-4 * moved  # sums in another order are other sums


def _weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(str(checkpoint)).sam.state_dict()


def test_another_configuration_is_refused_but_for_length_and_rate_which_the_log_tells(
    tmp_path: Path,
) -> None:
    train_run(make_configuration(), tmp_path)
    with pytest.raises(ConfigurationError, match=r"another configuration \(data\.seed differ\)"):
        train_run(make_configuration("data.seed=7"), tmp_path)

    careful = ["session.loop.steps=4", "session.loop.optimiser.learning_rate=0.0001"]
    assert train_run(make_configuration(*careful), tmp_path).steps == 4

    last = read_log(tmp_path)[-1]
    assert (last["step"], last["learning_rate"]) == (4, pytest.approx(0.00005))  # of the cosine
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    changed = {
        "session.loop.steps": [3, 4],
        "session.loop.optimiser.learning_rate": [0.0008, 0.0001],
    }
    assert {"step": 3, "changed": changed} in lines
    train_run(make_configuration(*careful), tmp_path)  # as it now is


def test_a_run_stopped_by_hand_leaves_what_can_be_used_and_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TrainingSession.train_step

    def until_stopped(self: TrainingSession, batches: Iterator[TrainingBatch]) -> StepFigures:
        if self.step == 2:
            raise KeyboardInterrupt
        return step(self, batches)

    monkeypatch.setattr(TrainingSession, "train_step", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        train_run(make_configuration(SAVE_OFTEN), tmp_path)
    assert load_checkpoint(str(tmp_path / CHECKPOINT_NAME)).card.data == ("procedural",)
    assert (tmp_path / "curves.png").exists()


def test_a_loss_that_is_no_number_stops_and_keeps_the_state(tmp_path: Path) -> None:
    huge = ["session.loop.optimiser.learning_rate=1.0e+30", "session.loop.steps=40"]
    with pytest.raises(StopError, match="weights were not touched"):
        train_run(make_configuration(*huge, SAVE_OFTEN), tmp_path)
    assert (tmp_path / "state.pt").exists()
    assert not (tmp_path / CHECKPOINT_NAME).exists()


def test_photos_with_masks_are_trained_on(tmp_path: Path) -> None:
    truth = write_coco(tmp_path / "coco")
    boxes = sources({"kind": "coco", "name": "boxes", "path": str(truth)})
    result = train_run(make_configuration(boxes), tmp_path / "run")
    assert result.steps == 3


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"kind": "coco", "name": "lost", "path": "nowhere.json"}, "'lost': nowhere.json does"),
        ({"kind": "composite", "over": "a", "cut_from": ["b"]}, "uses 'a', which is no source"),
    ],
)
def test_a_wrong_source_is_refused_by_name(
    tmp_path: Path, source: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        train_run(make_configuration(sources(source)), tmp_path)


class _started:
    """The same run in a process of its own, slowed so that a kill falls into its middle."""

    def __init__(self, folder: Path) -> None:
        configuration = make_configuration(SAVE_OFTEN).model_dump(mode="json")
        program = (
            "import json, sys, time\n"
            "from pathlib import Path\n"
            "from engine.training.parameters import TrainingConfiguration as Configuration\n"
            "from engine.training.run import train_run\n"
            "from model.training.session import TrainingSession\n"
            "save = TrainingSession.save\n"
            "TrainingSession.save = lambda self: (save(self), time.sleep(0.5))\n"
            "train_run(Configuration.model_validate_json(sys.argv[1]), Path(sys.argv[2]))\n"
        )
        self._command = [sys.executable, "-c", program, json.dumps(configuration), str(folder)]

    def __enter__(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        return self._process

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()


def _wait_for(condition: object, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < deadline, "the run saved nothing for two minutes"
        time.sleep(0.02)
