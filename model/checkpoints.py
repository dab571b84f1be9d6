"""Checkpoints: what they say about themselves, loading and saving. Needs torch.

Two kinds are read: official `sam_vit_*.pth` files, and this project's own safetensors files with a
card in the header. Names and paths are both welcome (`model.checkpoint_names`).
"""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from torch import Tensor

from model.checkpoint_card import CheckpointCard, Thresholds
from model.checkpoint_names import checkpoint_path
from model.errors import CheckpointError
from model.network.architectures import ARCHITECTURES, build_sam
from model.network.sam import PIXEL_MEAN, PIXEL_STD, Sam
from model.weight_files import is_safetensors, read_header_card, read_pth, read_safetensors
from model.weights_id import weights_id

PAPER_THRESHOLDS: Final = Thresholds(predicted_iou=0.88, stability=0.95)
"""What the official weights were filtered with (paper, appendix B)."""

_WIDTH_KEY: Final = "image_encoder.pos_embed"
_ARCHITECTURE_BY_WIDTH: Final = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
_CONSTANTS: Final = {"pixel_mean": PIXEL_MEAN, "pixel_std": PIXEL_STD}


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A network with its weights, in evaluation mode and float32, and the file's card."""

    sam: Sam
    card: CheckpointCard

    @property
    def model_id(self) -> str:
        """16 hex digits derived from the weights as stored."""
        return self.card.model_id

    @property
    def architecture(self) -> str:
        """The name that `build_sam` knows."""
        return self.card.architecture


def read_card(path_or_name: str | os.PathLike[str]) -> CheckpointCard:
    """What a checkpoint says about itself, without building its network.

    Raises:
        CheckpointError: the file is missing, broken or foreign.
    """
    path = checkpoint_path(path_or_name)
    if is_safetensors(path):
        return read_header_card(path)
    return _read_official(path)[1]


def load_checkpoint(
    path_or_name: str | os.PathLike[str], device: str | torch.device = "cpu"
) -> LoadedCheckpoint:
    """Load a network by the name or path of its checkpoint.

    Raises:
        CheckpointError: the file is missing, broken or foreign.
    """
    path = checkpoint_path(path_or_name)
    weights, card = _read_own(path) if is_safetensors(path) else _read_official(path)
    if card.architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{path} is of the architecture {card.architecture!r}, expected one of "
            f"{', '.join(sorted(ARCHITECTURES))}: a newer mask-engine wrote it; update"
        )
    # The file's tensors become the weights, so the large networks are laid out on "meta" without
    # memory or random draws; the tiny one is built sooner than torch imports what "meta" needs.
    with torch.device("cpu" if card.architecture == "tiny" else "meta"):
        sam = build_sam(card.architecture)
    _check_fit(weights, sam.state_dict(), card.architecture, path)
    sam.load_state_dict(_as_float32(weights, path), strict=True, assign=True)
    return LoadedCheckpoint(sam.to(device).eval(), card)


def save_checkpoint(
    path: str | os.PathLike[str],
    sam: Sam,
    *,
    parent: str | None = None,
    data: Sequence[str] = (),
    metrics: Mapping[str, float] | None = None,
    thresholds: Thresholds | None = None,
    notes: str = "",
    dtype: torch.dtype = torch.float16,
) -> CheckpointCard:
    """Save weights and card as safetensors, atomically; see `CheckpointCard` for the fields.

    Args:
        path: where; an existing file is replaced only once the new one is whole.
        sam: the network.
        parent: model_id of the checkpoint that training started from.
        data: names of the data sets it was trained on.
        metrics: measured results by name.
        thresholds: recommended ones for automatic masks.
        notes: anything else worth telling.
        dtype: how matrices and kernels are stored; float16 halves the file and is exact to 3
            digits. Vectors are float32 always: they are few, and the variances of batch norms
            outgrow float16.

    Raises:
        ValueError: a weight is not finite in `dtype`, or the file's name does not end in
            .safetensors.
    """
    target = Path(path)
    if not is_safetensors(target):
        raise ValueError(f"checkpoints are saved as .safetensors, not as {target.name}")
    weights = {name: _stored(tensor, dtype) for name, tensor in sam.state_dict().items()}
    bad = _first_not_finite(weights)
    if bad is not None:
        raise ValueError(f"weight {bad} is not finite as {dtype}: this network is not worth saving")
    card = CheckpointCard(
        sam.architecture, weights_id(weights), parent, tuple(data), metrics or {}, thresholds, notes
    )
    write_checkpoint(target, weights, card)
    return card


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.to(dtype if tensor.ndim > 1 else torch.float32)
    return tensor.contiguous()


