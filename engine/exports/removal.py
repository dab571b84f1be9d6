"""Takes one photo out of an export that was written before."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.exports.coco import ANNOTATIONS_FILE
from engine.exports.folder import MARKER_FILE, read_marker
from engine.exports.tables import IMAGES_FILE, MASKS_FILE
from engine.exports.work import IMAGES_A_FOLDER
from model.errors import ConfigurationError


def remove_from_export(folder: Path, image_id: str) -> int | None:
    """Masks taken out, or None where the photo is not in the export (any more).

    Raises:
        ConfigurationError: if the export is of a format that nobody knows here.
    """
    marker = read_marker(folder)
    if marker.get("format") not in _REMOVERS:
        raise ConfigurationError(
            f"{folder}: an export as {marker.get('format')}, of which no photo can be taken out: "
            "export again from the data set without it"
        )
    images = pq.read_table(folder / IMAGES_FILE)
    here = images.filter(pc.equal(images["image_id"], image_id))
    if not here.num_rows:
        return None
    number, file_name = here["image_number"][0].as_py(), here["file_name"][0].as_py()
    masks = pq.read_table(folder / MASKS_FILE)
    gone = masks.filter(pc.equal(masks["image_number"], number)).num_rows
    _REMOVERS[marker["format"]](folder, number)
    if file_name:
        (folder / file_name).unlink(missing_ok=True)
    # The tables last: until they are written, the next call finds the photo and goes on.
    _replace(folder / MASKS_FILE, masks.filter(pc.not_equal(masks["image_number"], number)))
    marker["images"] -= 1
    marker["masks"] -= gone
    marker.setdefault("removed", []).append(image_id)
    _replace_text(folder / MARKER_FILE, json.dumps(marker, indent=2, ensure_ascii=False) + "\n")
    _replace(folder / IMAGES_FILE, images.filter(pc.not_equal(images["image_number"], number)))
    return int(gone)


def _from_coco(folder: Path, number: int) -> None:
    path = folder / ANNOTATIONS_FILE
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    document["images"] = [image for image in document["images"] if image["id"] != number]
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] != number]
    _replace_text(path, json.dumps(document))


def _from_sa1b(folder: Path, number: int) -> None:
    inside = folder / f"sa_{number // IMAGES_A_FOLDER:06d}"
    (inside / f"sa_{number}.json").unlink(missing_ok=True)


_REMOVERS: Final[Mapping[str, Callable[[Path, int], None]]] = {
    "coco": _from_coco,
    "sa1b": _from_sa1b,
}


def _replace(path: Path, table: Any) -> None:
    part = path.with_suffix(".part")
    pq.write_table(table, part)
    part.replace(path)


def _replace_text(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
