"""What people did to the masks that their task began with: left, moved or deleted, as reviews."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from engine.assist.answer_content import Content, Drawing
from engine.assist.rows import RowMaker, drawn_by_each, winner_of
from engine.label_studio.outline import is_untouched, outline_of, points_of
from engine.label_studio.simulated_mark import simulated_by
from pipelines.answers import read_answers
from pipelines.collect import CollectedRun
from pipelines.reviews import has_part, write_reviews
from stages import rle
from stages.records import MaskRecord
from stages.reviews import ACCEPT, FIX, REJECT, ReviewRecord


def review_collected(run: CollectedRun, maker: RowMaker) -> None:
    """Writes the reviews of every shard that has none yet; the same, however often.

    Of a photo, those of the person whose masks count (as `maker` decides) come last: the last
    verdict on a mask holds, and a mask that the winner kept is not rejected by anybody else.
    """
    for shard in range(run.plan.shards):
        if not has_part(run.folder, shard):
            answers = read_answers(run.folder, shard)
            found = [
                review
                for image in answers
                for review in reviews_of(
                    _winner_last(Content.from_text(answers[image].content), image, maker), image
                )
            ]
            write_reviews(run.folder, shard, found)


def _winner_last(content: Content, image_id: str, maker: RowMaker) -> Content:
    judging = [drawing for drawing in content.drawings if not drawing.skipped]
    if len(judging) < 2 or not content.prefilled:
        return content
    size_hw = next(iter(content.prefilled.values())).segmentation.size_hw
    drawn = drawn_by_each(content, image_id, size_hw, maker.labels)
    chosen = winner_of(drawn, maker.winner)
    won = next(place for place, one in enumerate(drawn) if one is chosen)
    return replace(content, drawings=[*judging[:won], *judging[won + 1 :], judging[won]])


def reviews_of(content: Content, image_id: str) -> Iterator[ReviewRecord]:
    """A verdict on each mask that the task began with, of everybody who did not skip it."""
    for drawing in content.drawings:
        if not drawing.skipped:
            for region, mask in content.prefilled.items():
                yield ReviewRecord(
                    mask_id=mask.mask_id,
                    image_id=image_id,
                    verdict=verdict_on(region, mask, drawing),
                    annotator=_who_judged(region, drawing),
                    seconds=drawing.looked.get(region),
                    at=_time_of(drawing.at),
                )


def _who_judged(region_id: str, drawing: Drawing) -> str:
    """Whoever left the region as it is; where it is gone, whoever made what else there is."""
    there = [r for r in drawing.regions if str(r.get("id")) == region_id]
    return simulated_by(there or drawing.regions, drawing.annotator)


def verdict_on(region_id: str, mask: MaskRecord, drawing: Drawing) -> str:
    """What a person did to a mask: kept it, moved its outline, or deleted it."""
    region = next((r for r in drawing.regions if str(r.get("id")) == region_id), None)
    if region is None:
        return REJECT
    try:
        corners = points_of(region)
    except ValueError:
        return FIX
    same = is_untouched(corners, outline_of(rle.decode(mask.segmentation)))
    return ACCEPT if same else FIX


def _time_of(text: str) -> datetime:
    """A server's time; without one, the first moment of 1970 says that nobody knows."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
