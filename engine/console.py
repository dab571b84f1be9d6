"""What the user sees while a command runs: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final, Protocol

SECONDS_BETWEEN_LINES: Final = 30.0


def result(text: str = "") -> None:
    """Writes one line of a command's result to stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Writes one line about the work to stderr."""
    sys.stderr.write(text + "\n")


def error_line(text: str) -> None:
    """Writes the one line that an error is worth."""
    note(f"mask-engine: {text}")


def columns(rows: Iterable[Sequence[str]], *, indent: int = 2) -> list[str]:
    """Lines with the first column flush left and the others flush right, two spaces apart.

    The last column is flush left where it holds sentences (any cell over 24 characters).
    """
    table = [tuple(row) for row in rows]
    if not table:
        return []
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [" " * indent + _line(row, widths).rstrip() for row in table]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    for index in range(1, len(row)):
        prose = index == len(row) - 1 and widths[index] > 24
        cells.append(row[index] if prose else row[index].rjust(widths[index]))
    return "  ".join(cells)


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def byte_size(count: float) -> str:
    """`812 B`, `3.4 MB`: powers of ten, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def counted(count: int, word: str) -> str:
    """`1 photo`, `1,204 photos`: for words that take an s."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


class Meter(Protocol):
    """Somewhere to say how far the work is."""

    def __call__(self, done: int, total: int | None = None, detail: str = "") -> None:
        """Tells that `done` of `total` are done; `detail` is a few words more."""
        ...


@contextmanager
def progress(title: str, unit: str, *, stream: IO[str] | None = None) -> Iterator[Meter]:
    """A progress bar where stderr is a terminal, else a line now and then."""
    target = stream or sys.stderr
    if target.isatty():
        with _bar(title, unit, target) as meter:
            yield meter
    else:
        yield _LineMeter(title, unit, target.write)


class _LineMeter:
    """Writes a line at most every `SECONDS_BETWEEN_LINES`, and none for short work."""

    def __init__(self, title: str, unit: str, write: Callable[[str], object]) -> None:
        self._title = title
        self._unit = unit
        self._write = write
        self._last = time.monotonic()

    def __call__(self, done: int, total: int | None = None, detail: str = "") -> None:
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        of = f" of {total}" if total is not None else ""
        self._write(f"{self._title}: {done}{of} {self._unit}{', ' + detail if detail else ''}\n")


@contextmanager
def _bar(title: str, unit: str, target: IO[str]) -> Iterator[Meter]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[detail]}"),
        console=Console(file=target),
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, detail="")

        def meter(done: int, total: int | None = None, detail: str = "") -> None:
            bar.update(task, completed=done, total=total, detail=detail)

        yield meter
