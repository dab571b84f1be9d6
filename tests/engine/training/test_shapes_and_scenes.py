import numpy as np
import pytest

from engine.training.procedural.scenes import ProceduralScenes
from engine.training.procedural.shapes import SHAPE_KINDS, draw_shape, outline
from engine.training.procedural.textures import TextureMaker

SIDE = 96


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", SHAPE_KINDS)
def test_every_kind_of_shape_covers_some_but_not_all_of_the_picture(kind: str) -> None:
    mask = draw_shape(kind, (48.0, 48.0), 20.0, SIDE, rng())
    assert mask.shape == (SIDE, SIDE)
    assert 0 < np.count_nonzero(mask) < 0.6 * mask.size
    assert set(np.unique(mask)) <= {0, 1}


def test_a_shape_outside_the_picture_is_cut_off() -> None:
    assert not draw_shape("ellipse", (-200.0, 48.0), 20.0, SIDE, rng()).any()


def test_an_unknown_shape_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="dodecahedron"):
        outline("dodecahedron", rng())


@pytest.mark.parametrize("seed", range(6))
def test_scenes_have_exact_masks_of_visible_things(seed: int) -> None:
    scene = ProceduralScenes(TextureMaker([])).draw(SIDE, rng(seed))
    assert scene.image_SSC.shape == (SIDE, SIDE, 3)
    assert scene.image_SSC.dtype == np.uint8
    assert len(scene.masks_NSS) == len(scene.weights_N)
    assert scene.exhaustive
    for mask in scene.masks_NSS:
        assert 16 <= np.count_nonzero(mask) <= 0.9 * mask.size


def test_the_same_seed_draws_the_same_scene() -> None:
    scenes = ProceduralScenes(TextureMaker([]))
    first, again, other = (scenes.draw(SIDE, rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first.image_SSC, again.image_SSC)
    assert np.array_equal(first.masks_NSS, again.masks_NSS)
    assert not np.array_equal(first.image_SSC, other.image_SSC)


def test_natural_patches_come_from_the_photos_given() -> None:
    photo = np.full((64, 64, 3), (200, 0, 0), np.uint8)
    texture = TextureMaker([photo], photo_share=1.0).draw(20, 30, rng())
    assert texture.shape == (20, 30, 3)
    assert texture[..., 0].min() > texture[..., 1].max()
