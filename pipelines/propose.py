# No `from __future__ import annotations`: Beam reads these type hints when a pipeline is built.
"""Masks for photos inside somebody's own Beam pipeline.

`ProposeMasks` has no opinion on files: photos' references come in, rows go out, and rows of
photos that failed go out beside them. `automatic.run_automatic` is for whole data sets.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput

from pipelines.image_work import ImageRecipe, load_photo, make_row
from pipelines.plan import PlannedImage
from pipelines.promised_model import CheckpointSegmenter, promised_model
from pipelines.shard_work import SegmenterFactory
from pipelines.shared_model import SharedModel
from stages.photos import PhotoLimits
from stages.presets import parameters_for
from stages.records import ImageRef, ImageRow

ROWS: Final = "rows"
FAILURES: Final = "failures"


_Output = ImageRow | TaggedOutput[Literal["failures"], ImageRow]


class Proposed(NamedTuple):
    """What comes out: every photo is in one of the two.

    Attributes:
        rows: photos with their masks.
        failures: photos with their error and no masks.
    """

    rows: PCollection[ImageRow]
    failures: PCollection[ImageRow]


class ProposeMasks(beam.PTransform[PCollection[ImageRef], Proposed]):
    """Photos' references to rows with masks.

    Masks pass no shuffle in here; keep them out of yours, or pass on what you need of them.

    Args:
        checkpoint: a name, or the path of a checkpoint file that every worker can read.
        preset: named settings of the automatic stage.
        parameters: settings that differ from it.
        limits: what a photo may cost before it is refused.
        device: where the model runs.
        threads: threads of the model in each worker process.
        segmenter: gives the model, in place of the checkpoint; has to be picklable.

    Raises:
        ConfigurationError: when it is built, if something asked for cannot be done.
    """

    def __init__(
        self,
        checkpoint: str = "starter",
        *,
        preset: str = "default",
        parameters: Mapping[str, Any] | None = None,
        limits: PhotoLimits | None = None,
        device: str = "cpu",
        threads: int = 1,
        segmenter: SegmenterFactory | None = None,
    ) -> None:
        super().__init__()
        model = promised_model(checkpoint, segmenter)
        settled, _ = parameters_for(preset, parameters or {}, model.recommended)
        self._recipe = ImageRecipe(settled, limits or PhotoLimits(), threads=threads)
        self._segmenter = segmenter or CheckpointSegmenter(checkpoint, device, threads)

    def expand(self, photos: PCollection[ImageRef]) -> Any:
        """Wires the one step and gives a `Proposed` (Beam's hints know one collection only)."""
        outputs = photos | "Propose" >> beam.ParDo(
            _ProposeForPhoto(self._recipe, self._segmenter)
        ).with_outputs(FAILURES, main=ROWS)
        return Proposed(outputs[ROWS], outputs[FAILURES])


class _ProposeForPhoto(beam.DoFn):
    def __init__(self, recipe: ImageRecipe, segmenter: SegmenterFactory) -> None:
        self._recipe = recipe
        self._model = SharedModel(segmenter)

    def setup(self) -> None:
        self._model.load()

    def process(
        self, photo: ImageRef
    ) -> Iterator[ImageRow | TaggedOutput[Literal["failures"], ImageRow]]:
        planned = PlannedImage(photo, revision=0)
        load = partial(load_photo, planned, self._recipe)
        row, _ = make_row(planned, load, self._model.segmenter, self._recipe)
        yield TaggedOutput(FAILURES, row) if row.error else row
