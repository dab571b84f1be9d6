from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stages.allowed_values import sentence

STRICT = ConfigDict(strict=True, extra="forbid")


class Cat(BaseModel):
    model_config = STRICT

    kind: Literal["cat"]
    lives: int = Field(default=9, ge=1)


class Dog(BaseModel):
    model_config = STRICT

    kind: Literal["dog"]
    tricks: tuple[str, ...] = Field(default=(), strict=False, min_length=1)


class Settings(BaseModel):
    model_config = STRICT

    workers: Annotated[int, Field(ge=1, le=8)] | Literal["auto"] = 1
    share: float = Field(default=0.5, ge=0, lt=1)
    rate: float | None = Field(default=None, gt=0)
    name: str = Field(default="abc", min_length=3, max_length=5)
    order: Literal["worst", "random"] = "worst"
    wanted: bool = False
    zoom: tuple[float, float] = Field(default=(1.0, 2.0), strict=False)
    side_px: int = Field(default=64, gt=0, multiple_of=32)
    rest: dict[str, Any] = {}
    pets: tuple[Annotated[Cat | Dog, Field(discriminator="kind")], ...] = Field(
        default=(), strict=False
    )

    @model_validator(mode="after")
    def _worst_needs_a_rate(self) -> Settings:
        if self.name == "wrong":
            raise ValueError("this name is taken")
        return self


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"workers": True},
            "workers must be a whole number from 1 to 8 or auto, but is true "
            "(YAML takes yes, no, on and off for true and false)",
        ),
        ({"workers": 9}, "workers must be a whole number from 1 to 8 or auto, but is 9"),
        ({"share": 1.0}, "share must be a number of at least 0 and below 1, but is 1.0"),
        (
            {"rate": "1e-4"},
            'rate must be a number above 0 or null, but is "1e-4" (that is text: leave out quotes, '
            "and write 1.0e-4 for 1e-4)",
        ),
        ({"name": "ab"}, 'name must be text of 3 to 5 characters, but is "ab"'),
        ({"name": 12}, "name must be text of 3 to 5 characters, but is 12 (quotes make it text)"),
        (
            {"name": True},
            "name must be text of 3 to 5 characters, but is true "
            "(YAML takes yes, no, on and off for true and false; quotes make them text)",
        ),
        ({"order": "best"}, 'order must be one of worst, random, but is "best"'),
        ({"wanted": "x"}, 'wanted must be true or false, but is "x"'),
        ({"zoom": [1, "x"]}, 'zoom.1 must be a number, but is "x"'),
        ({"zoom": 3}, "zoom must be a list of 2: a number, a number, but is 3"),
        ({"side_px": 100}, "side_px must be a whole number above 0 that 32 divides, but is 100"),
        ({"rest": [1]}, "rest must be a group of keys, but is [1]"),
        ({"pets": [{"kind": "cow"}]}, 'pets.0.kind must be one of cat, dog, but is "cow"'),
        ({"pets": [{}]}, "pets.0.kind is missing: it says what kind of entry this is"),
        (
            {"pets": [{"kind": "cat", "lives": 0}]},
            "pets.0.lives must be a whole number of at least 1, but is 0",
        ),
        (
            {"pets": [{"kind": "dog", "tricks": []}]},
            "pets.0.tricks must be a list of at least 1 item, each text, but is []",
        ),
        ({"name": "wrong"}, "this name is taken"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(settings, expected):
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate(settings)
    assert sentence(raised.value.errors()[0], Settings) == expected


def test_a_long_value_is_shortened():
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate({"wanted": "x" * 1000})
    assert len(sentence(raised.value.errors()[0], Settings)) < 120
