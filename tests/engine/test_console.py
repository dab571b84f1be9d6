from __future__ import annotations

import io

import pytest

from engine import console


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_read_well(seconds, text):
    assert console.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (3400, "3.4 kB"), (2.5e9, "2.5 GB"), (3e14, "300.0 TB")],
)
def test_sizes_read_well(count, text):
    assert console.byte_size(count) == text


def test_columns_line_up():
    lines = console.columns([("photos", "7"), ("masks", "1,234")])
    assert lines == ["  photos      7", "  masks   1,234"]


def test_a_column_of_sentences_is_flush_left():
    lines = console.columns([("a", "short"), ("b", "a sentence that is rather long")], indent=0)
    assert lines == ["a  short", "b  a sentence that is rather long"]


def test_short_work_is_quiet_where_nobody_watches():
    stream = io.StringIO()
    with console.progress("writing", "photos", stream=stream) as meter:
        meter(1, 10)
    assert stream.getvalue() == ""


def test_long_work_says_a_line_now_and_then(monkeypatch):
    stream = io.StringIO()
    clock = iter([0.0, 10.0, 31.0, 32.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.progress("writing", "photos", stream=stream) as meter:
        meter(1, 10)
        meter(2, 10, "5 masks")
        meter(3, 10)
    assert stream.getvalue() == "writing: 2 of 10 photos, 5 masks\n"


def test_a_terminal_gets_a_bar():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with console.progress("writing", "photos", stream=stream) as meter:
        meter(3, 10, "5 masks")
    assert "writing" in stream.getvalue()


def test_one_thing_is_not_told_as_several() -> None:
    assert console.counted(1, "photo") == "1 photo"
    assert console.counted(1204, "photo") == "1,204 photos"
