"""Pairs of masks: what a data set says, and what somebody who looked closely says instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.evaluation.truth import TruthPhoto
from model.errors import ConfigurationError
from pipelines.imported import write_imported_run
from pipelines.manifest import read_manifest
from pipelines.reviews import read_reviews
from pipelines.shards import read_rows
from pipelines.storage import Folder
from stages import rle
from stages.records import AUTOMATIC, ImageRef, ImageRow, MaskRecord

SAMPLE_STAGE: Final = "audit"


@dataclass(frozen=True)
class Pair:
    """One mask and how well it stands against its corrected form.

    Attributes:
        image_id, mask_id: which mask.
        source: of the photo.
        iou: with the corrected mask; 1 where nobody changed it, 0 where it is no object.
        area_px: of the mask.
        predicted_iou, stability: as the model gave them.
    """

    image_id: str
    mask_id: str
    source: str
    iou: float
    area_px: int
    predicted_iou: float | None
    stability: float | None


def sample_masks(run: str, out: str, *, masks: int, seed: int) -> int:
    """Writes a run of photos with only the sampled masks; returns how many these are.

    Every mask is equally likely. Memory holds the chosen ids only.

    Raises:
        ConfigurationError: if the run holds no mask, or `out` is another run's folder.
    """
    chosen = _reservoir(run, masks, seed)
    if not chosen:
        raise ConfigurationError(f"{run}: holds no mask, so there is nothing to audit")
    refs: list[ImageRef] = [
        row.ref
        for row in read_rows(run, columns=["masks"])
        if any(mask.mask_id in chosen for mask in row.masks)
    ]
    rows = _Sampled(run, chosen)
    write_imported_run(
        out,
        sorted(refs, key=lambda ref: (ref.path, ref.image_id)),
        rows.row,
        source=run,
        configuration={"stage": SAMPLE_STAGE, "masks": masks, "seed": seed},
    )
    return len(chosen)


def pairs_with_truth(run: str, known: Mapping[str, TruthPhoto]) -> Iterator[Pair]:
    """Each mask of a run with the most alike of its photo's known masks.

    Args:
        run: its photos' addresses are keys of `known`; other photos are passed over.
        known: photos with every mask known.

    Raises:
        ConfigurationError: once the run is read, if none of its photos is known.
    """
    elsewhere: str | None = None
    any_known = False
    for row in read_rows(run, columns=["masks"]):
        photo = known.get(row.ref.uri)
        if photo is None:
            elsewhere = row.ref.uri
            continue
        any_known = True
        if not row.masks:
            continue
        truths = [rle.encode(mask.mask()) for mask in photo.masks]
        ious = rle.pairwise_iou([mask.segmentation for mask in row.masks], truths)
        best = ious.max(axis=1) if len(truths) else np.zeros(len(row.masks))
        for mask, iou in zip(row.masks, best.tolist(), strict=True):
            yield _pair(row, mask, iou)
    if elsewhere is not None and not any_known:
        raise ConfigurationError(
            f"{run}: the known masks are of none of its photos, which are compared by their "
            f"addresses: it holds {elsewhere}, known is {next(iter(known), 'no photo')}; give the "
            "folder that the run was made from as --photos"
        )


def pairs_with_corrections(run: str, corrected: str) -> Iterator[Pair]:
    """Each mask that people were shown with what they made of it.

    Masks that nobody was shown say nothing, and photos that nobody did are passed over. Where
    there are reviews, they tell what was shown; else the run has to be a sample, all of which was.

    Raises:
        ConfigurationError: if nobody can say which masks were shown, or if `corrected` holds no
            photo, or none that has been with people.
    """
    shown = {review.mask_id for review in read_reviews(Folder(corrected))}
    if not shown and not _is_sample(run):
        raise ConfigurationError(
            f"{run}: is no audit's sample, and {corrected} has no reviews that say which of its "
            "masks people were shown; the others would count as wrong. Give the sample that was "
            f"sent to them (`mask-engine audit {run} --sample DIR` draws one)"
        )
    people = list(read_rows(corrected, columns=["masks"]))
    if not people:
        raise ConfigurationError(
            f"{corrected}: holds no photo yet, so there is nothing to compare with. Collect again "
            "once people have finished some."
        )
    if all(row.stage == AUTOMATIC for row in people):
        raise ConfigurationError(
            f"{corrected}: holds masks as the model made them, which nobody corrected: compared "
            "with themselves all would be right. Give the run that people's answers were collected "
            "into (`out` of the file that --send and --collect got)."
        )
    done = {row.ref.image_id: row.masks for row in people if row.error is None}
    for row in read_rows(run, columns=["masks"]):
        if row.ref.image_id in done:
            for mask in row.masks:
                if not shown or mask.mask_id in shown:
                    yield _pair(row, mask, _iou_with_correction(mask, done[row.ref.image_id]))


def _is_sample(run: str) -> bool:
    manifest = read_manifest(Folder(run))
    return manifest is not None and manifest.configuration.get("stage") == SAMPLE_STAGE


def _iou_with_correction(mask: MaskRecord, people: Sequence[MaskRecord]) -> float:
    for other in people:
        if other.mask_id == mask.mask_id:
            return 1.0
    for other in people:
        if other.derived_from == mask.mask_id:
            return float(rle.pairwise_iou([mask.segmentation], [other.segmentation])[0, 0])
    return 0.0


def _pair(row: ImageRow, mask: MaskRecord, iou: float) -> Pair:
    return Pair(
        row.ref.image_id,
        mask.mask_id,
        row.ref.source,
        iou,
        mask.area,
        mask.predicted_iou,
        mask.stability_score,
    )


def _reservoir(run: str, masks: int, seed: int) -> set[str]:
    """A uniform sample of mask ids in one pass (Vitter's algorithm R)."""
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    seen = 0
    for row in read_rows(run, columns=["masks"]):
        for mask in row.masks:
            seen += 1
            if len(chosen) < masks:
                chosen.append(mask.mask_id)
            elif (place := int(rng.integers(seen))) < masks:
                chosen[place] = mask.mask_id
    return set(chosen)


class _Sampled:
    """Rows of a run with only the chosen masks, in the order they are asked for."""

    def __init__(self, run: str, chosen: set[str]) -> None:
        self._run, self._chosen = run, chosen
        self._rows = iter(read_rows(run, columns=["masks"]))
        self._passed: dict[str, ImageRow] = {}

    def row(self, ref: ImageRef) -> ImageRow:
        """A photo's row."""
        while ref.image_id not in self._passed:
            row = next(self._rows)
            masks = tuple(mask for mask in row.masks if mask.mask_id in self._chosen)
            if masks:
                kept = ImageRow(
                    row.ref,
                    row.stage,
                    width=row.width,
                    height=row.height,
                    sha256=row.sha256,
                    masks=masks,
                )
                self._passed[row.ref.image_id] = kept
        return self._passed.pop(ref.image_id)
