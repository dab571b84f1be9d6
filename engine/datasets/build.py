"""The final data set: the union of chosen rounds, with statistics, cards and checksums."""

from __future__ import annotations

from typing import Any, Final

from engine.console import progress
from engine.datasets.description import describe
from engine.datasets.remove_from_run import remove_from_run
from engine.datasets.settings import DatasetSettings, engine_of
from engine.rounds.context import Tools
from engine.rounds.data_set import rejected, taking_part, without_removed
from engine.rounds.held_out import without_held_out
from engine.rounds.ledger import Ledger, open_ledger
from engine.rounds.run import context_of
from engine.rounds.settings import EngineSettings
from model.errors import ConfigurationError
from pipelines.joins import JoinedRun, JoinRecipe, index_runs, write_joined_run
from pipelines.progress import Progress
from pipelines.removals import read_removals
from pipelines.run_folder import clear_leftovers, prepare_folder
from pipelines.storage import TEMPORARY, Folder
from stages.ids import digest

# Each data set has an index of its own while it is made; no checksum counts it.
SCRATCH: Final = f"{TEMPORARY}/join"


def build_dataset(settings: DatasetSettings, out: str) -> dict[str, Any]:
    """Builds, or goes on with building; gives the statistics.

    Raises:
        ConfigurationError: if a round is not there, or `out` holds something else.
        StopError: if the disk is full.
    """
    engine = engine_of(settings)
    ledger = open_ledger(engine.out)
    standing = _standing(engine, ledger)
    runs = _chosen(settings, engine, standing)
    folder = prepare_folder(out)
    joined = tuple(JoinedRun(address, number) for address, number in runs)
    # What people refused in a round that was not chosen is refused all the same.
    refused = rejected(address for address, _ in standing)
    index = index_runs(
        joined,
        Folder(f"{out.rstrip('/')}/{SCRATCH}"),
        limits=engine.pool.limits,
        alike_bits=engine.data.near_duplicate_bits,
    )
    index, _ = without_held_out(index, joined, engine)
    index = without_removed(index, ledger.folder)
    if not index.photos:
        raise ConfigurationError(
            f"{engine.out}: no photo is left for a data set: all are held out or were taken out"
        )
    for removal in read_removals(ledger.folder).values():  # they may have been in it before
        remove_from_run(folder, removal.image_id, removal.reason)
    with progress("data set", "photos") as meter:

        def tell(now: Progress) -> None:
            meter(now.rows_done, now.rows_planned, f"{now.masks} masks")

        write_joined_run(
            out,
            index.photos,
            JoinRecipe(
                joined,
                engine.data,
                engine.pool.limits,
                refused,
                embed_images=settings.embed_images,
            ),
            source=engine.under_root(engine.pool.source),
            configuration={
                "stage": "dataset",
                "runs": [f"{number}:{address}" for address, number in runs],
                "join": engine.data.model_dump(mode="json"),
                "rejected": digest(" ".join(sorted(refused))),
            },
            progress=tell,
        )
    rounds = sorted({number for _, number in runs})
    numbers = describe(folder, settings.words, rounds, ledger, engine)
    folder.remove(SCRATCH)
    clear_leftovers(folder)
    return numbers


def _standing(engine: EngineSettings, ledger: Ledger) -> list[tuple[str, int]]:
    """Addresses and rounds of all runs that no rollback made void."""
    context = context_of(engine, len(engine.flat_rounds()), ledger, Tools())
    return [(context.address(run), number) for run, number in taking_part(context)]


def _chosen(
    settings: DatasetSettings, engine: EngineSettings, runs: list[tuple[str, int]]
) -> list[tuple[str, int]]:
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
