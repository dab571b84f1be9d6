from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from engine.configuration import build, dotted_names, merge, parse_assignments, read_yaml
from model.errors import ConfigurationError


class Limits(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    max_pixels: int = 10


class Work(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    source: str
    limits: Limits | None = None
    share: float = 0.5


def test_later_layers_win_and_nested_keys_are_joined():
    built = build(
        Work,
        [{"source": "a", "limits": {"max_pixels": 3}}, {"share": 1.0}, {"source": "b"}],
        origin="test",
    )
    assert built == Work(source="b", limits=Limits(max_pixels=3), share=1.0)


def test_assignments_are_nested_and_read_as_yaml():
    pairs = ["a.b=1", "a.c=true", "d=[x, y]", "e=text with = in it", "f="]
    expected = {
        "a": {"b": 1, "c": True},
        "d": ["x", "y"],
        "e": "text with = in it",
        "f": None,
    }
    assert parse_assignments(pairs) == expected


@pytest.mark.parametrize("pair", ["nothing", "=3", "a..b=3", "a=[1"])
def test_a_malformed_assignment_is_named(pair):
    with pytest.raises(ConfigurationError, match="--set '"):
        parse_assignments([pair])


def test_an_unknown_key_is_named_with_the_one_that_was_meant():
    with pytest.raises(ConfigurationError, match=r"unknown key 'sorce'; did you mean 'source'\?"):
        build(Work, [{"sorce": "a"}], origin="run.yaml")


def test_a_key_at_the_wrong_depth_is_found():
    with pytest.raises(ConfigurationError, match=r"did you mean 'limits.max_pixels'\?"):
        build(Work, [{"source": "a", "max_pixels": 3}], origin="run.yaml")


def test_a_nested_unknown_key_is_named_with_its_path():
    settings = {"source": "a", "limits": {"max_pixel": 3}}
    with pytest.raises(ConfigurationError, match=r"'limits.max_pixel'; .* 'limits.max_pixels'"):
        build(Work, [settings], origin="run.yaml")


def test_a_wrong_value_is_named_with_what_was_given():
    with pytest.raises(ConfigurationError, match=r"run\.yaml: share must be a number, but is .x"):
        build(Work, [{"source": "a", "share": "x"}], origin="run.yaml")


def test_a_missing_key_is_named():
    with pytest.raises(ConfigurationError, match=r"run\.yaml: 'source' is missing"):
        build(Work, [{}], origin="run.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "is not YAML"), ("- a", "expected `key: value`"), ("1: a", "expected `key: value`")],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_yaml(str(path))


def test_a_configuration_cannot_run_code(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []")
    with pytest.raises(ConfigurationError, match="is not YAML"):
        read_yaml(str(path))


def test_an_empty_file_says_nothing(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("# all defaults\n")
    assert read_yaml(str(path)) == {}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"absent\.yaml.*no such file, seen from"):
        read_yaml(str(tmp_path / "absent.yaml"))


def test_items_of_a_list_are_changed_by_their_number():
    file = {"sources": [{"path": "a", "weight": 1}, {"path": "b"}], "zoom": [1, 2]}
    changes = parse_assignments(["sources.1.path=c", "zoom.0=3"])
    expected = {"sources": [{"path": "a", "weight": 1}, {"path": "c"}], "zoom": [3, 2]}
    assert merge(file, changes) == expected
    assert file["sources"][1] == {"path": "b"}


@pytest.mark.parametrize("number", ["2", "-1", "first"])
def test_a_list_says_which_items_it_has(number):
    message = f"sources is a list of 2, counted from 0: it has no item '{number}'"
    with pytest.raises(ConfigurationError, match=message):
        merge({"sources": [1, 2]}, {"sources": {number: 3}})


def test_merging_leaves_its_arguments_alone():
    lower = {"a": {"b": 1}}
    assert merge(lower, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert lower == {"a": {"b": 1}}


def test_dotted_names_reach_into_optional_models():
    assert dotted_names(Work) == ["source", "limits", "limits.max_pixels", "share"]
