"""From candidates to records: cleaned, encoded, each mask once, the surest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stages import gates, rle
from stages.candidates import Candidate
from stages.cleanup import MaskPatch, clean, tight
from stages.records import MaskRecord
from stages.tally import Tally

RecordOf = Callable[[Candidate, MaskPatch], MaskRecord]


def finished(
    candidates: Iterable[Candidate],
    record_of: RecordOf,
    size_hw: tuple[int, int],
    min_region_area_px: int,
    tally: Tally,
) -> list[MaskRecord]:
    """Cleans, encodes and orders. No NMS again afterwards: the paper's chain ends here.

    Args:
        candidates: that passed the gates.
        record_of: makes the record of a cleaned candidate.
        size_hw: of the upright original.
        min_region_area_px: islands and holes below are cleaned away.
        tally: counts what is dropped here.
    """
    records: dict[str, MaskRecord] = {}
    for candidate in sorted(candidates, key=lambda c: -c.predicted_iou):
        with tally.timed("cleanup"):
            cleaned = _cleaned(candidate, size_hw, min_region_area_px)
        if cleaned is None:
            tally.drop(gates.TOO_SMALL)
            continue
        with tally.timed("encode"):
            record = record_of(candidate, cleaned)
        if record.mask_id in records:
            tally.drop(gates.SAME_AFTER_CLEANUP)
        records.setdefault(record.mask_id, record)
    return sorted(records.values(), key=lambda m: (-(m.predicted_iou or 0), m.mask_id))


def _cleaned(candidate: Candidate, size_hw: tuple[int, int], min_area_px: int) -> MaskPatch | None:
    patch = MaskPatch(rle.decode(candidate.patch), candidate.left, candidate.top)
    cleaned = clean(patch, size_hw, min_area_px)
    return None if cleaned is None else tight(cleaned)
