"""The page as a folder of files, for any static host: no server, no token, photos stay in browsers.

Threads need two headers (`Cross-Origin-Opener-Policy: same-origin` and
`Cross-Origin-Embedder-Policy: require-corp`); on a host that does not send them the model runs on
one thread.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from engine.page.app import STATIC, demo_settings
from engine.page.shelf import PhotoShelf
from model.errors import ConfigurationError


def write_site(target: Path, model_folder: Path, shelf: PhotoShelf | None) -> int:
    """Writes page, model and photos; returns the bytes of all of it.

    Raises:
        ConfigurationError: if the folder holds something else, or cannot be written.
    """
    if target.exists() and any(target.iterdir()) and not (target / "settings.json").is_file():
        raise ConfigurationError(f"{target}: holds something else; give a new folder")
    try:
        shutil.copytree(STATIC, target, dirs_exist_ok=True)
        shutil.copytree(model_folder, target / "model", dirs_exist_ok=True)
        photos = [] if shelf is None else _write_photos(target / "photos", shelf)
        settings = json.dumps(demo_settings(photos))
        (target / "settings.json").write_text(settings, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{target}: cannot be written ({error.strerror})") from None
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def _write_photos(folder: Path, shelf: PhotoShelf) -> Sequence[dict[str, str]]:
    folder.mkdir(exist_ok=True)
    entries = []
    for photo in shelf.photos:
        data, media_type = shelf.shown(photo.image_id)
        name = f"{photo.image_id}.{media_type.removeprefix('image/')}"
        (folder / name).write_bytes(data)
        entries.append({"id": photo.image_id, "name": photo.path, "image": f"photos/{name}"})
    return entries
