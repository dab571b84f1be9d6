"""Writes a checkpoint as ONNX graphs and says what is in them. Needs the `onnx` extra.

What comes out, in one folder: `encoder.onnx`, `image.onnx` and `prompt.onnx` (see `graphs`), the
same three as `*.half.onnx` with weights of 16 bits, `decoder.onnx` in the form of the public
repository's export, and `model.json`, which says which model it is and how the graphs fit together.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from model.checkpoints import LoadedCheckpoint
from model.network.prompt_encoder import EMBEDDING_STRIDE
from model.network.sam import PIXEL_MEAN, PIXEL_STD, Sam
from model.onnx.graphs import EncoderPart, ImagePart, PromptPart, WholeDecoder
from model.onnx.half_weights import halve_weights
from model.onnx.meta_form import add_upsampling

DESCRIPTION_FILE: Final = "model.json"
FORMAT: Final = "mask-engine browser model 1"
PARTS: Final = ("encoder", "image", "prompt")
OPSET: Final = 20
_MOST_POINTS: Final = 4096


@dataclass(frozen=True)
class GraphFile:
    """A written graph: its name in the folder, bytes, and digest of its content."""

    name: str
    bytes: int
    blake2b: str


@dataclass(frozen=True)
class ExportedModel:
    """What stands in `model.json`.

    Attributes:
        model_id, architecture: of the checkpoint.
        input_size: side in pixels of the network's input.
        pixel_mean, pixel_std: of the normalisation, in red, green, blue.
        shared: what `image.onnx` gives and `prompt.onnx` takes, by name.
        thresholds: recommended for automatic masks, if the checkpoint has any.
        files: by part, such as `prompt` and `prompt.half`.
    """

    model_id: str
    architecture: str
    input_size: int
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    shared: tuple[str, ...]
    thresholds: Mapping[str, float] | None
    files: Mapping[str, GraphFile]
    format: str = FORMAT


def export_model(
    checkpoint: LoadedCheckpoint,
    folder: Path,
    *,
    encoder: bool = True,
    meta_form: bool = True,
    full_weights: bool = True,
) -> ExportedModel:
    """Writes the graphs of a checkpoint; `model.json` comes last.

    Args:
        checkpoint: on the CPU.
        folder: made if it is not there.
        encoder: the image encoder too; without it, embeddings come from elsewhere.
        meta_form: the decoder in the public repository's form too.
        full_weights: the graphs with 32-bit weights too, beside those with 16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image_part = ImagePart(checkpoint.sam)
    written: dict[str, Path] = {}
    for part in PARTS if encoder else PARTS[1:]:
        path = _path(folder, part)
        _write_part(part, checkpoint.sam, image_part, path)
        half = _path(folder, f"{part}.half")
        halve_weights(path, half)
        written |= {part: path, f"{part}.half": half}
        if not full_weights:
            written.pop(part).unlink()
    if meta_form:
        written["decoder"] = _path(folder, "decoder")
        _write_decoder(checkpoint.sam, written["decoder"])
    thresholds = checkpoint.card.thresholds
    described = ExportedModel(
        model_id=checkpoint.model_id,
        architecture=checkpoint.architecture,
        input_size=checkpoint.sam.input_size,
        pixel_mean=PIXEL_MEAN,
        pixel_std=PIXEL_STD,
        shared=tuple(image_part.names),
        thresholds=None if thresholds is None else asdict(thresholds),
        files={part: _described(path) for part, path in written.items()},
    )
    _write_text(folder / DESCRIPTION_FILE, json.dumps(asdict(described), indent=1) + "\n")
    return described


def _path(folder: Path, part: str) -> Path:
    return folder / f"{part}.onnx"


def _write_part(part: str, sam: Sam, image_part: ImagePart, path: Path) -> None:
    features, mask_logits, has_mask = _example_of_image(sam)
    if part == "encoder":
        side = sam.input_size
        _export(EncoderPart(sam), {"pixels": torch.zeros(1, 3, side, side)}, ["features"], path)
    elif part == "image":
        inputs = {"features": features, "mask_logits": mask_logits, "has_mask": has_mask}
        _export(image_part, inputs, image_part.names, path)
    else:
        with torch.no_grad():
            shared = image_part(features, mask_logits, has_mask)
        points, labels = _example_of_points(sam)
        dynamic = {
            "points_xy": {1: _points()},
            "point_labels": {1: _points()},
            "shared": tuple({} for _ in shared),
        }
        inputs = {"points_xy": points, "point_labels": labels}
        inputs |= dict(zip(image_part.names, shared, strict=True))
        _export(PromptPart(image_part), inputs, ["logits", "predicted_iou"], path, dynamic)


def _write_decoder(sam: Sam, path: Path) -> None:
    features, mask_logits, has_mask = _example_of_image(sam)
    points, labels = _example_of_points(sam)
    inputs = {
        "image_embeddings": features,
        "point_coords": points,
        "point_labels": labels,
        "mask_input": mask_logits,
        "has_mask_input": has_mask,
    }
    dynamic: dict[str, Any] = dict.fromkeys(inputs)
    dynamic |= {"point_coords": {1: _points()}, "point_labels": {1: _points()}}
    outputs = ["iou_predictions", "low_res_masks"]
    _export(WholeDecoder(sam), inputs, outputs, path, dynamic)
    add_upsampling(path, sam.input_size)


def _example_of_image(sam: Sam) -> tuple[Tensor, Tensor, Tensor]:
    side = sam.input_size // EMBEDDING_STRIDE
    return torch.zeros(1, 256, side, side), torch.zeros(1, 1, 4 * side, 4 * side), torch.ones(1)


def _example_of_points(sam: Sam) -> tuple[Tensor, Tensor]:
    return torch.full((1, 3, 2), sam.input_size / 2), torch.tensor([[1.0, 0.0, -1.0]])


def _points() -> Any:
    return torch.export.Dim("points", min=1, max=_MOST_POINTS)


@torch.no_grad()
def _export(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    dynamic: Mapping[str, Any] | None = None,
) -> None:
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=dict(dynamic) if dynamic else None,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        if program is None:
            raise RuntimeError(f"{path}: the exporter gave no graph")
        program.save(os.fspath(path))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's warnings are about itself."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _described(path: Path) -> GraphFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16))
    return GraphFile(path.name, path.stat().st_size, digest.hexdigest())


def _write_text(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)
