"""The model in the form that the page loads: exported once for each checkpoint, then kept."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from model.errors import ConfigurationError
from model.official import cache_folder

# Architectures whose image encoder is small enough for a browser.
ENCODES_IN_BROWSER: Final = ("tiny",)
# Raised whenever the same weights would give other graphs than before.
_EXPORT_VERSION: Final = 1
_DESCRIPTION: Final = "model.json"


def browser_model(checkpoint: str, *, told: Callable[[str], None] = lambda _: None) -> Path:
    """The folder of a checkpoint's graphs; they are made the first time.

    Raises:
        ConfigurationError: if the `onnx` extra is missing, or the cache cannot be written.
        CheckpointError: if the checkpoint is missing, broken or foreign.
    """
    from model.checkpoints import read_card

    card = read_card(checkpoint)
    target = cache_folder() / "browser" / f"{card.model_id}-{_EXPORT_VERSION}"
    if (target / _DESCRIPTION).is_file():
        return target
    told(f"preparing {card.architecture} {card.model_id} for the browser; only this once")
    _make(checkpoint, target, with_encoder=card.architecture in ENCODES_IN_BROWSER)
    return target


def _make(checkpoint: str, target: Path, *, with_encoder: bool) -> None:
    """Exports beside the target and moves it there whole: two may try at once."""
    try:
        from model.onnx.export import export_model
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the page needs {error.name}: pip install 'mask-engine[page]'"
        ) from None
    from model.checkpoints import load_checkpoint

    loaded = load_checkpoint(checkpoint)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=target.parent, prefix=".making-"))
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to {target.parent} ({error.strerror}); set MASK_ENGINE_CACHE to a "
            "folder that can be written"
        ) from None
    try:
        export_model(loaded, part, encoder=with_encoder, meta_form=False, full_weights=False)
        part.chmod(0o755)
        if not (target / _DESCRIPTION).is_file():
            os.rename(part, target)
    except OSError:
        if not (target / _DESCRIPTION).is_file():
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
