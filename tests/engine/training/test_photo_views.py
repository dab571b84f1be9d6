import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.training.annotated import AnnotatedPhoto
from engine.training.coco_folder import read_coco
from engine.training.composites import Composites, collect_cut_outs
from engine.training.first_prompts import jittered_box, make_example
from engine.training.mixture import Mixture, WeightedSource
from engine.training.photo_views import (
    PhotoScenes,
    Window,
    WindowShape,
    choose_window,
    cut_image,
    cut_masks,
)
from engine.training.scene import PADDING_RGB, Scene, padded
from model.errors import ConfigurationError
from model.network.architectures import build_sam
from tests.engine.training.photo_factory import boxes_photo, write_coco

SIDE = 64


def views(
    folder: Path, whole_share: float = 0.5, *, photos: int = 3, **changes: object
) -> PhotoScenes:
    path = write_coco(folder, photos)
    return make_views(read_coco(path, path.parent / "images"), whole_share=whole_share, **changes)


def make_views(photos: list[AnnotatedPhoto], **changes: object) -> PhotoScenes:
    settings: dict[str, object] = {
        "whole_share": 0.5,
        "zoom": (1.2, 3.0),
        "smallest_window_px": 32,
        "any_direction": False,
        "exhaustive": False,
    }
    return PhotoScenes(photos, **(settings | changes))  # type: ignore[arg-type]


def mixture(source: PhotoScenes, **changes: float) -> Mixture:
    settings = {"innermost_share": 0.5, "nothing_share": 0.0} | changes
    return Mixture(
        [WeightedSource("boxes", source, 1.0)], seed=5, side_px=SIDE, masks=4, **settings
    )


def test_crowds_empty_masks_and_excluded_photos_are_left_out(tmp_path: Path) -> None:
    path = write_coco(tmp_path, photos=3)
    document = json.loads(path.read_text())
    document["annotations"][0]["iscrowd"] = 1
    document["annotations"][1]["area"] = 0
    path.write_text(json.dumps(document))
    photos = read_coco(path, tmp_path / "images", frozenset({"002.png"}))
    assert [photo.path.name for photo in photos] == ["000.png", "001.png"]
    assert [len(photo.segmentations) for photo in photos] == [1, 3]


def test_a_foreign_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text("[]")
    with pytest.raises(ConfigurationError, match=r"notes\.json: not a readable COCO file"):
        read_coco(path, tmp_path)


@pytest.mark.parametrize(
    ("said_hw", "says"),
    [((120, 80), "do not follow the photo's EXIF rotation"), ((160, 240), "the very photos")],
)
def test_a_photo_of_another_size_than_its_annotations_is_refused(
    tmp_path: Path, said_hw: tuple[int, int], says: str
) -> None:
    path = write_coco(tmp_path, photos=1)
    document = json.loads(path.read_text())
    document["images"][0] |= {"height": said_hw[0], "width": said_hw[1]}
    path.write_text(json.dumps(document))
    (photo,) = read_coco(path, tmp_path / "images")
    sizes = rf"000\.png is 120 x 80 px, but its annotations are for {said_hw[1]} x {said_hw[0]} px"
    with pytest.raises(ConfigurationError, match=f"{sizes}.*{says}"):
        photo.read_image()


def test_a_window_cuts_photo_and_masks_alike() -> None:
    image, masks = boxes_photo(0)
    window = Window(left=20, top=10, width=60, height=60)
    cut = cut_image(image, window, SIDE)
    inside = cut_masks([masks[0].astype(np.uint8)], window, SIDE)[0].astype(bool)
    assert cut.shape == (SIDE, SIDE, 3)
    assert cut[inside].mean() > 100
    assert np.median(cut[~inside]) < 60


def test_a_window_beyond_the_photo_is_padded_without_masks() -> None:
    image, masks = boxes_photo(1)
    window = Window(0, 0, 120, 120)
    cut = cut_image(image, window, SIDE)
    inside = cut_masks([m.astype(np.uint8) for m in masks], window, SIDE)
    scene = padded(cut, inside, np.ones(3), exhaustive=True, side_px=SIDE)
    assert scene.content_hw == (43, SIDE) == inside.shape[1:]
    assert (scene.image_SSC[43:] == PADDING_RGB).all()
    assert (scene.image_SSC[:43] == cut).all()
    assert not scene.masks_NSS[:, 43:].any()


def test_padding_is_nothing_to_the_network() -> None:
    picture = torch.tensor(PADDING_RGB).float().view(1, 3, 1, 1)
    assert build_sam("tiny").normalise(picture).abs().max() < 0.01


