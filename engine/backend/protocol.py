"""Label Studio's ML-backend protocol: what `/predict` sends, as far as it is used.

Tasks come with every annotation, draft and prediction they have, megabytes of it. pydantic reads
the JSON and skips what is not named here without making objects of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.backend.errors import RequestError

# More prompts than a person gives for one object, and few enough to replay.
MOST_PROMPTS: Final = 100

Percent = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
SidePixels = Annotated[int, Field(ge=1, le=10**6)]


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PromptValue(_Read):
    """Where a prompt is, in percent of the photo, and the label it was given with."""

    x: Percent
    y: Percent
    width: Percent = 0.0
    height: Percent = 0.0
    keypointlabels: list[str] = []
    rectanglelabels: list[str] = []
    labels: list[str] = []

    @property
    def label(self) -> str | None:
        """The smart tool's label, if one was chosen."""
        chosen = self.keypointlabels or self.rectanglelabels or self.labels
        return chosen[0] if chosen else None


class PromptRegion(_Read):
    """One prompt: a click, or a box; or, under the id of one, the label that was chosen for it."""

    type: Literal["keypointlabels", "keypoint", "rectanglelabels", "rectangle", "labels"]
    value: PromptValue
    id: str | None = None
    is_positive: bool | None = None
    original_width: SidePixels | None = None
    original_height: SidePixels | None = None

    @property
    def is_click(self) -> bool:
        """Whether it is a click; else it is a box."""
        return self.type.startswith("keypoint")


class Context(_Read):
    """What the annotator has done since the last mask."""

    result: Annotated[list[PromptRegion], Field(max_length=MOST_PROMPTS)] = []

    @property
    def prompts(self) -> list[PromptRegion]:
        """Clicks and boxes, each with the label that stands beside it."""
        beside = {r.id: r.value.labels for r in self.result if r.type == "labels"}
        return [
            region.model_copy(
                update={"value": region.value.model_copy(update={"labels": beside[region.id]})}
            )
            if region.id in beside
            else region
            for region in self.result
            if region.type != "labels"
        ]


class Params(_Read):
    """Of these, only the context matters: the rest is a server's own affair."""

    context: Context | None = None


class Task(_Read):
    """A photo to label."""

    id: int | str | None = None
    data: dict[str, Any] = {}


class PredictRequest(_Read):
    """The body of a `/predict`."""

    tasks: list[Task]
    project: int | str | None = None
    label_config: str | None = None
    params: Params = Params()

    @property
    def project_id(self) -> str:
        """The project without the time that Label Studio writes behind it (`12.1699999999`)."""
        return str(self.project if self.project is not None else "").partition(".")[0]


def read_predict_request(body: bytes) -> PredictRequest:
    """Reads the body of a `/predict`.

    Raises:
        RequestError: if it is not such a body; the message names the field, not its value.
    """
    try:
        return PredictRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        problem = "not JSON" if first["type"] == "json_invalid" else first["msg"]
        raise RequestError(400, f"not a prediction request ({where}: {problem})") from None
