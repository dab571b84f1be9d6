from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from segment_anything import SamPredictor
from torch import Tensor, nn

from model.network.sam import Sam
from model.prompts import Prompt
from model.sam_segmenter import SamSegmenter
from model.segmenter import Embedding, Proposals
from tests.model.official_sam import (
    INPUT_SIZE,
    loaded,
    official_small_sam,
    official_vit_b,
    photo,
    same_small_sam,
    same_vit_b,
)

SMALL = 128
LOGITS = SMALL // 4


@pytest.fixture(scope="module")
def reference() -> SamPredictor:
    """At the tiny network's size: 512 px, 32 x 32 cells."""
    return SamPredictor(official_small_sam())


@pytest.fixture(scope="module")
def equal_segmenter(reference: SamPredictor) -> SamSegmenter:
    return SamSegmenter(loaded(same_small_sam(reference.model)))


@pytest.fixture(scope="module")
def small_sam() -> Sam:
    return same_small_sam(official_small_sam(SMALL))


@pytest.fixture(scope="module")
def segmenter(small_sam: Sam) -> SamSegmenter:
    return SamSegmenter(loaded(small_sam))


def earlier_logits(side: int) -> NDArray[np.float32]:
    y, x = np.mgrid[0:side, 0:side] / side
    return (8 - 40 * np.hypot(y - 0.4, x - 0.6)).astype(np.float32)


def prompts_of_every_kind(height: int, width: int, logits_side: int = LOGITS) -> dict[str, Prompt]:
    def at(x: float, y: float) -> list[float]:
        return [x * (width - 1), y * (height - 1)]

    box = [*at(0.2, 0.1), *at(0.8, 0.7)]
    many = [at(i / 10, (i * 7 % 10) / 10) for i in range(11)]
    logits = earlier_logits(logits_side)
    return {
        "positive point": Prompt.of([at(0.3, 0.4)]),
        "positive and negative": Prompt.of([at(0.3, 0.4), at(0.9, 0.2)], [1, 0]),
        "negative only": Prompt.of([at(0.5, 0.5)], [0]),
        "eleven points": Prompt.of(many, [1, 0] * 5 + [1]),
        "point in a corner": Prompt.of([at(0, 0)]),
        "box": Prompt.of(box_xyxy=box),
        "box and points": Prompt.of([at(0.5, 0.5), at(0.7, 0.6)], [1, 0], box),
        "logits": Prompt.of(mask_logits=logits),
        "logits and point": Prompt.of([at(0.6, 0.4)], mask_logits=logits),
        "logits and box": Prompt.of(box_xyxy=box, mask_logits=logits),
        "all": Prompt.of([at(0.6, 0.4), at(0.1, 0.1)], [1, 0], box, logits),
    }


