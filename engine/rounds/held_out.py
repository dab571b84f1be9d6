"""The held-out photos: which masks are clicked on, and that no round ever sees one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.evaluation.truth import TruthPhoto, choose_masks, read_truth
from engine.rounds.settings import EngineSettings


def held_out_photos(settings: EngineSettings) -> tuple[list[TruthPhoto], list[TruthPhoto]]:
    """The held-out photos with the masks to click on, and with all their masks.

    Raises:
        ConfigurationError: if the truth cannot be read, or its photos are not there.
    """
    held_out = settings.held_out
    photos = _all(settings)
    if held_out.photos is not None:
        rng = np.random.default_rng(held_out.seed)
        few = sorted(rng.permutation(len(photos))[: held_out.photos].tolist())
        photos = [photos[place] for place in few]
    chosen = choose_masks(
        photos,
        max_masks=held_out.masks,
        max_per_image=held_out.masks_per_photo,
        seed=held_out.seed,
    )
    all_of = {photo.path: photo for photo in photos}
    return chosen, [all_of[photo.path] for photo in chosen]


def held_out_addresses(settings: EngineSettings) -> frozenset[str]:
    """Addresses of all photos of the held-out truth, clicked on or not."""
    return frozenset(str(photo.path) for photo in _all(settings))


def _all(settings: EngineSettings) -> list[TruthPhoto]:
    images = settings.held_out.images
    folder = None if images is None else Path(settings.under_root(images))
    return read_truth(Path(settings.under_root(settings.held_out.truth)), folder)
