"""Photos on disk with their rows, as most tests of the engine need them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from stages.records import ImageRow
from tests.engine.real_studio import labelling, real_studio  # noqa: F401 - fixtures
from tests.factories import make_failed_row, make_mask, make_photo_bytes, make_ref, make_row


@pytest.fixture
def photo_rows(tmp_path: Path) -> list[ImageRow]:
    """Four photos that are there and one that failed; the masks of the first are nested."""
    rows = [_row(tmp_path / "photos", f"sub/photo {i}.png", seed=i) for i in range(4)]
    outer, inner, other = _nested_masks(rows[0])
    rows[0] = replace(rows[0], masks=(outer, inner, other))
    return [*rows, make_failed_row("broken.jpg")]


def _row(folder: Path, path: str, *, seed: int) -> ImageRow:
    data = make_photo_bytes(file_format="PNG", seed=seed)
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    ref = make_ref(path, uri=str(file))
    return make_row(ref=ref, sha256=hashlib.sha256(data).hexdigest())


def _nested_masks(row: ImageRow):
    image = row.ref.image_id
    outer = make_mask(box_xywh=(2, 2, 40, 30), image=image, predicted_iou=0.99609375)
    inner = make_mask(
        box_xywh=(5, 5, 10, 10),
        image=image,
        nested_in=outer.mask_id,
        level="part",
        category="wheel",
        stability_score=0.875,
    )
    other = make_mask(box_xywh=(50, 40, 1, 1), image=image, predicted_iou=0.75)
    return outer, inner, other
