"""The held-out photos: which masks are clicked on, and by what one is known wherever it turns up.

A round must see none of them, whatever it is called there: neither the file (by a link, another
spelling or a copy), nor a photo that looks like it, nor another frame of its source.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from engine.evaluation.truth import TruthPhoto, choose_masks, read_truth
from engine.rounds.settings import EngineSettings
from model.errors import RecordError
from pipelines.joins import JoinedRun, JoinIndex
from pipelines.reading import read_photo
from pipelines.shards import read_rows
from pipelines.storage import is_local, open_filesystem
from stages.joining import JoinParameters
from stages.photo_hash import bands, differing_bits, perceptual_hash
from stages.photos import PhotoLimits, decode_photo
from stages.records import ImageRef

HELD_OUT: Final = "held_out"
LOOKS_ALIKE: Final = "looks_like_a_held_out_photo"
SAME_SOURCE: Final = "of_the_source_of_a_held_out_photo"


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


@dataclass(frozen=True)
class Marks:
    """By what held-out photos are known.

    Attributes:
        places: addresses, links followed.
        sha256: of their bytes.
        looks: perceptual hashes by their bands.
        sources: of which they are frames.
        parameters: what looks alike, and how paths name a source.
        limits: what a photo may cost.
    """

    places: frozenset[str]
    sha256: frozenset[str]
    looks: Mapping[str, frozenset[int]]
    sources: frozenset[str]
    parameters: JoinParameters
    limits: PhotoLimits

    def by_name(self, photo: ImageRef) -> str | None:
        """Why a photo is out of bounds, as far as its address says; None if it does not."""
        if place_of(photo.uri) in self.places:
            return HELD_OUT
        source = self.parameters.source_of_frame(photo.path)
        return SAME_SOURCE if source is not None and source in self.sources else None

    def by_content(self, sha256: str | None, photo_hash: int | None) -> str | None:
        """Why a photo is out of bounds, as far as its bytes and its looks say."""
        if sha256 in self.sha256:
            return HELD_OUT
        if photo_hash is None:
            return None
        bits = self.parameters.near_duplicate_bits
        near = (other for band in bands(photo_hash, bits) for other in self.looks.get(band, ()))
        is_alike = any(differing_bits(photo_hash, other) <= bits for other in near)
        return LOOKS_ALIKE if is_alike else None

    def of(self, photo: ImageRef) -> str | None:
        """Why a photo may not be used, None if it may; reads it if its address says nothing."""
        return self.by_name(photo) or self.by_content(*_content(photo.uri, self.limits))


def marks_of(settings: EngineSettings) -> Marks:
    """Reads every photo of the held-out truth, those without an object too.

    Raises:
        ConfigurationError: if the truth cannot be read, or its photos are not there.
    """
    parameters, limits = settings.data, settings.pool.limits
    paths = [photo.path for photo in every_held_out_photo(settings)]
    contents = [_content(str(path), limits) for path in paths]
    looks: dict[str, set[int]] = {}
    for _, photo_hash in contents:
        if photo_hash is not None:
            for band in bands(photo_hash, parameters.near_duplicate_bits):
                looks.setdefault(band, set()).add(photo_hash)
    return Marks(
        places=frozenset(place_of(str(path)) for path in paths),
        sha256=frozenset(sha256 for sha256, _ in contents if sha256 is not None),
        looks={band: frozenset(hashes) for band, hashes in looks.items()},
        sources=frozenset(_sources(paths, settings)),
        parameters=parameters,
        limits=limits,
    )


def without_held_out(
    index: JoinIndex, runs: Iterable[JoinedRun], settings: EngineSettings
) -> tuple[JoinIndex, Counter[str]]:
    """An index of joined runs without held-out photos and what is too near to them.

    Args:
        index: of the runs.
        runs: whose rows tell the bytes' digests.
        settings: of the engine.

    Returns:
        The index that is left, and the number of photos that are not, by reason.
    """
    marks = marks_of(settings)
    sha256_of = {
        row.ref.image_id: row.sha256 for run in runs for row in read_rows(run.address, columns=[])
    }
    kept, left_out = [], Counter[str]()
    for photo in index.photos:
        sha256 = sha256_of.get(photo.ref.image_id)
        reason = marks.by_name(photo.ref) or marks.by_content(sha256, photo.photo_hash)
        if reason is None:
            kept.append(photo)
        else:
            left_out[reason] += 1
    return replace(index, photos=tuple(kept)), left_out


def every_held_out_photo(settings: EngineSettings) -> list[TruthPhoto]:
    """All photos of the truth, those without an object too.

    Raises:
        ConfigurationError: if the truth cannot be read, or its photos are not there.
    """
    folder = _images(settings)
    return read_truth(Path(settings.under_root(settings.held_out.truth)), folder, with_empty=True)


def _all_and_measured(settings: EngineSettings) -> list[tuple[TruthPhoto, bool]]:
    """All photos with objects, and whether checkpoints are measured on them."""
    photos = [photo for photo in every_held_out_photo(settings) if photo.masks]
    rng = np.random.default_rng(settings.held_out.seed)
    few = set(rng.permutation(len(photos))[: settings.held_out.photos].tolist())
    return [(photo, place in few) for place, photo in enumerate(photos)]


def _images(settings: EngineSettings) -> Path | None:
    images = settings.held_out.images
    return None if images is None else Path(settings.under_root(images))


def place_of(uri: str) -> str:
    """Where a photo really is."""
    filesystem, path = open_filesystem(uri)
    if is_local(filesystem):
        return os.path.realpath(path)
    return str(filesystem.unstrip_protocol(path))


def _content(uri: str, limits: PhotoLimits) -> tuple[str | None, int | None]:
    """Digest and perceptual hash; None for what cannot be read, which will be an error row."""
    sha256 = None
    try:
        data = read_photo(uri, limits)
        sha256 = hashlib.sha256(data).hexdigest()
        return sha256, perceptual_hash(decode_photo(data, limits).pixels_HWC)
    except RecordError:
        return sha256, None


def _sources(paths: Sequence[Path], settings: EngineSettings) -> Iterator[str]:
    """Sources of frames, by paths as the truth has them and as the pool would."""
    roots = [_images(settings), Path(settings.under_root(settings.pool.source))]
    for path in paths:
        names = {path.name}
        names |= {str(path.relative_to(r)) for r in roots if r and path.is_relative_to(r)}
        for name in names:
            source = settings.data.source_of_frame(name)
            if source is not None:
                yield source