@pytest.mark.parametrize("any_direction", [False, True])
def test_padding_stays_what_and_where_it_is_at_inference_whatever_views_go_through(
    tmp_path: Path, any_direction: bool
) -> None:
    source = views(tmp_path, whole_share=1.0, any_direction=any_direction)
    photos = read_coco(tmp_path / "truth.json", tmp_path / "images")
    composites = Composites(source, collect_cut_outs(photos))
    sizes = set()
    for seed in range(12):
        for scenes in (source, composites):
            scene = scenes.draw(SIDE, np.random.default_rng(seed))
            assert scene.content_hw is not None
            height, width = scene.content_hw
            sizes.add((height, width))
            assert (scene.image_SSC[height:] == PADDING_RGB).all()
            assert (scene.image_SSC[:, width:] == PADDING_RGB).all()
            assert not scene.masks_NSS[:, height:].any()
            assert not scene.masks_NSS[:, :, width:].any()
    assert sizes == ({(43, SIDE), (SIDE, 43)} if any_direction else {(43, SIDE)})


def test_views_without_augmentation_are_the_photo_as_it_is(tmp_path: Path) -> None:
    source = views(tmp_path, whole_share=1.0, augment=False, photos=1)
    scene = source.draw(SIDE, np.random.default_rng(0))
    assert (
        scene.image_SSC[:43] == cut_image(boxes_photo(0)[0], Window(0, 0, 120, 120), SIDE)
    ).all()


def test_photos_with_many_masks_are_drawn_more_often_but_not_as_often_as_their_masks(
    tmp_path: Path,
) -> None:
    path = write_coco(tmp_path, photos=2)
    document = json.loads(path.read_text())
    # One mask is left of the first photo, three are in the second.
    document["annotations"] = document["annotations"][2:]
    path.write_text(json.dumps(document))
    photos = read_coco(path, tmp_path / "images")

    def share_of_second(by_masks: float) -> float:
        return float(make_views(photos, by_masks=by_masks)._shares[1])

    assert [share_of_second(power) for power in (0, 0.5, 1)] == pytest.approx(
        [0.5, 0.634, 0.75], abs=1e-3
    )


def test_windows_in_shares_of_the_photo_show_small_and_large_things_at_one_scale() -> None:
    shape = WindowShape(0.0, (1.2, 5.0), smallest_px=32, photo_share=(0.4, 0.6))
    for seed, side in enumerate((6.0, 90.0)):
        boxes = np.array([[100.0, 80.0, side, side]], np.float32)
        window = choose_window(boxes, (200, 300), shape, np.random.default_rng(seed))
        assert (window.width * window.height) ** 0.5 + 1 >= 0.4 * 300
        assert (window.width * window.height) ** 0.5 <= 0.6 * 300 + 1


def test_composites_take_what_they_cover_from_the_masks_below(tmp_path: Path) -> None:
    source = views(tmp_path, whole_share=1.0)
    photos = read_coco(tmp_path / "truth.json", tmp_path / "images")
    scenes = Composites(source, collect_cut_outs(photos), single_share=0.0)
    scene = scenes.draw(SIDE, np.random.default_rng(1))
    assert len(scene.masks_NSS) >= 2
    assert scene.masks_NSS.sum(0).max() == 1


def test_an_example_has_its_first_click_on_its_mask(tmp_path: Path) -> None:
    example = mixture(views(tmp_path)).example(3)
    for mask, (x, y) in zip(example.masks_MSS, example.points_M2, strict=True):
        assert mask[int(y), int(x)]


def test_boxes_stay_within_the_papers_jitter() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[30:60, 20:80] = 1
    exact = np.array([20, 30, 79, 59])
    for seed in range(40):
        box = jittered_box(mask, np.random.default_rng(seed))
        assert (np.abs(box - exact) <= 20).all()
        assert box[0] <= box[2]
        assert box[1] <= box[3]


def test_clicks_on_nothing_have_no_mask_and_only_where_all_is_known(tmp_path: Path) -> None:
    known = mixture(views(tmp_path / "a", exhaustive=True), nothing_share=1.0).example(0)
    unknown = mixture(views(tmp_path / "b"), nothing_share=1.0).example(0)
    assert not known.is_object_M.any()
    assert not known.masks_MSS.any()
    assert unknown.is_object_M.all()


def test_few_masks_are_asked_for_repeatedly() -> None:
    mask = np.zeros((1, SIDE, SIDE), np.uint8)
    mask[:, 10:30, 10:30] = 1
    scene = Scene(np.zeros((SIDE, SIDE, 3), np.uint8), mask, np.ones(1), exhaustive=False)
    example = make_example(scene, 3, np.random.default_rng(0))
    assert (example.masks_MSS == mask.astype(bool)).all()


def test_a_batch_is_the_same_every_time_it_is_drawn(tmp_path: Path) -> None:
    source = mixture(views(tmp_path))
    first, again, other = source.batch(7, 2), source.batch(7, 2), source.batch(8, 2)
    assert np.array_equal(first.image_BSSC, again.image_BSSC)
    assert np.array_equal(first.points_BM2, again.points_BM2)
    assert not np.array_equal(first.image_BSSC, other.image_BSSC)
