from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import ConfigurationError
from pipelines.imported import write_imported_run
from pipelines.shards import read_rows
from pipelines.summary import Summary
from tests.factories import make_ref, make_row


def write(out: Path, *paths: str, append: bool = False) -> Summary:
    return write_imported_run(
        str(out),
        [make_ref(path) for path in paths],
        lambda ref: make_row(ref=ref),
        source="photos",
        configuration={},
        append=append,
    )


def test_other_photos_are_refused_without_naming_options_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "b.jpg")

    with pytest.raises(
        ConfigurationError, match=r"1 new \(c\.jpg\), 1 gone .*Give the run"
    ) as told:
        write(tmp_path, "a.jpg", "c.jpg")
    assert "--append" not in str(told.value)


def test_photos_may_come_and_go_where_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "b.jpg")

    assert write(tmp_path, "a.jpg", "c.jpg", append=True).images == 3
    assert write(tmp_path, "a.jpg", append=True).images == 3
    assert sorted(row.ref.path for row in read_rows(str(tmp_path))) == ["a.jpg", "b.jpg", "c.jpg"]
