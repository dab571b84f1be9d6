"""What one training run is made of; its YAML file has exactly these keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.training.session import SessionParameters

STRICT = ConfigDict(frozen=True, strict=True, extra="forbid")


class ViewParameters(BaseModel):
    """How square views are cut out of annotated photos."""

    model_config = STRICT

    whole_share: float = Field(
        default=0.4, ge=0, le=1, description="views of the whole photo, padded to a square"
    )
    zoom: tuple[float, float] = Field(
        default=(1.2, 5.0),
        strict=False,
        description="a window's side in sides of the thing it is centred on: smallest, largest",
    )
    photo_share: tuple[float, float] | None = Field(
        default=None,
        strict=False,
        description="a window's side in sides of the photo, in place of `zoom`: things are then "
        "as large as where the model sees whole photos, if this is about side_px / its input",
    )
    smallest_window_px: int = Field(default=96, gt=0, description="in pixels of the photo")
    any_direction: bool = Field(default=False, description="turn by quarters, flip upside down")
    exhaustive: bool = Field(
        default=False, description="every object has a mask, so clicks elsewhere are on nothing"
    )
    region_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="views whose targets are filled up with Felzenszwalb regions",
    )
    augment: bool = Field(
        default=True, description="mirror views and change their colours; false: as they are"
    )

    @model_validator(mode="after")
    def _turns_are_augmentation(self) -> ViewParameters:
        if self.any_direction and not self.augment:
            raise ValueError("any_direction turns views, so it needs augment: true")
        return self


class PhotoSourceParameters(BaseModel):
    """Photos with masks: a COCO file, an SA-1B folder, or the shards of a run."""

    model_config = STRICT

    kind: Literal["coco", "sa1b", "shards"]
    name: str = Field(description="for the log, and for composites that use it")
    path: str = Field(
        description="COCO's JSON file, SA-1B's folder, or a run's folder (fsspec URLs too)"
    )
    images: str | None = Field(default=None, description="folder of the photos, if elsewhere")
    exclude: tuple[str, ...] = Field(
        default=(), strict=False, description="file names of photos that must not be used"
    )
    weight: float = Field(default=1.0, ge=0, description="how readily it is drawn from")
    photos_by_masks: float = Field(
        default=0.5,
        ge=0,
        description="photos are drawn by their number of masks to this power: 0 draws all alike, "
        "1 all masks alike",
    )
    views: ViewParameters = ViewParameters()


class SamplingParameters(BaseModel):
    """Which masks of a data set are asked for how often."""

    model_config = STRICT

    manual_weight: float = Field(
        default=10.0, ge=0, description="a person's mask for one of a machine's (paper: 10)"
    )
    replay_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="pictures of photos of earlier rounds; unset: as many as there are",
    )
    most_corrected: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="only this share of people's masks, those that took the most clicks and brush",
    )


class StreamSourceParameters(BaseModel):
    """Photos with masks straight out of shards that carry their photos, without unpacking."""

    model_config = STRICT

    kind: Literal["stream"]
    name: str = Field(description="for the log")
    path: str = Field(description="a run's folder: a path or an fsspec URL")
    weight: float = Field(default=1.0, ge=0, description="how readily it is drawn from")
    views: ViewParameters = ViewParameters()
    sampling: SamplingParameters = SamplingParameters()
    photos_at_once: int = Field(
        default=16, gt=0, description="photos in memory; pictures are drawn from these"
    )
    views_per_photo: int = Field(
        default=4, gt=0, description="pictures drawn of a photo before others take its place"
    )


class CompositeSourceParameters(BaseModel):
    """Things cut out of some sources' photos, laid over views of another."""

    model_config = STRICT

    kind: Literal["composite"]
    name: str = "composite"
    over: str = Field(description="name of the source that gives the backgrounds")
    cut_from: tuple[str, ...] = Field(strict=False, description="sources that give the things")
    most_per_photo: int = Field(default=6, gt=0, description="largest things taken of a photo")
    single_share: float = Field(default=0.3, ge=0, le=1, description="scenes of one large thing")
    weight: float = Field(default=1.0, ge=0)


class ProceduralSourceParameters(BaseModel):
    """Scenes drawn from nothing."""

    model_config = STRICT

    kind: Literal["procedural"]
    name: str = "procedural"
    textures_from: tuple[str, ...] = Field(
        default=(), strict=False, description="sources whose photos give natural patches"
    )
    photo_share: float = Field(default=0.45, ge=0, le=1, description="textures that are patches")
    weight: float = Field(default=1.0, ge=0)


SourceParameters = Annotated[
    PhotoSourceParameters
    | StreamSourceParameters
    | CompositeSourceParameters
    | ProceduralSourceParameters,
    Field(discriminator="kind"),
]


class DataParameters(BaseModel):
    """Where examples come from, and their size."""

    model_config = STRICT

    sources: tuple[SourceParameters, ...] = Field(min_length=1, strict=False)
    side_px: int = Field(default=512, gt=0, multiple_of=32, description="of the square pictures")
    images_per_step: int = Field(default=4, gt=0, description="pictures in a batch, all processes")
    masks_per_image: int = Field(default=5, gt=0, description="masks asked for in a picture")
    innermost_share: float = Field(
        default=0.5, ge=0, le=1, description="first clicks at the innermost point; others anywhere"
    )
    nothing_share: float = Field(
        default=0.05, ge=0, le=1, description="first clicks beside all objects, where that is known"
    )
    repeat_after: int = Field(
        default=0, ge=0, description="draw so many examples, then the same again; 0: always new"
    )
    seed: int = Field(default=0, description="of all that is drawn")
    drawing_processes: int = Field(default=1, ge=0, description="0: draw in the training process")


class LogParameters(BaseModel):
    """How often the run says and keeps what."""

    model_config = STRICT

    figures_every_steps: int = Field(default=25, gt=0)
    save_every_seconds: float = Field(default=240, gt=0)
    overlays_every_steps: int = Field(default=500, ge=0, description="0: no pictures")


class TrainingConfiguration(BaseModel):
    """A whole run: `mask-engine train FILE --out RUN`."""

    model_config = STRICT

    data: DataParameters
    session: SessionParameters
    log: LogParameters = LogParameters()
    threads: int = Field(default=0, ge=0, description="of the network; 0: all cores")
    data_names: tuple[str, ...] = Field(
        default=(), strict=False, description="for the checkpoint's card: data and versions"
    )
