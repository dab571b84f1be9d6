"""The ledger: one small file for each finished step, written whole, never changed.

`ledger/000007.json` is the seventh thing that happened. A rollback is an entry too: it makes
earlier ones void and deletes nothing; what is made again gets a folder of its own. The order is
that of the numbers, so clocks do not matter; a number is taken by creating its file, which
succeeds once, so two writers cannot both go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError

from engine.rounds.entries import Entry, Outcome, StepKey, settings_digest
from model.errors import ConfigurationError, StopError
from pipelines.manifest import timestamp, versions
from pipelines.storage import Folder

KIND: Final = "mask-engine engine"
FORMAT_VERSION: Final = 1
ENGINE_FILE: Final = "engine.json"
ENTRIES: Final = "ledger"
ROUNDS: Final = "rounds"
BEGUN: Final = "begun-{step}.json"
CONFIGURATIONS: Final = (".yaml", ".yml")
_ALSO_OURS: Final = frozenset({"lock", "lock.json", "_tmp"})


@dataclass(frozen=True)
class Ledger:
    """What has happened so far.

    Attributes:
        folder: the engine's.
        entries: all of them, in order.
    """

    folder: Folder
    entries: tuple[Entry, ...]

    @property
    def standing(self) -> tuple[Entry, ...]:
        """Steps that no later rollback made void."""
        standing: list[Entry] = []
        for entry in self.entries:
            if entry.kind == "step":
                standing.append(entry)
            else:
                standing = [e for e in standing if not entry.voids(e.round, e.step)]
        return tuple(standing)

    def generation(self, number: int, step: str) -> int:
        """How often a step of a round was begun anew, from 1."""
        return 1 + sum(entry.voids(number, step) for entry in self.entries)

    def place(self, number: int, step: str, name: str) -> str:
        """A name in the folder of a step, relative to the engine's."""
        generation = self.generation(number, step)
        again = f"-{generation}" if generation > 1 else ""
        return f"{ROUNDS}/{number:02d}{again}/{name}"

    def begun_with(self, number: int, step: str) -> Mapping[str, Any] | None:
        """The settings that a step was last begun with, None if it was not."""
        try:
            begun = self.folder.read(self.place(number, step, BEGUN.format(step=step)))
            found: Mapping[str, Any] = json.loads(begun)
        except (FileNotFoundError, ValueError):
            return None
        return found

    def find(self, number: int, step: str) -> Entry | None:
        """A standing step of a round."""
        found = [e for e in self.standing if e.round == number and e.step == step]
        return found[-1] if found else None

    def last(self, step: str, *, before: int | None = None) -> Entry | None:
        """The newest standing step of this name, of rounds before `before` where it is given."""
        found = [
            e for e in self.standing if e.step == step and (before is None or e.round < before)
        ]
        return found[-1] if found else None

    def with_step(
        self, key: StepKey, outcome: Outcome, settings: Mapping[str, Any], seconds: float
    ) -> Ledger:
        """Commits a step.

        Raises:
            StopError: if another process has committed something meanwhile.
        """
        return self._appended(
            Entry(
                number=len(self.entries) + 1,
                round=key.round,
                step=key.step,
                generation=key.generation,
                inputs=dict(outcome.inputs or {}),
                outputs=dict(outcome.outputs or {}),
                counts=dict(outcome.counts or {}),
                figures=dict(outcome.figures or {}),
                settings=dict(settings),
                settings_digest=settings_digest(settings),
                model_id=outcome.model_id,
                reason=outcome.reason,
                code=versions(),
                finished=timestamp(),
                seconds=round(seconds, 3),
            )
        )

    def rolled_back(self, number: int, steps: Sequence[str] = ()) -> Ledger:
        """Makes a round and all later ones void.

        Args:
            number: of the round.
            steps: of it, those that are void; all if empty. What is only begun counts.

        Raises:
            ConfigurationError: if nothing of it stands or is begun.
        """
        made = [(e.round, e.step) for e in self.standing] + self._begun(number)
        if not any(n > number or (n == number and (not steps or s in steps)) for n, s in made):
            last = max((entry.round for entry in self.standing), default=None)
            known = "nothing was done yet" if last is None else f"the last one is round {last}"
            what = f"round {number}" + (f" from {steps[0]} on" if steps else "")
            raise ConfigurationError(
                f"{self.folder.address}: there is nothing of {what} to roll back: {known}"
            )
        void = f"rounds from {number} on are void"
        if steps:
            void = f"{', '.join(steps)} of round {number} and later rounds are void"
        return self._appended(self._void("rollback", number, steps, f"{void}; their folders stay"))

    def begun_anew(self, number: int, step: str, reason: str) -> Ledger:
        """Gives a step that was begun, and never finished, a folder of its own."""
        return self._appended(self._void("anew", number, (step,), reason))

    def _void(
        self, kind: Literal["rollback", "anew"], number: int, steps: Sequence[str], reason: str
    ) -> Entry:
        return Entry(
            kind=kind,
            number=len(self.entries) + 1,
            round=number,
            step=kind,
            steps=tuple(steps),
            generation=1,
            reason=reason,
            code=versions(),
            finished=timestamp(),
        )

    def _begun(self, number: int) -> list[tuple[int, str]]:
        """Steps of a round that were begun since they were last made void."""
        found = []
        for folder in self.folder.names(ROUNDS):
            if folder.split("-")[0] == f"{number:02d}":
                for name in self.folder.names(f"{ROUNDS}/{folder}"):
                    prefix, _, rest = name.partition("-")
                    step = rest.removesuffix(".json")
                    is_now = self.place(number, step, name) == f"{ROUNDS}/{folder}/{name}"
                    if f"{prefix}-" == BEGUN.split("{", 1)[0] and is_now:
                        found.append((number, step))
        return found

    def _appended(self, entry: Entry) -> Ledger:
        name = entry_name(entry.number)
        try:
            self.folder.create(name, entry.model_dump_json(indent=1).encode())
        except FileExistsError:
            raise StopError(
                f"{self.folder.address}/{name} is there already: another process writes to this "
                "ledger. Nothing was overwritten; run the same command again when it has ended."
            ) from None
        return Ledger(self.folder, (*self.entries, entry))


