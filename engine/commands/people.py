"""What the commands that bring work to people and back have in common: their loop and tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from engine.console import columns, duration, note, result
from engine.label_studio.errors import ServerUnavailableError
from model.errors import BusyError

if TYPE_CHECKING:
    from engine.assist.collecting import Collected
    from engine.assist.progress import Harvest, ServerProgress
    from engine.assist.sending import Sent
    from engine.clicks.bell import Bell


def repeat(collect_once: Callable[[], None], every: float | None, bell: Bell) -> None:
    """Collects once, or again and again until the user stops it; outages are waited for.

    Args:
        collect_once: does it, and says what came of it.
        every: the most seconds between two times.
        bell: when it is rung, the next time has come.
    """
    while True:
        mark = bell.mark()
        try:
            collect_once()
        except (ServerUnavailableError, BusyError) as error:
            if every is None:
                raise
            note(str(error))
        if every is None:
            return
        note(f"looking again in {duration(every)}, or when somebody submits; Ctrl+C stops")
        bell.wait(mark, every)


def tell_sent(sent: Sent, then: str) -> None:
    """Says what sending did, and what comes next."""
    rows = [("new tasks", f"{sent.added:,}"), ("there before", f"{sent.there:,}")]
    if sent.removed:
        rows.append(("doubles removed", f"{sent.removed:,}"))
    for line in columns(rows, indent=0):
        result(line)
    result(f"\nAnnotate here:   {sent.url}")
    result(f"Then collect:    {then}")


def tell_status(now: ServerProgress, send: str, *, as_json: bool) -> None:
    """Says how far the people are, and what to do where sending broke off."""
    fields = asdict(now)
    if as_json:
        result(json.dumps(fields))
        return
    for line in columns([(name, f"{value:,}") for name, value in fields.items()], indent=0):
        result(line)
    if now.sent < now.chosen:
        result(f"\n{now.chosen - now.sent:,} were never sent; to go on:  {send}")


def collected_lines(found: Collected, counted: Harvest) -> list[str]:
    """What a collection brought and what the run holds now, as a short table."""
    rows = [
        ("tasks finished", f"{found.finished:,}"),
        ("new since last time", f"{found.fresh:,}"),
        ("changed since last time", f"{found.changed:,}"),
        ("photos collected", f"{counted.photos:,}"),
        ("skipped", f"{counted.skipped:,}"),
        ("empty", f"{counted.empty:,}"),
        ("every object masked", f"{counted.exhaustive:,}"),
        ("masks", f"{counted.masks:,}"),
        ("made by clicking", f"{counted.clicked:,}"),
        ("took over 30 s", f"{counted.slow:,}"),
    ]
    if counted.masks:
        rows.append(("seconds a mask", f"{counted.seconds / counted.masks:.1f}"))
    if counted.clicked:
        rows.append(("clicks a clicked mask", f"{counted.clicks / counted.clicked:.1f}"))
    if counted.agreement is not None:
        rows.append(("agreement (mean best IoU)", f"{counted.agreement:.3f}"))
    lines = columns(rows, indent=0)
    if found.gone:
        lines += ["", f"{len(found.gone)} collected photos have no task any more; their masks stay"]
    if found.warning:
        lines += ["", f"warning: {found.warning}"]
    if counted.problems:
        lines += ["", "of no use, or partly", *(f"  {problem}" for problem in counted.problems)]
    return lines
