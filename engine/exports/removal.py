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


def refuse_unknown_format(folder: Path) -> None:
    """Checks that photos can be taken out of an export; changes nothing.

    Raises:
        ConfigurationError: if it is of a format that nobody knows here.
    """
    export_format = read_marker(folder).get("format")
    if export_format not in _REMOVERS:
        raise ConfigurationError(
            f"{folder}: an export as {export_format}, of which no photo can be taken out: export "
            "again from the data set without it. Nothing was changed."
        )


def remove_from_export(folder: Path, image_id: str) -> int | None:
    """Masks taken out, or None where the photo is not in the export (any more).

    Raises:
        ConfigurationError: if the export is of a format that nobody knows here.
    """
    refuse_unknown_format(folder)
    marker = read_marker(folder)
    images = pq.read_table(folder / IMAGES_FILE)
    here = images.filter(pc.equal(images["image_id"], image_id))
    if not here.num_rows:
        return None
    number, file_name = here["image_number"][0].as_py(), here["file_name"][0].as_py()
    masks = pq.read_table(folder / MASKS_FILE)
    others = images.filter(pc.not_equal(images["image_number"], number))
    kept = masks.filter(pc.not_equal(masks["image_number"], number))
    _REMOVERS[marker["format"]](folder, number)
    if file_name:
        (folder / file_name).unlink(missing_ok=True)
    _replace(folder / MASKS_FILE, kept)
    # Counted from what is left, so that a call that goes on with a killed one counts the same.
    marker["images"] = others["error"].null_count
    marker["images_that_failed"] = others.num_rows - others["error"].null_count
    marker["masks"] = kept.num_rows
    marker["removed"] = sorted({*marker.get("removed", []), image_id})
    _replace_text(folder / MARKER_FILE, json.dumps(marker, indent=2, ensure_ascii=False) + "\n")
    # This table last: until it is written, the next call finds the photo and goes on.
    _replace(folder / IMAGES_FILE, others)
    return int(masks.num_rows - kept.num_rows)


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
