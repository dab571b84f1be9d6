"""Stand-ins for real seams, named by behaviour. No torch."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model import Embedding, Geometry, Prompt, Proposals
from model.boxes import FoundBoxes

MODEL_ID = "d15c" * 4
RADII = (0.06, 0.14, 0.30)  # of the logits' side: subpart, part, whole
COLOUR_TOLERANCE = 48  # levels of 255
STEEPNESS = 150.0  # logits at the clicked point


@dataclass(frozen=True, eq=False)
class ColourEmbedding:
    """A photo's colours at the resolution of the logits."""

    colours_hwC: NDArray[np.uint8]
    geometry: Geometry
    model_id: str = MODEL_ID

    def to_bytes(self) -> bytes:
        header = {"hw": self.geometry.original_hw, "size": self.geometry.input_size}
        return json.dumps(header).encode() + b"\n" + self.colours_hwC.tobytes()


class DiscSegmenter:
    """Answers a click with three discs around it, cut to the clicked pixel's colour.

    Deterministic and of real size: logits have the shape a network of `input_size` would give.
    The predicted IoU, 0.7 to 1, is high where the disc has one colour.
    """

    model_id = MODEL_ID

    def __init__(self, input_size: int = 512) -> None:
        self.input_size = input_size

    def embed(self, image_HWC: NDArray[np.uint8]) -> ColourEmbedding:
        height, width = image_HWC.shape[:2]
        geometry = Geometry((height, width), self.input_size)
        h, w = geometry.logits_hw
        scaled_h, scaled_w = geometry.scaled_hw
        rows = ((np.arange(h) + 0.5) * 4 * height / scaled_h).astype(int)
        columns = ((np.arange(w) + 0.5) * 4 * width / scaled_w).astype(int)
        rows, columns = np.minimum(rows, height - 1), np.minimum(columns, width - 1)
        return ColourEmbedding(image_HWC[np.ix_(rows, columns)], geometry)

    def embedding_from_bytes(self, data: bytes) -> ColourEmbedding:
        line, _, colours = data.partition(b"\n")
        header = json.loads(line)
        geometry = Geometry(tuple(header["hw"]), header["size"])
        shape = (*geometry.logits_hw, 3)
        return ColourEmbedding(np.frombuffer(colours, np.uint8).reshape(shape), geometry)

    def segment(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool,
        min_predicted_iou: float | None = None,
    ) -> Proposals:
        if not isinstance(embedding, ColourEmbedding) or embedding.model_id != self.model_id:
            raise ValueError("another model made this embedding")
        answers = [self._answer(embedding, prompt, multimask) for prompt in prompts]
        masks = 3 if multimask else 1
        logits = np.array([a[0] for a in answers], np.float32).reshape(
            len(prompts), masks, *embedding.geometry.logits_hw
        )
        scores = np.array([a[1] for a in answers], np.float32).reshape(len(prompts), masks)
        limit = -np.inf if min_predicted_iou is None else min_predicted_iou
        index = np.argwhere(scores >= np.float32(limit)).astype(np.int32)
        return Proposals(scores, index, logits[index[:, 0], index[:, 1]], embedding.geometry)

    def _answer(
        self, embedding: ColourEmbedding, prompt: Prompt, multimask: bool
    ) -> tuple[NDArray[np.float32], list[float]]:
        geometry = embedding.geometry
        h, w = geometry.logits_hw
        low_x, low_y = geometry.to_input_xy(_clicked_xy(prompt, geometry)) / 4
        column, row = min(int(low_x), w - 1), min(int(low_y), h - 1)
        contrast = np.zeros((h, w), np.int16)
        for channel in np.moveaxis(embedding.colours_hwC, 2, 0).astype(np.int16):
            np.maximum(contrast, np.abs(channel - channel[row, column]), out=contrast)
        similar = contrast < COLOUR_TOLERANCE
        unlike = contrast.astype(np.float32) / COLOUR_TOLERANCE
        y, x = np.ogrid[-row : h - row, -column : w - column]
        distance = np.sqrt(x * x + y * y).astype(np.float32)
        logits, scores = [], []
        for radius in RADII if multimask else RADII[1:2]:
            reach = distance / (radius * h)
            logits.append(STEEPNESS * (1 - np.maximum(reach, unlike)))
            disc = reach < 1
            scores.append(0.7 + 0.3 * np.count_nonzero(disc & similar) / np.count_nonzero(disc))
        return np.array(logits, np.float32), scores


class SlowDiscSegmenter(DiscSegmenter):
    """Takes its time with every photo, so that a test can interrupt it."""

    def __init__(self, seconds_per_image: float = 0.2, input_size: int = 512) -> None:
        super().__init__(input_size)
        self.seconds_per_image = seconds_per_image

    def embed(self, image_HWC: NDArray[np.uint8]) -> ColourEmbedding:
        time.sleep(self.seconds_per_image)
        return super().embed(image_HWC)


class SilentSegmenter(DiscSegmenter):
    """Proposes nothing that anybody would keep."""

    def _answer(
        self, embedding: ColourEmbedding, prompt: Prompt, multimask: bool
    ) -> tuple[NDArray[np.float32], list[float]]:
        masks = 3 if multimask else 1
        return np.full((masks, *embedding.geometry.logits_hw), -9, np.float32), [0.0] * masks


class BrokenSegmenter(DiscSegmenter):
    """Fails on every photo, as a GPU that has run out of memory would."""

    def embed(self, image_HWC: NDArray[np.uint8]) -> ColourEmbedding:
        raise RuntimeError("out of memory")


class FixedBoxes:
    """A detector that finds the same boxes on every photo."""

    detector_id = "b0c5" * 4
    model_id = MODEL_ID

    def __init__(self, *boxes_xyxy: tuple[float, float, float, float]) -> None:
        self._boxes = np.array(boxes_xyxy, np.float32).reshape(-1, 4)

    def find(self, embedding: Embedding) -> FoundBoxes:
        scores = np.linspace(0.9, 0.5, len(self._boxes), dtype=np.float32)
        return FoundBoxes(self._boxes, scores)


def disc_segmenter() -> DiscSegmenter:
    """A picklable factory for worker processes."""
    return DiscSegmenter()


def slow_disc_segmenter() -> SlowDiscSegmenter:
    """A picklable factory for worker processes."""
    return SlowDiscSegmenter()


def _clicked_xy(prompt: Prompt, geometry: Geometry) -> NDArray[np.float32]:
    positive = prompt.points_xy[prompt.point_labels == 1]
    if len(positive):
        return positive[-1]
    if prompt.box_xyxy is not None:
        return (prompt.box_xyxy[:2] + prompt.box_xyxy[2:]) / 2
    if prompt.mask_logits is not None and (prompt.mask_logits > 0).any():
        rows, columns = np.nonzero(prompt.mask_logits > 0)
        centre = np.array([columns.mean(), rows.mean()], np.float32) * 4
        return geometry.to_original_xy(centre)
    return np.zeros(2, np.float32)
