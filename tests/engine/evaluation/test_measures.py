import numpy as np
import pytest

from engine.evaluation.calibration import Bin, calibration_of, correlation
from engine.evaluation.clicking import ClickedMask
from engine.evaluation.measures import Clicked, bootstrap, clicks_needed, measure, size_class
from engine.evaluation.recall import RecallCounter, matches
from stages import rle

ENCODED = rle.encode(np.ones((4, 4), bool))


def clicked(*iou: float, area_px: int = 500) -> ClickedMask:
    backwards = tuple(1 - v for v in iou)
    return ClickedMask(area_px, iou, tuple(min(1, v + 0.1) for v in iou), iou, backwards, ENCODED)


def test_clicks_needed_counts_up_to_the_target_or_to_twenty() -> None:
    assert clicks_needed(clicked(0.5, 0.82, 0.91), 80) == 2
    assert clicks_needed(clicked(0.5, 0.82, 0.91), 90) == 3
    assert clicks_needed(clicked(0.5, 0.6), 90) == 20


def test_figures_are_means_over_masks() -> None:
    masks = (clicked(0.2, 0.6), clicked(0.6, 0.8, area_px=5000))
    result = measure(Clicked(masks, np.array([0, 1])), (1, 2), most_clicks=20, seed=0)
    assert result.miou[1].value == pytest.approx(0.4)
    assert result.oracle_miou[1].value == pytest.approx(0.5)
    assert result.closed_share == pytest.approx(0.5)
    assert result.noc[80].value == pytest.approx((20 + 2) / 2)
    assert set(result.miou_by_size) == {"small", "medium"}
    assert result.predicted_iou.correlation == pytest.approx(1)
    assert result.stability.correlation == pytest.approx(-1)


def test_clicks_are_not_counted_where_too_few_were_allowed() -> None:
    result = measure(Clicked((clicked(0.2),), np.zeros(1)), (1,), most_clicks=1, seed=0)
    assert result.noc == {}


def test_intervals_come_from_photos_not_from_masks() -> None:
    values = np.array([0.0] * 50 + [1.0] * 50)
    two_photos = bootstrap(values, np.repeat([0, 1], 50), np.random.default_rng(0))
    many_photos = bootstrap(values, np.arange(100), np.random.default_rng(0))
    assert two_photos.value == many_photos.value == 0.5
    assert (two_photos.low, two_photos.high) == (0, 1)
    assert many_photos.high - many_photos.low < 0.3


def test_correlation_of_a_constant_is_zero_not_nan() -> None:
    assert correlation([0.5, 0.5], [0.1, 0.9]) == 0


@pytest.mark.parametrize(
    ("area", "name"), [(1023, "small"), (1024, "medium"), (9215, "medium"), (9216, "large")]
)
def test_size_classes_are_cocos(area: int, name: str) -> None:
    assert size_class(area) == name


def test_scores_are_compared_over_all_clicks_after_the_first_and_in_bins() -> None:
    found = calibration_of([(0.11, 0.95), (0.19, 0.4)], [(0.2, 1.0), (0.4, 0.1)])
    assert found.correlation == pytest.approx(np.corrcoef([1.1, 9.5, 1.9, 4], [2, 10, 4, 1])[0, 1])
    assert found.correlation_first == pytest.approx(1)
    assert found.bins[0] == Bin(pytest.approx(0.15), pytest.approx(0.3), 2)
    assert [b.answers for b in found.bins] == [2, 1, 1]
    assert found.bins[-1] == Bin(0.95, 1.0, 1)


def test_a_proposal_matches_only_one_true_mask() -> None:
    iou = np.array([[0.9, 0.8], [0.6, 0.1]])
    assert matches(iou, 0.5) == 1
    assert matches(np.array([[0.9, 0.8], [0.1, 0.6]]), 0.5) == 2


def test_average_recall_counts_only_the_first_masks_of_a_budget() -> None:
    counter = RecallCounter()
    iou = np.zeros((150, 2))
    iou[0, 0] = iou[149, 1] = 1.0
    counter.add(iou)
    recall = counter.result()
    assert recall.average_recall == {100: 0.5, 1000: 1.0}
    assert recall.masks_per_photo == 150
