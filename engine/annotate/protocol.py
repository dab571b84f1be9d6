"""What the page sends about a photo: the whole of one person's work on it, each time.

Sending the same again changes nothing, so a page that does not know whether it was heard simply
sends again.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.backend.errors import RequestError
from stages.records import PromptRecord
from stages.rle import Rle
from stages.rle_counts import parse_counts

MOST_MASKS: Final = 5_000
MOST_POINTS: Final = 1_000
MOST_SIDE: Final = 20_000
Text = Annotated[str, Field(max_length=200)]
Id = Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{1,64}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SentPrompt(_Sent):
    """Points x, y, label (1 on the object, 0 not) and a box, in pixels of the upright photo."""

    points: list[tuple[Finite, Finite, Literal[0, 1]]] = Field(max_length=MOST_POINTS)
    box: tuple[Finite, Finite, Finite, Finite] | None = None

    def as_record(self) -> PromptRecord:
        """As the log and shards hold it."""
        return PromptRecord(
            points_xy=tuple((x, y) for x, y, _ in self.points),
            point_labels=tuple(label for *_, label in self.points),
            box_xyxy=self.box,
        )


class SentRle(_Sent):
    """COCO compressed RLE, as `stages.rle.Rle` has it."""

    size: tuple[int, int]
    counts: Annotated[str, Field(max_length=20_000_000)]

    @model_validator(mode="after")
    def _fills_its_size(self) -> SentRle:
        height, width = self.size
        if not (0 < height <= MOST_SIDE and 0 < width <= MOST_SIDE):
            raise ValueError(f"a mask of {width} x {height} px")
        if parse_counts(self.counts).sum() != height * width:
            raise ValueError("RLE counts do not fill the mask")
        return self

    def as_rle(self) -> Rle:
        """As records hold it."""
        return Rle(self.size, self.counts)


class SentMask(_Sent):
    """A mask as it stands.

    Attributes:
        id: of a mask that was there before, its own; of a clicked one, the last answer's.
        segmentation: its pixels; None where a mask that was there before is as it was.
        label: its class, or empty.
        verdict: on a mask that was there before.
    """

    id: Id
    segmentation: SentRle | None = None
    label: Text = ""
    verdict: Literal["accept", "reject"] | None = None
    predicted_iou: Finite | None = None
    prompt: SentPrompt | None = None


class SentClick(_Sent):
    """One answer that the page's model gave, as `clicks.log.ClickEntry` has it."""

    at: Finite
    region_id: Id
    object_id: Id
    prompt: SentPrompt
    predicted_iou: Finite | None = None
    milliseconds: Finite = 0.0


class SentWork(_Sent):
    """All of one person's work on one photo.

    Attributes:
        opened: seconds since 1970 when the photo was opened, each time that it was.
        seconds: that it was looked at, over all times.
        looked: seconds that each mask which was there before was the one under judgement.
        done: how it ended, or None while it goes on.
        ended: seconds since 1970 of that.
    """

    annotator: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]
    masks: list[SentMask] = Field(max_length=MOST_MASKS)
    clicks: list[SentClick] = Field(default_factory=list, max_length=100_000)
    opened: list[Finite] = Field(max_length=10_000)
    seconds: Finite = Field(ge=0)
    looked: dict[Id, Annotated[Finite, Field(ge=0)]] = Field(
        default_factory=dict, max_length=MOST_MASKS
    )
    exhaustive: bool = False
    done: Literal["complete", "skip"] | None = None
    ended: Finite | None = None


def read_work(body: bytes) -> SentWork:
    """Reads a body.

    Raises:
        RequestError: saying what is wrong with it.
    """
    try:
        return SentWork.model_validate_json(body)
    except ValidationError as error:
        first: Any = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RequestError(400, f"{place or 'body'}: {first['msg']}") from None
