"""Weights out of files that may be broken, foreign or hostile. Needs torch.

Nothing in a file is ever executed: pickles are read with `weights_only`, and archives that would
unpack to more than the file holds are refused before they are opened.
"""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Final

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.checkpoint_card import CheckpointCard, card_from_header
from model.errors import CheckpointError

_GET_IT_AGAIN: Final = "get the file again"

_MALFORMED: Final = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    OSError,
    struct.error,
)
"""What `torch.load` and `zipfile` raise for files that are not what they should be."""


def is_safetensors(path: Path) -> bool:
    """Whether the file is read as safetensors; everything else is read as PyTorch's format."""
    return path.suffix == ".safetensors"


def read_header_card(path: Path) -> CheckpointCard:
    """The card of a safetensors checkpoint, from its header alone.

    Raises:
        CheckpointError: the file is broken, or not a mask-engine checkpoint.
    """
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _broken_safetensors(path, error) from error
    return card_from_header(header, str(path))


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All weights of a safetensors file, as stored.

    Raises:
        CheckpointError: the file is broken.
    """
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise _broken_safetensors(path, error) from error


def read_pth(path: Path) -> dict[str, Tensor]:
    """All weights of a PyTorch file that holds one flat state dict, as stored.

    Raises:
        CheckpointError: the file is broken, holds something else, or tries to run code.
    """
    _refuse_bombs(path)
    try:
        with warnings.catch_warnings():
            # torch warns about odd files for its own developers; they are judged right below.
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except _MALFORMED as error:
        raise CheckpointError(
            f"{path} cannot be read as PyTorch weights ({_first_sentence(error)}): it is broken, "
            "cut short, not a checkpoint, or it holds code, which is never run; expected an "
            f"official sam_vit_*.pth file; {_GET_IT_AGAIN}"
        ) from error
    return _state_dict(content, path)


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, expected a dictionary of weights by name as "
            "in the official sam_vit_*.pth files"
        )
    strange = [name for name, value in content.items() if not _is_plain_tensor(value)]
    if strange:
        raise CheckpointError(
            f"{path} holds {strange[0]!r} ({type(content[strange[0]]).__name__}) among its "
            "weights, expected dense tensors only: if it is a training state, save its model's "
            "state dict alone"
        )
    return content


def _is_plain_tensor(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized


def _refuse_bombs(path: Path) -> None:
    """PyTorch stores without compression, so an honest archive is no larger inside than outside."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, *_MALFORMED) as error:
        raise CheckpointError(
            f"{path} is a damaged archive ({_first_line(error)}): {_GET_IT_AGAIN}"
        ) from error
    size = path.stat().st_size
    if unpacked > size:
        raise CheckpointError(
            f"{path} would unpack to {unpacked:,} bytes from {size:,}: PyTorch never writes such "
            "files; it was not opened"
        )


def _broken_safetensors(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be read as safetensors ({_first_line(error)}): it is broken, cut short or "
        f"something else; {_GET_IT_AGAIN}"
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _first_sentence(error: Exception) -> str:
    """What failed, without torch's advice to run the code that a file may hold."""
    return _first_line(error).split(". ")[0]