def official_answer(
    predictor: SamPredictor, prompt: Prompt, *, multimask: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    _, iou, logits = predictor.predict(
        point_coords=prompt.points_xy if len(prompt.points_xy) else None,
        point_labels=prompt.point_labels if len(prompt.points_xy) else None,
        box=prompt.box_xyxy,
        mask_input=None if prompt.mask_logits is None else prompt.mask_logits[np.newaxis],
        multimask_output=multimask,
    )
    return iou, logits


def assert_equal_answers(
    segmenter: SamSegmenter,
    predictor: SamPredictor,
    image: NDArray[np.uint8],
    prompts: dict[str, Prompt],
    *,
    multimask: bool,
) -> None:
    predictor.set_image(image)
    embedding = segmenter.embed(image)
    np.testing.assert_allclose(
        embedding.features.numpy(), predictor.features.numpy(), atol=1e-4, rtol=0
    )
    answers = segmenter.segment(embedding, list(prompts.values()), multimask=multimask)
    for row, (kind, prompt) in enumerate(prompts.items()):
        iou, logits = official_answer(predictor, prompt, multimask=multimask)
        mine = answers.logits[answers.index[:, 0] == row]
        np.testing.assert_allclose(answers.predicted_iou[row], iou, atol=1e-4, rtol=0, err_msg=kind)
        np.testing.assert_allclose(mine, logits, atol=1e-4, rtol=0, err_msg=kind)


@pytest.mark.parametrize("multimask", [True, False])
def test_every_kind_of_prompt_equals_the_official_predictor(
    equal_segmenter: SamSegmenter, reference: SamPredictor, multimask: bool
) -> None:
    prompts = prompts_of_every_kind(300, 700, INPUT_SIZE // 4)
    assert_equal_answers(equal_segmenter, reference, photo(300, 700), prompts, multimask=multimask)


@pytest.mark.parametrize(
    ("height", "width"),
    [(700, 300), (9, 13), (1, 1), (1300, 1100), (512, 512), (333, 512)],
)
def test_photos_of_every_shape_equal_the_official_predictor(
    equal_segmenter: SamSegmenter, reference: SamPredictor, height: int, width: int
) -> None:
    prompts = prompts_of_every_kind(height, width, INPUT_SIZE // 4)
    some = {kind: prompts[kind] for kind in ("positive and negative", "all")}
    assert_equal_answers(equal_segmenter, reference, photo(height, width), some, multimask=True)


def test_a_photo_too_thin_for_the_official_predictor_is_one_pixel_high(
    segmenter: SamSegmenter,
) -> None:
    embedding = segmenter.embed(photo(1, 3000))
    assert embedding.geometry.scaled_hw == (1, SMALL)
    answers = segmenter.segment(embedding, [Prompt.of([[1500, 0]])], multimask=True)
    assert np.isfinite(answers.logits).all()


def assert_equal_vit_b_answers(input_size: int, shapes: list[tuple[int, int]]) -> None:
    reference = official_vit_b(input_size)
    segmenter, predictor = SamSegmenter(loaded(same_vit_b(reference))), SamPredictor(reference)
    for height, width in shapes:
        prompts = prompts_of_every_kind(height, width, input_size // 4)
        some = {kind: prompts[kind] for kind in ("positive point", "all")}
        assert_equal_answers(segmenter, predictor, photo(height, width), some, multimask=True)


@pytest.mark.slow
def test_all_of_vit_b_equals_the_official_predictor_at_half_its_input() -> None:
    assert_equal_vit_b_answers(512, [(300, 700)])


@pytest.mark.slow
@pytest.mark.timeout(900)  # three minutes on two busy cores
def test_all_of_vit_b_equals_the_official_predictor() -> None:
    assert_equal_vit_b_answers(1024, [(600, 1400), (1400, 600), (40, 30), (2000, 2100)])


def rows_of(answers: Proposals, row: int) -> NDArray[np.float32]:
    return answers.logits[answers.index[:, 0] == row]


def test_answers_do_not_depend_on_what_else_is_asked(segmenter: SamSegmenter) -> None:
    embedding = segmenter.embed(photo(200, 300))
    prompts = list(prompts_of_every_kind(200, 300).values())
    together = segmenter.segment(embedding, prompts, multimask=True)
    for row, prompt in enumerate(prompts):
        alone = segmenter.segment(embedding, [prompt], multimask=True)
        np.testing.assert_allclose(
            together.predicted_iou[row], alone.predicted_iou[0], atol=1e-5, rtol=0
        )
        np.testing.assert_allclose(rows_of(together, row), alone.logits, atol=1e-5, rtol=0)


def test_answers_do_not_depend_on_the_batch_size(small_sam: Sam) -> None:
    prompts = [Prompt.of([[x, 2 * x]]) for x in range(1, 40, 3)]
    small, large = (SamSegmenter(loaded(small_sam), prompts_per_batch=size) for size in (3, 64))
    embedding = small.embed(photo(100, 100))
    few = small.segment(embedding, prompts, multimask=True)
    many = large.segment(embedding, prompts, multimask=True)
    np.testing.assert_array_equal(few.index, many.index)
    np.testing.assert_allclose(few.logits, many.logits, atol=1e-5, rtol=0)


def test_answers_come_in_the_order_asked_whatever_the_make_up(segmenter: SamSegmenter) -> None:
    embedding = segmenter.embed(photo(64, 64))
    point, box = Prompt.of([[5, 5]]), Prompt.of(box_xyxy=[1, 1, 30, 30])
    answers = segmenter.segment(embedding, [point, box, point, box], multimask=True)
    expected = [(row, mask) for row in range(4) for mask in range(3)]
    assert answers.index.tolist() == [list(pair) for pair in expected]
    np.testing.assert_array_equal(rows_of(answers, 0), rows_of(answers, 2))
    np.testing.assert_array_equal(rows_of(answers, 1), rows_of(answers, 3))


@pytest.mark.parametrize("multimask", [True, False])
def test_a_limit_on_predicted_iou_equals_filtering_afterwards(
    segmenter: SamSegmenter, multimask: bool
) -> None:
    embedding = segmenter.embed(photo(200, 300))
    prompts = list(prompts_of_every_kind(200, 300).values())
    everything = segmenter.segment(embedding, prompts, multimask=multimask)
    limit = float(np.median(everything.predicted_iou))
    limited = segmenter.segment(embedding, prompts, multimask=multimask, min_predicted_iou=limit)
    passing = everything.predicted_iou >= limit
    np.testing.assert_array_equal(limited.predicted_iou, everything.predicted_iou)
    np.testing.assert_array_equal(limited.index, np.argwhere(passing))
    np.testing.assert_allclose(
        limited.logits, everything.logits[passing.ravel()], atol=1e-5, rtol=0
    )


def test_prompts_whose_masks_all_fail_are_never_drawn(small_sam: Sam) -> None:
    segmenter = SamSegmenter(loaded(small_sam), prompts_per_batch=4)
    embedding = segmenter.embed(photo(200, 300))
    prompts = [Prompt.of([[20.0 * x, 10]]) for x in range(10)]
    everything = segmenter.segment(embedding, prompts, multimask=True)
    best = everything.predicted_iou.max(axis=1)
    limit = float(np.sort(best)[-3])

    drawn_px = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], upscaled_PTC: Tensor) -> None:
        nonlocal drawn_px
        drawn_px += upscaled_PTC.shape[0] * upscaled_PTC.shape[1]

    with small_sam.mask_decoder.output_upscaling[-1].register_forward_hook(count):
        segmenter.segment(embedding, prompts, multimask=True, min_predicted_iou=limit)
    assert (best >= limit).sum() == 3
    assert drawn_px == 3 * LOGITS**2


def test_a_limit_that_nothing_reaches_gives_no_logits(segmenter: SamSegmenter) -> None:
    embedding = segmenter.embed(photo(64, 64))
    answers = segmenter.segment(
        embedding, [Prompt.of([[5, 5]])], multimask=True, min_predicted_iou=1e9
    )
    assert answers.logits.shape == (0, LOGITS, LOGITS)
    assert answers.predicted_iou.shape == (1, 3)


@pytest.mark.parametrize(("multimask", "masks"), [(True, 3), (False, 1)])
def test_no_prompts_give_no_answers(segmenter: SamSegmenter, multimask: bool, masks: int) -> None:
    answers = segmenter.segment(segmenter.embed(photo(64, 64)), [], multimask=multimask)
    assert answers.predicted_iou.shape == (0, masks)
    assert answers.logits.shape == (0, LOGITS, LOGITS)


def test_threads_and_several_images_do_not_disturb_each_other(segmenter: SamSegmenter) -> None:
    images = [photo(120, 200, seed) for seed in range(3)]
    every_kind = prompts_of_every_kind(120, 200)
    prompts = [every_kind[kind] for kind in ("positive point", "box and points", "all")]

    def answer(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return segmenter.segment(segmenter.embed(image), prompts, multimask=True).logits

    one_by_one = [answer(image) for image in images]
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(answer, images * 2))
    for index, logits in enumerate(at_once):
        np.testing.assert_array_equal(logits, one_by_one[index % 3])


def test_a_stored_embedding_answers_exactly_as_the_fresh_one(segmenter: SamSegmenter) -> None:
    embedding = segmenter.embed(photo(90, 160))
    prompts = list(prompts_of_every_kind(90, 160).values())
    stored = segmenter.embedding_from_bytes(embedding.to_bytes())
    assert stored.geometry == embedding.geometry
    assert stored.to_bytes() == embedding.to_bytes()
    fresh = segmenter.segment(embedding, prompts, multimask=True)
    again = segmenter.segment(stored, prompts, multimask=True)
    np.testing.assert_array_equal(again.logits, fresh.logits)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-7], "damaged"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "damaged"),
        (lambda data: b"", "not a stored embedding"),
        (lambda data: b"PK\x03\x04" + data, "not a stored embedding"),
        (lambda data: b"[1, 2]\n", "not a stored embedding"),
        (lambda data: data[:40], "not a stored embedding"),
    ],
)
def test_damaged_stored_embeddings_are_refused(
    segmenter: SamSegmenter, damage: Any, message: str
) -> None:
    data = segmenter.embed(photo(20, 20)).to_bytes()
    with pytest.raises(ValueError, match=message):
        segmenter.embedding_from_bytes(damage(data))