def entry_name(number: int) -> str:
    """Where an entry stands."""
    return f"{ENTRIES}/{number:06d}.json"


def open_ledger(address: str, *, begin: bool = False) -> Ledger:
    """The ledger of an engine's folder.

    Args:
        address: of the folder.
        begin: whether to begin one where there is none.

    Raises:
        ConfigurationError: if the folder is somebody else's, its ledger is damaged, or there is
            none.
    """
    folder = Folder(address)
    refuse_other_places(folder)
    if not folder.exists(ENGINE_FILE):
        if not begin:
            raise ConfigurationError(
                f"{address}: no engine was run here yet (no {ENGINE_FILE}). Begin with "
                "`mask-engine run CONFIG`, or correct the address; after `run --set`, give the "
                "same --set here."
            )
        about = {"kind": KIND, "format_version": FORMAT_VERSION, "created": timestamp()}
        folder.write(ENGINE_FILE, json.dumps(about, indent=1).encode())
    return Ledger(folder, _entries(folder))


def refuse_other_places(folder: Folder) -> None:
    """Checks that a folder is an engine's, or free for one; writes nothing.

    Raises:
        ConfigurationError: if it holds something else, or another version's ledger.
    """
    names = set(folder.names())
    if ENGINE_FILE in names:
        _refuse_foreign(folder)
    elif names - _ALSO_OURS:
        some = ", ".join(sorted(names - _ALSO_OURS)[:3])
        raise ConfigurationError(
            f"{folder.address}: holds other things ({some}) and no {ENGINE_FILE}, so it is no "
            "engine's folder. Nothing was written; give another `out`."
        )


def is_engine(address: str) -> bool:
    """Whether an engine was run in this folder."""
    return Folder(address).exists(ENGINE_FILE)


def is_engine_place(where: str) -> bool:
    """Whether this is an engine's configuration or its folder."""
    return where.endswith(CONFIGURATIONS) or is_engine(where)


def _refuse_foreign(folder: Folder) -> None:
    try:
        about = json.loads(folder.read(ENGINE_FILE))
        ours = about["kind"] == KIND and about["format_version"] == FORMAT_VERSION
    except (ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise ConfigurationError(
            f"{folder.address}/{ENGINE_FILE}: another program or a newer version wrote this "
            "ledger. Nothing was touched; give another `out`, or use the version that began it."
        )


def _entries(folder: Folder) -> tuple[Entry, ...]:
    names = [name for name in folder.names(ENTRIES) if name.endswith(".json")]
    entries = []
    for place, name in enumerate(names, start=1):
        if name != entry_name(place).rsplit("/", 1)[-1]:
            raise ConfigurationError(
                f"{folder.address}/{ENTRIES}: entry {place} is missing (found {name} in its "
                "place), so nobody can say what was done. Nothing was touched; bring it back."
            )
        entries.append(_entry(folder, f"{ENTRIES}/{name}", place))
    return tuple(entries)


def _entry(folder: Folder, name: str, number: int) -> Entry:
    try:
        entry = Entry.model_validate_json(folder.read(name))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(
            f"{folder.address}/{name}: not an entry that this version wrote ({where}: "
            f"{first['msg']}). Nothing was touched."
        ) from None
    if entry.number != number:
        raise ConfigurationError(
            f"{folder.address}/{name}: says that it is entry {entry.number}; files of two ledgers "
            "were mixed. Nothing was touched."
        )
    return entry
