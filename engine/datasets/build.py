"""The final data set: the union of chosen rounds, with statistics, cards and checksums."""

from __future__ import annotations

import json
from typing import Any, Final

from engine.console import progress
from engine.datasets.cards import annotation_card, dataset_card, model_card
from engine.datasets.checksums import CHECKSUMS_FILE, write_checksums
from engine.datasets.settings import DatasetSettings
from engine.datasets.statistics import statistics
from engine.rounds.context import Tools
from engine.rounds.data_set import taking_part
from engine.rounds.ledger import Ledger, open_ledger
from engine.rounds.run import context_of
from engine.rounds.settings import EngineSettings, read_engine
from model.errors import ConfigurationError
from pipelines.joins import JoinedRun, JoinRecipe, index_runs, write_joined_run
from pipelines.progress import Progress
from pipelines.storage import Folder

STATISTICS_FILE: Final = "statistics.json"
CARDS: Final = ("README.md", "MODEL_CARD.md", "ANNOTATION_CARD.md")


def build_dataset(settings: DatasetSettings, out: str) -> dict[str, Any]:
    """Builds, or goes on with building; gives the statistics.

    Raises:
        ConfigurationError: if a round is not there, or `out` holds something else.
        StopError: if the disk is full.
    """
    engine = read_engine(settings.engine)
    ledger = open_ledger(engine.out)
    runs = _runs(settings, engine, ledger)
    folder = Folder(out)
    joined = tuple(JoinedRun(address, number) for address, number in runs)
    index = index_runs(
        joined,
        Folder(f"{engine.out.rstrip('/')}/dataset-index"),
        limits=engine.pool.limits,
        alike_bits=engine.data.near_duplicate_bits,
    )
    with progress("data set", "photos") as meter:

        def tell(now: Progress) -> None:
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks")

        write_joined_run(
            out,
            index.photos,
            JoinRecipe(joined, engine.data, engine.pool.limits, embed_images=settings.embed_images),
            source=engine.under_root(engine.pool.source),
            configuration={
                "stage": "dataset",
                "runs": [f"{number}:{address}" for address, number in runs],
                "join": engine.data.model_dump(mode="json"),
            },
            progress=tell,
        )
    numbers = statistics(out)
    _describe(folder, settings, engine, ledger, numbers, sorted({number for _, number in runs}))
    write_checksums(folder)
    return numbers


def _runs(
    settings: DatasetSettings, engine: EngineSettings, ledger: Ledger
) -> list[tuple[str, int]]:
    last = len(engine.flat_rounds())
    context = context_of(engine, last, ledger, Tools())
    runs = [(context.address(run), number) for run, number in taking_part(context)]
    there = {number for _, number in runs}
    missing = sorted(set(settings.rounds) - there)
    if missing:
        raise ConfigurationError(
            f"{engine.out}: no masks of round {missing[0]} are there yet; rounds with masks: "
            f"{', '.join(str(number) for number in sorted(there)) or 'none'}"
        )
    chosen = [run for run in runs if not settings.rounds or run[1] in settings.rounds]
    if not chosen:
        raise ConfigurationError(f"{engine.out}: no round has masks yet")
    return chosen


def _describe(
    folder: Folder,
    settings: DatasetSettings,
    engine: EngineSettings,
    ledger: Ledger,
    numbers: dict[str, Any],
    rounds: list[int],
) -> None:
    folder.remove(CHECKSUMS_FILE)  # they are of what is there when they are written
    folder.write(STATISTICS_FILE, json.dumps(numbers, indent=1).encode())
    texts = (
        dataset_card(settings, numbers, rounds),
        model_card(ledger),
        annotation_card(ledger, engine),
    )
    for name, text in zip(CARDS, texts, strict=True):
        folder.write(name, text.encode())
