from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.backend.credentials import (
    PASSWORD_VARIABLE,
    USER_VARIABLE,
    default_credentials_file,
    load_credentials,
)
from model.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(USER_VARIABLE, raising=False)
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_a_first_start_makes_credentials_that_only_their_owner_reads() -> None:
    made = load_credentials()

    file = default_credentials_file()
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert len(made.password) >= 30
    assert load_credentials() == made
    assert made.password not in repr(made)


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER_VARIABLE, "me")
    monkeypatch.setenv(PASSWORD_VARIABLE, "mine")

    assert (load_credentials().user, load_credentials().password) == ("me", "mine")
    assert not default_credentials_file().exists()


@pytest.mark.parametrize("variable", [USER_VARIABLE, PASSWORD_VARIABLE])
def test_half_of_the_environment_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "x")

    with pytest.raises(ConfigurationError, match="set both variables, or none"):
        load_credentials()


def test_a_file_that_others_may_read_is_refused() -> None:
    load_credentials()
    default_credentials_file().chmod(0o640)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_credentials()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"user": "a", "password": ""}', "not json"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    file.chmod(0o600)

    with pytest.raises(ConfigurationError, match=r"other\.json"):
        load_credentials(file)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="--credentials"):
        load_credentials(tmp_path / "file" / "backend.json")
