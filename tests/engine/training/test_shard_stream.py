"""Scenes straight out of shards: the same views as from files, weighted, and resumable."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.training.parameters import SamplingParameters, StreamSourceParameters
from engine.training.photo_views import Window, cut_masks
from engine.training.sampling import MaskFacts, mask_weights, photo_factors
from engine.training.scene import PADDING_RGB
from engine.training.shard_stream import ShardStream, _paste, _snapped, reduction_for
from model.errors import ConfigurationError
from stages import rle
from tests.engine.run_factory import make_run
from tests.factories import make_mask, make_photo_bytes, make_row


def make_stream(folder: Path, *, photos: int = 6, **settings: object) -> StreamSourceParameters:
    rows = [
        make_row(
            f"{number}.png",
            image=make_photo_bytes(seed=number, file_format="PNG"),
            masks=(
                make_mask(box_xywh=(4, 6, 10 + number, 8)),
                make_mask(box_xywh=(30, 20, 20, 20), origin="human", clicks=number + 1),
            ),
            round=1 + number % 2,
        )
        for number in range(photos)
    ]
    run = make_run(folder / "run", rows, with_images=True)
    values = {"kind": "stream", "name": "s", "path": run, "photos_at_once": 4} | settings
    return StreamSourceParameters.model_validate(values)


def test_the_same_number_gives_the_same_scene_whatever_came_before(tmp_path: Path) -> None:
    source = make_stream(tmp_path)
    walked, jumped = ShardStream(source), ShardStream(source)
    for number in range(20):
        last = walked.at(3, number).draw(64, np.random.default_rng(number))

    again = jumped.at(3, 19).draw(64, np.random.default_rng(19))

    assert (last.image_SSC == again.image_SSC).all()
    assert (last.masks_NSS == again.masks_NSS).all()


def test_every_photo_takes_its_turn_and_scenes_hold_its_masks(tmp_path: Path) -> None:
    views = {"whole_share": 1.0}
    stream = ShardStream(make_stream(tmp_path, views=views, views_per_photo=1))
    seen = set()
    for number in range(60):
        scene = stream.at(0, number).draw(64, np.random.default_rng(number))
        seen |= {photo._path for photo in stream.at(0, number)._photos}
        assert len(scene.masks_NSS) == 2
        assert sorted(scene.weights_N) == [0.1, 1.0]
    assert len(seen) == 6


def test_padding_of_streamed_views_is_where_and_what_it_is_at_inference(tmp_path: Path) -> None:
    views = {"whole_share": 1.0, "any_direction": True}
    stream = ShardStream(make_stream(tmp_path, views=views))
    for number in range(12):
        scene = stream.at(0, number).draw(64, np.random.default_rng(number))
        assert scene.content_hw is not None
        height, width = scene.content_hw
        assert min(height, width) < 64
        assert (scene.image_SSC[height:] == PADDING_RGB).all()
        assert (scene.image_SSC[:, width:] == PADDING_RGB).all()
        assert not scene.masks_NSS[:, height:].any()
        assert not scene.masks_NSS[:, :, width:].any()


def test_shards_without_photos_or_without_masks_are_refused(tmp_path: Path) -> None:
    bare = make_run(tmp_path / "bare", [make_row("a.png")])
    with pytest.raises(ConfigurationError, match="carry no photos"):
        ShardStream(StreamSourceParameters(kind="stream", name="s", path=bare))
    empty = [make_row("a.png", image=make_photo_bytes(file_format="PNG"), masks=())]
    run = make_run(tmp_path / "empty", empty, with_images=True)
    with pytest.raises(ConfigurationError, match="no mask that may be drawn"):
        ShardStream(StreamSourceParameters(kind="stream", name="s", path=run))


@pytest.mark.parametrize("side_px", [48, 96, 400])
def test_a_mask_decoded_in_its_box_is_the_mask_cut_from_the_whole(side_px: int) -> None:
    mask = np.zeros((300, 400), np.uint8)
    cv2.ellipse(mask, (180, 140), (90, 50), 20, 0, 360, 1, -1)
    window = Window(100, 60, 200, 180)
    encoded = rle.encode(mask)
    left, top, width, height = (int(v) for v in rle.bbox_xywh(encoded))
    box = (max(left, 100), max(top, 60), min(left + width, 300), min(top + height, 240))
    pasted = np.zeros((side_px, side_px), np.uint8)

    _paste(pasted, rle.decode_patch(encoded, box), box, window)

    whole = cut_masks([mask], window, side_px)[0]
    differ = np.count_nonzero(pasted != whole)
    assert differ <= 0.04 * np.count_nonzero(whole) + 2


def test_photos_are_shrunk_while_decoding_only_where_no_view_suffers() -> None:
    assert reduction_for(Window(0, 0, 4096, 4096), 512) == 8
    assert reduction_for(Window(0, 0, 1500, 1100), 512) == 2
    assert reduction_for(Window(0, 0, 600, 500), 512) == 1
    assert _snapped(Window(13, 7, 1030, 1030), 4) == Window(12, 4, 1028, 1028)


def test_people_weigh_more_and_the_most_corrected_alone_may_count() -> None:
    photos = [[MaskFacts(True, clicks) for clicks in (1, 5, 9)] + [MaskFacts(False)]]

    plain = mask_weights(photos, SamplingParameters(manual_weight=10))
    hard = mask_weights(photos, SamplingParameters(manual_weight=10, most_corrected=0.34))

    assert plain[0].tolist() == [10, 10, 10, 1]
    assert hard[0].tolist() == [0, 0, 10, 1]
    brushed = [[MaskFacts(True, 9), MaskFacts(True, 2, edited_px=40)]]
    assert mask_weights(brushed, SamplingParameters(most_corrected=0.5))[0].tolist() == [0, 10]
    alike = [[MaskFacts(True, 9)] + [MaskFacts(True, 1)] * 4, [MaskFacts(True, 1)] * 5]
    tied = mask_weights(alike, SamplingParameters(most_corrected=0.4))
    assert sum(weights.sum() for weights in tied) == pytest.approx(4 * 10)
    assert tied[0][0] == 10


def test_photos_of_earlier_rounds_get_their_share() -> None:
    totals, rounds = [10.0, 30.0, 20.0], [1, 1, 2]

    factors = photo_factors(totals, rounds, SamplingParameters(replay_share=0.25))

    weights = factors * totals
    assert weights[:2].sum() / weights.sum() == pytest.approx(0.25)
    assert weights[1] / weights[0] == pytest.approx(3)
    assert photo_factors([5.0], [1], SamplingParameters(replay_share=0.5)).tolist() == [1]
