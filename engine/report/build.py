"""The whole way from a run's folder to the report's files."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from engine.console import Meter
from engine.report.contact_sheet import contact_sheet
from engine.report.facts import gather_facts
from engine.report.gallery import gallery_photos
from engine.report.page import render_page
from engine.report.sample import PhotoSample
from engine.report.tally import Tally
from model.errors import ConfigurationError
from pipelines.manifest import read_manifest
from pipelines.shards import read_rows
from pipelines.storage import Folder
from stages.photos import PhotoLimits
from stages.records import ImageRow

WITHOUT_PHOTOS: Final = ("width", "height", "masks", "dropped", "error")


def write_report(
    run: str, page: Path, *, photos: int, limits: PhotoLimits, meter: Meter, sheet: Path | None
) -> Tally:
    """Writes the page, and the picture where one is asked for; returns what was counted.

    Memory does not grow with the run: `photos` rows are held, everything else is counted.

    Args:
        run: address of a run, finished or not.
        page: where the HTML goes.
        photos: how many at most are shown.
        limits: for reading the photos.
        meter: told of every photo counted.
        sheet: where the picture (PNG) goes, if anywhere.

    Raises:
        ConfigurationError: if there is no run, or a file cannot be written.
    """
    facts = gather_facts(run)
    tally, sample = Tally(), PhotoSample(photos)
    for row in read_rows(run, columns=WITHOUT_PHOTOS) if facts.shards_done else ():
        tally.add(row)
        sample.add(row)
        meter(tally.images, facts.photos_planned)
    rows = _with_photos(run, sample.rows())
    html = render_page(facts, tally, list(gallery_photos(rows, limits)))
    write_whole(page, html.encode("utf-8"))
    if sheet is not None:
        buffer = io.BytesIO()
        contact_sheet(rows, limits).save(buffer, "PNG", optimize=True)
        write_whole(sheet, buffer.getvalue())
    return tally


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that is there whole or not at all.

    Raises:
        ConfigurationError: if it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise ConfigurationError(f"{path}: cannot be written ({error}); give another --out") from (
            error
        )


def _with_photos(run: str, sample: list[ImageRow]) -> list[ImageRow]:
    """The sampled rows with the photos that the shards hold, where they hold any."""
    wanted = {row.ref.image_id: place for place, row in enumerate(sample)}
    rows = list(sample)
    for row in read_rows(run, columns=("image",)) if _embeds(run) else ():
        place = wanted.get(row.ref.image_id)
        if place is not None and row.image is not None:
            rows[place] = replace(rows[place], image=row.image)
    return rows


def _embeds(run: str) -> bool:
    manifest = read_manifest(Folder(run))
    return manifest is not None and manifest.embed_images
