"""Small engines: discs on plain photos, a fake model that gets better, and no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.configuration import build
from engine.rounds.context import Tools
from engine.rounds.ledger import Ledger
from engine.rounds.run import Stopped, run_engine
from engine.rounds.settings import EngineSettings
from engine.training.parameters import TrainingConfiguration
from engine.training.run import TrainingResult
from model import Embedding, Prompt, Proposals
from stages import rle
from tests.fakes import DiscSegmenter

SIZE_HW = (64, 96)
QUICK = {
    "preset": "fast",
    "parameters": {
        "points_per_side": 3,
        "min_region_area_px": 0,
        "min_predicted_iou": 0.7,
        "min_stability": 0.5,
    },
}


class SkilledSegmenter(DiscSegmenter):
    """Answers like `DiscSegmenter`, shifted by what it still has to learn.

    A checkpoint of it is a text file with its skill; skill 3 is what the discs really are.
    """

    def __init__(self, skill: int) -> None:
        super().__init__(input_size=128)
        self.skill = skill
        self.model_id = f"{skill % 2**64:016x}"

    def embed(self, image_HWC: NDArray[np.uint8]) -> Embedding:
        return self._own(super().embed(image_HWC))

    def embedding_from_bytes(self, data: bytes) -> Embedding:
        return self._own(super().embedding_from_bytes(data))

    def _own(self, embedding: Embedding) -> Embedding:
        object.__setattr__(embedding, "model_id", self.model_id)
        return embedding

    def segment(self, embedding: Embedding, prompts: Sequence[Prompt], **options: Any) -> Proposals:
        good = super().segment(embedding, prompts, **options)
        shift = max(0, 3 - self.skill)
        return Proposals(
            good.predicted_iou, good.index, np.roll(good.logits, shift, axis=2), good.geometry
        )


@dataclass(frozen=True)
class SkillOf:
    """A picklable factory: the model whose skill stands in a file."""

    path: str

    def __call__(self) -> SkilledSegmenter:
        return SkilledSegmenter(int(Path(self.path).read_text()))


def learn(configuration: TrainingConfiguration, folder: Path) -> TrainingResult:
    """Training that ends at once: one step more skilled than what it began with."""
    folder.mkdir(parents=True, exist_ok=True)
    start = Path(configuration.session.start)
    skill = int(start.read_text()) + 1 if start.exists() else 0
    checkpoint = folder / "checkpoint.safetensors"
    checkpoint.write_text(str(skill))
    return TrainingResult(checkpoint, f"{skill:016x}", configuration.session.loop.steps, 0.0)


FAKE_TOOLS = Tools(segmenter=SkillOf, train=learn)


def make_data(folder: Path, *, pool: int = 6, held_out: int = 3) -> Path:
    """Photos of discs under `folder`, with truth for the pool and for held-out photos."""
    for name, count, seed in (("pool", pool, 0), ("held-out", held_out, 100)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        _draw(folder / name, folder / f"{name}.json", count, seed)
    (folder / "first.safetensors").write_text("0")
    return folder


def _draw(photos: Path, truth: Path, count: int, seed: int) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        rng = np.random.default_rng(seed + number)
        pixels = np.full((*SIZE_HW, 3), rng.integers(20, 60, 3), np.uint8)
        images.append(
            {
                "id": number,
                "file_name": f"{number}.png",
                "height": SIZE_HW[0],
                "width": SIZE_HW[1],
            }
        )
        for place in range(2):
            x, y = 24 + 46 * place + rng.integers(-4, 4), 32 + rng.integers(-8, 8)
            rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
            disc = np.hypot(columns - x, rows - y) < rng.integers(9, 13)
            pixels[disc] = rng.integers(120, 250, 3)
            encoded = rle.encode(disc)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "segmentation": {"size": list(encoded.size_hw), "counts": encoded.counts},
                    "area": int(disc.sum()),
                    "bbox": list(rle.bbox_xywh(encoded)),
                }
            )
        Image.fromarray(pixels).save(photos / f"{number}.png")
    truth.write_text(json.dumps({"images": images, "annotations": annotations}))


def quick_rounds() -> list[dict[str, Any]]:
    """One round of each stage."""
    return [
        {"stage": "assisted_manual", "photos": {"count": 2}},
        {
            "stage": "semi_automatic",
            "photos": {"count": 2},
            "proposing": QUICK,
            "sure_predicted_iou": 0.7,
        },
        {"stage": "automatic", "photos": {"count": 1}, "proposing": QUICK},
    ]


def settings_of(folder: Path, out: Path | str, **changes: Any) -> EngineSettings:
    """An engine that runs in a second or two."""
    settings: dict[str, Any] = {
        "out": str(out),
        "data_root": str(folder),
        "pool": {"source": "pool"},
        "people": {
            "truth": "pool.json",
            "annotator": {"accept_iou": 0.6, "most_clicks": 2, "draws_by_hand": True},
        },
        "held_out": {"truth": "held-out.json", "images": "held-out", "most_clicks": 3, **QUICK},
        "start": str(folder / "first.safetensors"),
        "rounds": quick_rounds(),
        "data": {"sure_predicted_iou": 0.7, "validation_share": 0.0},
        "train": {"steps": 5},
        "calibration": {"parameters": {"points_per_side": 3, "min_region_area_px": 0}},
        "gate": {"measure": "iou_1", "margin": 0.01, "tolerance": 10.0, "confidence": 0.6}
        | {"least_photos": 1},
        "threads": 1,
    }
    return build(EngineSettings, [settings | changes], origin="test")


def quickly(data: Path, out: Path, **changes: Any) -> Stopped:
    """One round of one photo."""
    one_round = [{"stage": "assisted_manual", "photos": {"count": 1}}]
    quick = {"rounds": one_round, "calibration": None}
    return run_engine(settings_of(data, out, **(quick | changes)), tools=FAKE_TOOLS)


def names(ledger: Ledger) -> list[tuple[int, str]]:
    """Round and step of every entry that stands."""
    return [(entry.round, entry.step) for entry in ledger.standing]
