"""What other parts, and other people's code, may rely on: names, and who imports what."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import model
import stages
from model import PromptableSegmenter, Proposals
from stages.automatic import propose_masks
from tests.factories import make_pixels
from tests.fakes import DiscSegmenter

EXPORTED = {
    "model": {
        "CheckpointError",
        "ConfigurationError",
        "Embedding",
        "Geometry",
        "MaskEngineError",
        "Prompt",
        "PromptableSegmenter",
        "Proposals",
        "RecordError",
        "ShardError",
        "StopError",
    },
    "stages.automatic": {"AutomaticMasks", "AutomaticParameters", "propose_masks"},
    "stages.schema": {
        "SCHEMA_VERSION",
        "SHARD_SCHEMA",
        "mask_from_dict",
        "mask_to_dict",
        "rows_from_table",
        "rows_to_table",
        "shard_schema",
    },
}
ROOT = Path(__file__).parent.parent
EXTRAS = {"httpx", "starlette", "uvicorn", "onnx", "matplotlib", "skimage", "s3fs"}
WITHOUT_EXTRAS = (
    "engine.rounds.run",
    "engine.rounds.status",
    "engine.datasets.build",
    "engine.datasets.remove",
    "engine.quality.audit",
    "engine.training.run",
)
HEAVY = ("torch", "torchvision", "apache_beam", "typer", "fsspec")


@pytest.mark.parametrize("module", EXPORTED)
def test_exported_names(module: str) -> None:
    assert set(importlib.import_module(module).__all__) == EXPORTED[module]


def modules_of_stages() -> list[str]:
    return [f"stages.{found.name}" for found in pkgutil.iter_modules(stages.__path__)]


def test_model_and_stages_load_neither_torch_nor_beam() -> None:
    names = ["model", "model.prompts", "model.geometry", "model.segmenter", *modules_of_stages()]
    program = (
        f"import sys, {', '.join(names)}\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_automatic_stage_takes_what_its_callers_give() -> None:
    parameters = inspect.signature(propose_masks).parameters
    assert list(parameters) == ["segmenter", "image_HWC", "image_id", "parameters", "threads"]
    assert parameters["image_id"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("module", WITHOUT_EXTRAS)
def test_what_needs_no_extra_loads_none(module: str) -> None:
    seen, ahead = set(), {module}
    while ahead:
        seen |= ahead
        ahead = {name for each in ahead for name in loaded_at_once(each)} - seen
    assert not {name.split(".")[0] for name in seen} & EXTRAS


def loaded_at_once(module: str) -> Iterator[str]:
    """What a module of ours imports when it is loaded: not in functions, not for types alone."""
    file = Path(*module.split(".")).with_suffix(".py")
    if not (ROOT / file).is_file():
        return
    for statement in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def test_every_error_is_a_mask_engine_error() -> None:
    errors = [getattr(model, name) for name in model.__all__ if name.endswith("Error")]
    assert all(issubclass(error, model.MaskEngineError) for error in errors)


class TestFake:
    """The fake answers as a real segmenter must."""

    def test_embedding_survives_bytes(self) -> None:
        segmenter: PromptableSegmenter = DiscSegmenter(128)
        embedding = segmenter.embed(make_pixels())
        copy = segmenter.embedding_from_bytes(embedding.to_bytes())
        prompts = [model.Prompt.of([[20, 20]])]
        first = segmenter.segment(embedding, prompts, multimask=True)
        second = segmenter.segment(copy, prompts, multimask=True)
        assert (first.logits == second.logits).all()
        assert (first.predicted_iou == second.predicted_iou).all()

    def test_shapes_are_those_of_the_seam(self) -> None:
        segmenter = DiscSegmenter(128)
        embedding = segmenter.embed(make_pixels())
        prompts = [model.Prompt.of([[x, 20]]) for x in range(5)]
        answers = segmenter.segment(embedding, prompts, multimask=True)
        assert isinstance(answers, Proposals)
        assert answers.predicted_iou.shape == (5, 3)
        assert answers.logits.shape == (15, 32, 32)
        single = segmenter.segment(embedding, prompts, multimask=False)
        assert single.predicted_iou.shape == (5, 1)

    def test_limit_leaves_out_the_logits_of_worse_masks(self) -> None:
        segmenter = DiscSegmenter(128)
        embedding = segmenter.embed(make_pixels())
        prompts = [model.Prompt.of([[x, 20]]) for x in range(0, 60, 10)]
        answers = segmenter.segment(embedding, prompts, multimask=True, min_predicted_iou=0.95)
        kept = answers.predicted_iou[answers.index[:, 0], answers.index[:, 1]]
        assert len(kept) == (answers.predicted_iou >= 0.95).sum()
        assert (kept >= 0.95).all()
