"""A simulated annotator works through a folder of photos; what it accepts becomes a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from engine.evaluation.truth import TruthPhoto, read_truth
from engine.simulation.annotator import AnnotatorParameters, Answers
from engine.simulation.photo_work import work_on_photo
from model.errors import ConfigurationError, RecordError
from pipelines.imported import write_imported_run
from pipelines.progress import ProgressCallback, ignore_progress
from pipelines.reading import read_photo
from pipelines.sources import list_photos, source_address
from pipelines.summary import Summary
from stages import ids
from stages.photos import Photo, PhotoLimits, decode_photo
from stages.records import ErrorRecord, ImageRef, ImageRow

STAGE = "assisted_manual"


class SimulatedRun(BaseModel):
    """A complete simulated stage."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    source: str = Field(description="Folder of the photos that the truth is about.")
    out: str = Field(description="The run's folder: a path or an fsspec URL.")
    source_name: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the source, part of every id; the last part of its address if unset.",
    )
    checkpoint: str = Field(
        default="starter", description="The model: a name, or the path of a checkpoint file."
    )
    annotator: AnnotatorParameters = Field(
        default_factory=AnnotatorParameters, description="How the annotator works."
    )
    limits: PhotoLimits = Field(
        default_factory=PhotoLimits, description="What a photo may cost before it is refused."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads of the model; the cores if unset."
    )
    device: str = Field(default="cpu", description="Where the model runs: cpu, cuda or mps.")


class View(Answers, Protocol):
    """Answers about one photo after another."""

    def look_at(self, ref: ImageRef, photo: Photo) -> None:
        """Takes a photo into view."""
        ...


def run_simulation(
    config: SimulatedRun,
    truth: Path,
    view: View,
    *,
    progress: ProgressCallback = ignore_progress,
) -> Summary:
    """Annotates every known object of every photo, and writes what was accepted as a run.

    Args:
        config: the run; where its folder holds the same one already, what is done stays.
        truth: COCO file of the known masks.
        view: where masks come from.
        progress: called after every photo.

    Raises:
        ConfigurationError: if truth and photos do not fit, or the folder holds another run.
    """
    known = _known_photos(config, truth)
    refs = [ref for ref in list_photos(config.source, name=config.source_name) if ref.uri in known]
    if not refs:
        raise ConfigurationError(
            f"{truth}: none of its {len(known)} photos is one of {config.source}: give the folder "
            "that its file names are relative to as `source`"
        )
    configuration = {
        "stage": STAGE,
        "truth": ids.digest(truth.read_text(encoding="utf-8")),
        "annotator": config.annotator.model_dump(mode="json"),
        "model_id": view.model_id,
    }
    return write_imported_run(
        config.out,
        refs,
        lambda ref: _row(ref, known[ref.uri], view, config),
        source=source_address(config.source),
        configuration=configuration,
        progress=progress,
    )


def _known_photos(config: SimulatedRun, truth: Path) -> Mapping[str, TruthPhoto]:
    """Photos with known masks by their address."""
    folder = Path(source_address(config.source))
    if not folder.is_dir():
        raise ConfigurationError(f"{config.source}: a simulation needs a folder of photos")
    return {str(photo.path): photo for photo in read_truth(truth, folder)}


def _row(ref: ImageRef, known: TruthPhoto, view: View, config: SimulatedRun) -> ImageRow:
    try:
        photo = decode_photo(read_photo(ref.uri, config.limits), config.limits)
        check_sizes(known, photo)
        view.look_at(ref, photo)
        work = work_on_photo(ref, known, view, config.annotator)
    except RecordError as error:
        return ImageRow(ref, STAGE, error=ErrorRecord(error.kind, str(error)))
    return ImageRow(
        ref,
        STAGE,
        width=photo.width,
        height=photo.height,
        sha256=photo.sha256,
        masks=work.masks,
        dropped=work.dropped,
    )


def check_sizes(known: TruthPhoto, photo: Photo) -> None:
    """Raises RecordError where the truth is about a photo of another size."""
    for mask in known.masks:
        if mask.size_hw != (photo.height, photo.width):
            height, width = mask.size_hw
            raise RecordError(
                "size_mismatch",
                f"the truth is {width} x {height} px, the photo {photo.width} x {photo.height}",
            )