def test_embeddings_of_another_model_are_refused(segmenter: SamSegmenter) -> None:
    other = SamSegmenter(loaded(same_small_sam(official_small_sam(SMALL, seed=9))))
    foreign = other.embed(photo(20, 20))
    with pytest.raises(ValueError, match=f"made by model {other.model_id}, this is"):
        segmenter.segment(foreign, [Prompt.of([[1, 1]])], multimask=True)
    with pytest.raises(ValueError, match=f"made by model {other.model_id}, this is"):
        segmenter.embedding_from_bytes(foreign.to_bytes())


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)]
)
def test_images_that_are_not_8_bit_rgb_are_refused(
    segmenter: SamSegmenter, image: NDArray[Any]
) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
        segmenter.embed(image)


def test_earlier_logits_of_another_size_are_refused(segmenter: SamSegmenter) -> None:
    embedding = segmenter.embed(photo(20, 20))
    prompt = Prompt.of([[1, 1]], mask_logits=earlier_logits(64))
    with pytest.raises(ValueError, match=r"prompt 0 has mask_logits of shape \(64, 64\)"):
        segmenter.segment(embedding, [prompt], multimask=True)


def test_a_batch_holds_at_least_one_prompt(small_sam: Sam) -> None:
    with pytest.raises(ValueError, match="prompts_per_batch is 0"):
        SamSegmenter(loaded(small_sam), prompts_per_batch=0)


def test_an_embedding_is_what_the_seam_says(segmenter: SamSegmenter) -> None:
    assert isinstance(segmenter.embed(photo(20, 20)), Embedding)
