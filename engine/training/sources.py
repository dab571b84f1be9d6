"""From a configuration's list of sources to something that draws batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.annotated import AnnotatedPhoto
from engine.training.coco_folder import read_coco
from engine.training.composites import Composites, collect_cut_outs
from engine.training.mixture import Mixture, WeightedSource
from engine.training.parameters import (
    CompositeSourceParameters,
    DataParameters,
    PhotoSourceParameters,
    ProceduralSourceParameters,
    StreamSourceParameters,
)
from engine.training.photo_views import PhotoScenes
from engine.training.procedural.scenes import ProceduralScenes
from engine.training.procedural.textures import TextureMaker
from engine.training.run_photos import read_run
from engine.training.sa1b_folder import read_sa1b
from engine.training.scene import NumberedScenes, SceneSource
from engine.training.shard_stream import ShardStream
from model.errors import ConfigurationError

TEXTURE_SIDE_PX = 320
MOST_TEXTURE_PHOTOS = 250


@dataclass(frozen=True)
class MixtureFactory:
    """Builds the mixture inside each drawing process; plain values, so that it can be sent there.

    Attributes:
        data: the configuration.
        cache: folder for what is computed once (regions of photos).
    """

    data: DataParameters
    cache: Path

    def __call__(self) -> Mixture:
        """Read annotation files, cut things out, and mix.

        Raises:
            ConfigurationError: a source is missing, empty, or names another that is not there.
        """
        data = self.data
        photos = {
            s.name: read_photos(s) for s in data.sources if isinstance(s, PhotoSourceParameters)
        }
        views = {
            s.name: _views(s, photos[s.name], self.cache)
            for s in data.sources
            if isinstance(s, PhotoSourceParameters)
        }
        mixed = []
        for source in data.sources:
            drawn: SceneSource | NumberedScenes
            if isinstance(source, PhotoSourceParameters):
                drawn = views[source.name]
            elif isinstance(source, StreamSourceParameters):
                drawn = ShardStream(source)
            elif isinstance(source, CompositeSourceParameters):
                drawn = _composites(source, photos, views)
            else:
                drawn = _procedural(source, photos)
            mixed.append(WeightedSource(source.name, drawn, source.weight))
        return Mixture(
            mixed,
            seed=data.seed,
            side_px=data.side_px,
            masks=data.masks_per_image,
            innermost_share=data.innermost_share,
            nothing_share=data.nothing_share,
            repeat_after=data.repeat_after,
        )


def read_photos(source: PhotoSourceParameters) -> list[AnnotatedPhoto]:
    """The photos of a source that have a usable mask.

    Raises:
        ConfigurationError: it is missing, empty, or not what it is said to be.
    """
    if "://" in source.path and source.kind != "shards":
        raise ConfigurationError(
            f"source {source.name!r}: {source.path} is no path of this machine, and {source.kind} "
            "is read from one. Copy it here first; only a run's shards are read where they are."
        )
    path = Path(source.path)
    if "://" not in source.path and not path.exists():
        raise ConfigurationError(
            f"source {source.name!r}: {path} does not exist, seen from {Path.cwd()}. Correct its "
            "path, or make it first (the comments of the configuration say how)."
        )
    images = Path(source.images) if source.images else None
    exclude = frozenset(source.exclude)
    if source.kind == "coco":
        photos = read_coco(path, images or path.parent / "images", exclude)
    elif source.kind == "sa1b":
        photos = read_sa1b(path, images or path, exclude)
    else:
        photos = read_run(source.path, exclude)
    if not photos:
        raise ConfigurationError(
            f"source {source.name!r}: {source.path} has no photo with a usable mask"
        )
    return photos


def _views(source: PhotoSourceParameters, photos: list[AnnotatedPhoto], cache: Path) -> PhotoScenes:
    views = source.views
    return PhotoScenes(
        photos,
        whole_share=views.whole_share,
        zoom=views.zoom,
        smallest_window_px=views.smallest_window_px,
        any_direction=views.any_direction,
        exhaustive=views.exhaustive,
        region_cache=cache if views.region_share else None,
        region_share=views.region_share,
        photo_share=views.photo_share,
        by_masks=source.photos_by_masks,
        augment=views.augment,
    )


def _composites(
    source: CompositeSourceParameters,
    photos: dict[str, list[AnnotatedPhoto]],
    views: dict[str, PhotoScenes],
) -> Composites:
    _check_names(source.name, [source.over, *source.cut_from], photos)
    things = [
        thing
        for name in source.cut_from
        for thing in collect_cut_outs(photos[name], source.most_per_photo)
    ]
    if not things:
        raise ConfigurationError(f"source {source.name!r}: nothing large enough to cut out")
    return Composites(views[source.over], things, source.single_share)


def _procedural(
    source: ProceduralSourceParameters, photos: dict[str, list[AnnotatedPhoto]]
) -> ProceduralScenes:
    _check_names(source.name, source.textures_from, photos)
    chosen = [photo for name in source.textures_from for photo in photos[name]]
    step = max(1, len(chosen) // MOST_TEXTURE_PHOTOS)
    textures = [_shrink(photo.read_image()) for photo in chosen[::step]]
    return ProceduralScenes(TextureMaker(textures, source.photo_share))


def _check_names(
    asking: str, names: Sequence[str], photos: dict[str, list[AnnotatedPhoto]]
) -> None:
    for name in names:
        if name not in photos:
            known = ", ".join(sorted(photos)) or "none"
            raise ConfigurationError(
                f"source {asking!r} uses {name!r}, which is no source of photos here: {known}"
            )


def _shrink(image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = min(1.0, TEXTURE_SIDE_PX / max(image_HWC.shape[:2]))
    small = cv2.resize(image_HWC, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