def changeable_checkpoint(path_or_name: str | os.PathLike[str]) -> Path:
    """The file whose card may be changed: one of this project's, and not read-only.

    Raises:
        CheckpointError: the file is missing, or one of both does not hold.
    """
    path = checkpoint_path(path_or_name)
    if not is_safetensors(path):
        raise CheckpointError(
            f"{path} has no card that could be changed: expected a .safetensors file that "
            "mask-engine wrote"
        )
    for place in (path, path.parent):
        if not os.access(place, os.W_OK):
            raise CheckpointError(
                f"{place} is read-only, so the card of {path.name} cannot be changed: make it "
                "writable, or give a copy of the checkpoint"
            )
    return path


def update_card(path: str | os.PathLike[str], **changes: Any) -> CheckpointCard:
    """Change fields of a saved checkpoint's card; the weights, and so the model_id, stay.

    Raises:
        CheckpointError: the file is missing, broken, foreign or read-only.
        ValueError: `changes` would touch what is derived from the weights.
    """
    fixed = {"architecture", "model_id"} & changes.keys()
    if fixed:
        raise ValueError(f"{sorted(fixed)} follow from the weights and cannot be changed")
    target = changeable_checkpoint(path)
    weights, card = _read_own(target)
    card = dataclasses.replace(card, **changes)
    write_checkpoint(target, weights, card)
    return card


def _read_own(path: Path) -> tuple[dict[str, Tensor], CheckpointCard]:
    card = read_header_card(path)
    weights = read_safetensors(path)
    found = weights_id(weights)
    if found != card.model_id:
        raise CheckpointError(
            f"{path} is damaged: its weights have the id {found}, its card says {card.model_id}; "
            "get the file again"
        )
    return weights, card


def _read_official(path: Path) -> tuple[dict[str, Tensor], CheckpointCard]:
    weights = read_pth(path)
    _drop_constants(weights, path)
    position_code = weights.get(_WIDTH_KEY)
    width = position_code.shape[-1] if position_code is not None and position_code.ndim else None
    if width not in _ARCHITECTURE_BY_WIDTH:
        found = "has no" if width is None else f"is {width} wide in"
        raise CheckpointError(
            f"{path} is not a SAM checkpoint: it {found} {_WIDTH_KEY!r}, expected 768 (vit_b), "
            "1024 (vit_l) or 1280 (vit_h)"
        )
    notes = "A file in the format of the official Segment Anything checkpoints."
    card = CheckpointCard(
        architecture=_ARCHITECTURE_BY_WIDTH[width],
        model_id=weights_id(weights),
        thresholds=PAPER_THRESHOLDS,
        notes=notes,
    )
    return weights, card


def _drop_constants(weights: dict[str, Tensor], path: Path) -> None:
    """Some tools save the pixel normalisation too: it must be ours, and it is no weight."""
    for name, expected in _CONSTANTS.items():
        found = weights.pop(name, None)
        if found is None:
            continue
        if not torch.allclose(found.flatten().float(), torch.tensor(expected)):
            raise CheckpointError(
                f"{path} was made for another pixel normalisation: {name} is "
                f"{found.flatten().tolist()}, expected {list(expected)}"
            )


def _check_fit(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], architecture: str, path: Path
) -> None:
    problems = [
        *(f"{name} is missing" for name in expected.keys() - weights.keys()),
        *(f"{name} is not known" for name in weights.keys() - expected.keys()),
        *(
            f"{name} is {_describe(weights[name])}, expected {_describe(expected[name])}"
            for name in expected.keys() & weights.keys()
            if weights[name].shape != expected[name].shape
            or weights[name].is_floating_point() != expected[name].is_floating_point()
        ),
    ]
    if problems:
        raise CheckpointError(
            f"{path} does not fit the architecture {architecture} in {len(problems)} of its "
            f"weights, such as: {'; '.join(sorted(problems)[:3])}"
        )


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _as_float32(weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    bad = _first_not_finite(weights)
    if bad is not None:
        raise CheckpointError(
            f"{path} holds NaN or infinity in {bad}: its training went wrong; take an earlier one"
        )
    return {
        name: (tensor.float() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in weights.items()
    }


def _first_not_finite(weights: Mapping[str, Tensor]) -> str | None:
    return next((name for name, t in weights.items() if not torch.isfinite(t).all()), None)


def write_checkpoint(target: Path, weights: Mapping[str, Tensor], card: CheckpointCard) -> None:
    """Write a checkpoint file beside the target, then rename: a reader never sees half of it."""
    part = target.with_name(f".save-{uuid.uuid4().hex}")
    part.touch()
    mode = (target if target.exists() else part).stat().st_mode
    try:
        safetensors.torch.save_file(dict(weights), part, metadata=card.to_header())
        part.chmod(mode)  # safetensors lets nobody else read what it writes
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
