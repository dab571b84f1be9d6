"""One photo from its address to its row. Whatever goes wrong with it ends here, as its error."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from model.errors import ConfigurationError, RecordError, StopError
from model.segmenter import PromptableSegmenter
from pipelines.plan import PlannedImage
from pipelines.reading import read_photo
from stages.automatic import AutomaticParameters, propose_masks
from stages.photos import Photo, PhotoLimits, decode_photo
from stages.records import AUTOMATIC, ErrorRecord, ImageRow
from stages.upright import upright_file

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedPhoto:
    """A photo in memory.

    Attributes:
        photo: its pixels.
        file: the upright photo's file without EXIF, where the run embeds photos.
        seconds: what reading and decoding took.
    """

    photo: Photo
    file: bytes | None
    seconds: dict[str, float]


@dataclass(frozen=True)
class ImageRecipe:
    """How photos become rows; the same for all photos of a run.

    Attributes:
        parameters: of the automatic stage, with the thresholds in use.
        limits: what a photo may cost.
        embed_images: whether rows carry the photo's file.
        round: of the engine.
        threads: batches of a photo's prompts that are worked on at once.
    """

    parameters: AutomaticParameters
    limits: PhotoLimits = field(default_factory=PhotoLimits)
    embed_images: bool = False
    round: int = 0
    threads: int = 1


def load_photo(planned: PlannedImage, recipe: ImageRecipe) -> LoadedPhoto:
    """Reads and decodes a photo.

    Raises:
        RecordError: if that cannot be done.
    """
    started = time.perf_counter()
    data = read_photo(planned.ref.uri, recipe.limits)
    read = time.perf_counter()
    photo = decode_photo(data, recipe.limits)
    file = upright_file(data, recipe.limits) if recipe.embed_images else None
    decoded = time.perf_counter()
    return LoadedPhoto(photo, file, {"read": read - started, "decode_photo": decoded - read})


def make_row(
    planned: PlannedImage,
    load: Callable[[], LoadedPhoto],
    segmenter: PromptableSegmenter,
    recipe: ImageRecipe,
) -> tuple[ImageRow, dict[str, float]]:
    """A photo's row, with its masks or with its error, and the seconds by step.

    Args:
        planned: which photo.
        load: gives the photo, or raises what stood in the way.
        segmenter: the model.
        recipe: how.

    Raises:
        StopError, ConfigurationError: what concerns more than this photo.
    """
    try:
        loaded = load()
        return _proposed(planned, loaded, segmenter, recipe)
    except (StopError, ConfigurationError):
        raise
    except RecordError as error:
        return _failed(planned, recipe, error.kind, str(error)), {}
    except Exception as error:
        LOGGER.warning("%s: failed unexpectedly", planned.ref.uri, exc_info=True)
        return _failed(planned, recipe, "internal", f"{type(error).__name__}: {error}"), {}


def _proposed(
    planned: PlannedImage, loaded: LoadedPhoto, segmenter: PromptableSegmenter, recipe: ImageRecipe
) -> tuple[ImageRow, dict[str, float]]:
    photo = loaded.photo
    proposed = propose_masks(
        segmenter,
        photo.pixels_HWC,
        image_id=planned.ref.image_id,
        parameters=recipe.parameters,
        threads=recipe.threads,
    )
    row = ImageRow(
        planned.ref,
        AUTOMATIC,
        width=photo.width,
        height=photo.height,
        sha256=photo.sha256,
        image=loaded.file,
        round=recipe.round,
        revision=planned.revision,
        masks=proposed.masks,
        dropped=proposed.dropped,
    )
    return row, {**loaded.seconds, **proposed.seconds}


def _failed(planned: PlannedImage, recipe: ImageRecipe, kind: str, message: str) -> ImageRow:
    return ImageRow(
        planned.ref,
        AUTOMATIC,
        round=recipe.round,
        revision=planned.revision,
        error=ErrorRecord(kind, message),
    )
