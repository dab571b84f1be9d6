import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.evaluation.baselines import baseline
from engine.evaluation.outputs import as_json, table, write_json
from engine.evaluation.pictures import write_pictures
from engine.evaluation.run import Protocol, evaluate_photos
from engine.evaluation.truth import choose_masks, read_truth
from model.errors import ConfigurationError
from stages.parameters import AutomaticParameters
from tests.engine.training.photo_factory import PHOTO_HW, boxes_photo, write_coco
from tests.fakes import DiscSegmenter


def test_an_evaluation_says_everything_the_json_promises(tmp_path: Path) -> None:
    photos = read_truth(write_coco(tmp_path, photos=2))
    automatic = AutomaticParameters(points_per_side=4, min_predicted_iou=0.5, min_stability=0.5)
    protocol = Protocol(clicks=(1, 2), baselines=("felzenszwalb", "grabcut"), automatic=automatic)
    evaluation = evaluate_photos(DiscSegmenter(), photos, protocol)
    write_json(tmp_path / "out" / "result.json", as_json(evaluation, {"checkpoint": "discs"}))
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document["n_masks"] == 6
    assert set(document["miou"]) == set(document["oracle_miou"]) == {"1", "2"}
    assert set(document["noc"]) == {"80", "85", "90"}
    assert document["baselines"]["grabcut"]["miou"]["1"] > 0.5
    assert set(document["average_recall"]) == {"100", "1000"}
    assert document["intervals"]["miou"]["1"][0] <= document["miou"]["1"]
    assert {"iou_correlation", "iou_correlation_first_click"} <= set(document)
    for score in ("predicted_iou", "stability"):
        answers = [b["answers"] for b in document["reliability"][score]]
        assert sum(answers) >= document["n_masks"]
    assert -1 <= document["stability_correlation"] <= 1
    assert -1 <= document["stability_correlation_first_click"] <= 1
    lines = "\n".join(table(evaluation))
    said = ("predicted IoU against true", "stability against true")
    for words in ("1 click", "grabcut", "NoC@90", "AR@100", "6 masks in 2 photos", *said):
        assert words in lines


def test_pictures_are_written(tmp_path: Path) -> None:
    photos = read_truth(write_coco(tmp_path, photos=2))
    protocol = Protocol(clicks=(1, 2), count_clicks=False)
    paths = write_pictures(evaluate_photos(DiscSegmenter(), photos, protocol), tmp_path / "out")
    assert all(cv2.imread(str(path)) is not None for path in paths)


def test_a_choice_of_masks_is_seeded_and_limited(tmp_path: Path) -> None:
    photos = read_truth(write_coco(tmp_path, photos=4))
    chosen = choose_masks(photos, max_masks=5, max_per_image=2, seed=3)
    again = choose_masks(photos, max_masks=5, max_per_image=2, seed=3)
    assert chosen == again
    assert sum(len(photo.masks) for photo in chosen) == 5
    assert max(len(photo.masks) for photo in chosen) <= 2


def test_missing_photos_are_counted_and_one_is_named(tmp_path: Path) -> None:
    path = write_coco(tmp_path, photos=2)
    (tmp_path / "images" / "001.png").unlink()
    with pytest.raises(ConfigurationError, match=r"1 of 2 photos are not in .*001\.png.* --photos"):
        read_truth(path)


def test_photos_of_another_size_than_their_annotations_are_refused(tmp_path: Path) -> None:
    path = write_coco(tmp_path, photos=1)
    turned = cv2.rotate(cv2.imread(str(tmp_path / "images" / "000.png")), cv2.ROTATE_90_CLOCKWISE)
    cv2.imwrite(str(tmp_path / "images" / "000.png"), turned)
    with pytest.raises(ConfigurationError, match=r"000\.png is 80 x 120 px, but .* EXIF rotation"):
        evaluate_photos(DiscSegmenter(), read_truth(path), Protocol(clicks=(1,)))


def test_ignored_bands_are_read_with_their_masks(tmp_path: Path) -> None:
    path = write_coco(tmp_path, photos=1, boxes=1)
    document = json.loads(path.read_text())
    annotation = document["annotations"][0]
    annotation["ignore_segmentation"] = annotation["segmentation"]
    path.write_text(json.dumps(document))
    mask = read_truth(path)[0].masks[0]
    band = mask.ignored_band()
    assert band is not None
    assert np.array_equal(band, mask.mask())


def test_nothing_to_evaluate_on_is_bad_input() -> None:
    with pytest.raises(ConfigurationError, match="no masks to evaluate on"):
        evaluate_photos(DiscSegmenter(), [], Protocol())


@pytest.mark.parametrize("name", ["felzenszwalb", "grabcut", "grabcut-wide"])
def test_baselines_find_a_bright_box(name: str) -> None:
    image, masks = boxes_photo(0)
    rows, columns = np.nonzero(masks[1])
    answer = baseline(name)(image, [(int(columns.mean()), int(rows.mean()))])[0]
    assert answer.shape == PHOTO_HW
    assert (answer & masks[1]).sum() > 0.7 * (answer | masks[1]).sum()


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="felzenszwalb, grabcut, grabcut-wide"):
        baseline("magic")
