from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from engine.imports.annotated import AnnotatedPhoto, Annotation
from engine.imports.masks import UnusableMask, masks_of, runs_of, to_rle
from stages import rle

SIZE = (6, 8)
MASKS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def uncompressed(mask_HW):
    pixels = np.asfortranarray(mask_HW).reshape(-1, order="F")
    stops = np.flatnonzero(np.diff(pixels, prepend=False)).tolist()
    return [int(n) for n in np.diff([0, *stops, pixels.size])]


@given(MASKS)
def test_all_forms_of_rle_give_the_same_record(mask):
    expected = rle.encode(mask)
    size = list(mask.shape)
    assert to_rle({"size": size, "counts": expected.counts}, mask.shape) == expected
    assert to_rle({"size": size, "counts": uncompressed(mask)}, mask.shape) == expected


@given(MASKS)
def test_run_lengths_are_those_of_the_pixels(mask):
    assert runs_of(rle.encode(mask).counts) == uncompressed(mask)


def test_split_and_empty_runs_become_the_usual_ones():
    split = {"size": [2, 4], "counts": [1, 2, 0, 1, 4, 0]}
    usual = {"size": [2, 4], "counts": [1, 3, 4]}
    assert to_rle(split, (2, 4)) == to_rle(usual, (2, 4))


def test_polygons_are_drawn_as_pycocotools_draws_them():
    polygons = [[1, 1, 5, 1, 5, 4, 1, 4], [6.5, 0, 8, 0, 8, 2]]
    expected = coco_mask.merge(coco_mask.frPyObjects(polygons, *SIZE))
    assert to_rle(polygons, SIZE).counts.encode() == expected["counts"]


@given(st.text(alphabet=[chr(c) for c in range(40, 120)], max_size=30))
def test_any_text_is_rle_or_refused(text):
    try:
        segmentation = to_rle({"size": list(SIZE), "counts": text}, SIZE)
    except UnusableMask:
        return
    assert rle.decode(segmentation).shape == SIZE


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (None, "broken_segmentation"),
        ([], "broken_segmentation"),
        ([[1, 2, 3, 4]], "broken_segmentation"),
        ([[1, 2, 3, 4, 5, float("nan")]], "broken_segmentation"),
        ([[1, 2, 3, 4, 5, 1e300]], "broken_segmentation"),
        ({"size": [6, 8]}, "broken_segmentation"),
        ({"counts": [48]}, "broken_segmentation"),
        ({"size": [6, 8], "counts": [47]}, "broken_segmentation"),
        ({"size": [6, 8], "counts": [50, -2]}, "broken_segmentation"),
        ({"size": [6, 8], "counts": [True, 47]}, "broken_segmentation"),
        ({"size": [6, 8], "counts": "\x7f"}, "broken_segmentation"),
        ({"size": [6, 8], "counts": "o"}, "broken_segmentation"),
        ({"size": [8, 6], "counts": [48]}, "wrong_size"),
        ({"size": [6, 8], "counts": [48]}, "empty"),
    ],
)
def test_what_cannot_be_used_is_dropped_with_its_reason(segmentation, reason):
    photo = AnnotatedPhoto("a.jpg", annotations=(Annotation(segmentation),))
    masks, dropped = masks_of(photo, "0" * 32, SIZE)
    assert masks == ()
    assert dict(dropped) == {reason: 1}


def test_a_crowd_is_no_object_and_a_mask_counts_once():
    square = [[1, 1, 5, 1, 5, 4, 1, 4]]
    annotations = (
        Annotation(square, category="cat"),
        Annotation(square, category="cat"),
        Annotation(square, crowd=True),
    )
    masks, dropped = masks_of(AnnotatedPhoto("a.jpg", annotations=annotations), "0" * 32, SIZE)
    assert [mask.category for mask in masks] == ["cat"]
    assert dict(dropped) == {"duplicate": 1, "crowd": 1}


def test_box_and_area_are_measured_not_believed():
    photo = AnnotatedPhoto("a.jpg", annotations=(Annotation([[1, 1, 5, 1, 5, 4, 1, 4]]),))
    ((mask,), _) = masks_of(photo, "0" * 32, SIZE)
    pixels = rle.decode(mask.segmentation)
    assert mask.area == pixels.sum()
    assert mask.bbox == rle.bbox_xywh(mask.segmentation)
    assert (mask.origin, mask.model_id) == ("import", None)
