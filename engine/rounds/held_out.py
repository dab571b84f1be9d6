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
    photos = [photo for photo, is_measured in _all_and_measured(settings) if is_measured]
    chosen = choose_masks(
        photos,
        max_masks=held_out.masks,
        max_per_image=held_out.masks_per_photo,
        seed=held_out.seed,
    )
    all_of = {photo.path: photo for photo in photos}
    return chosen, [all_of[photo.path] for photo in chosen]


def photos_to_calibrate_on(settings: EngineSettings, count: int) -> list[TruthPhoto]:
    """Known photos for thresholds: those that no checkpoint is measured on, then the others."""
    ranked = sorted(_all_and_measured(settings), key=lambda pair: pair[1])
    return [photo for photo, _ in ranked[:count]]


def held_out_addresses(settings: EngineSettings) -> frozenset[str]:
    """Addresses of all photos of the held-out truth, clicked on or not."""
    return frozenset(str(photo.path) for photo in _all(settings))


def _all_and_measured(settings: EngineSettings) -> list[tuple[TruthPhoto, bool]]:
    """All photos of the truth, and whether checkpoints are measured on them."""
    photos, count = _all(settings), settings.held_out.photos
    rng = np.random.default_rng(settings.held_out.seed)
    few = set(rng.permutation(len(photos))[:count].tolist())
    return [(photo, place in few) for place, photo in enumerate(photos)]


def _all(settings: EngineSettings) -> list[TruthPhoto]:
    images = settings.held_out.images
    folder = None if images is None else Path(settings.under_root(images))
    return read_truth(Path(settings.under_root(settings.held_out.truth)), folder)
