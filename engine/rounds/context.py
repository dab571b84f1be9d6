"""What a step gets: the settings of its round, the ledger so far, and where its files go."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.rounds.entries import Entry
from engine.rounds.ledger import Ledger
from engine.rounds.round_settings import RoundSettings
from engine.rounds.settings import EngineSettings
from engine.training.parameters import TrainingConfiguration
from engine.training.run import TrainingResult, train_run
from model.errors import ConfigurationError, StopError
from model.segmenter import PromptableSegmenter
from pipelines.manifest import usable_cores
from pipelines.promised_model import CheckpointSegmenter
from pipelines.removals import REMOVALS_FILE, removed_ids
from pipelines.shard_work import SegmenterFactory
from pipelines.storage import Folder, is_local
from stages.ids import digest
from stages.records import ImageRef

if TYPE_CHECKING:  # needs the extra `label-studio`, which an engine may not ask for
    from engine.assist.connection import Connection

CHECKPOINTS: Final = "checkpoints"


@dataclass(frozen=True)
class Tools:
    """The heavy things, where tests put light ones.

    Attributes:
        segmenter: from a checkpoint's file to a picklable factory of models; None for the
            network itself.
        train: runs a training in a folder, going on where it stands.
        connection: to a Label Studio, in place of one of the settings' own.
    """

    segmenter: Callable[[str], SegmenterFactory] | None = None
    train: Callable[[TrainingConfiguration, Path], TrainingResult] = train_run
    connection: Connection | None = None


@dataclass(frozen=True)
class Context:
    """One step of one round.

    Attributes:
        settings: of the whole engine.
        number: of the round; 0 is what is there before the first.
        round: its settings, None for round 0 and for controls.
        ledger: as it stands.
        tools: what makes models and trains them.
        step: its name, which gives it a folder of its own after a rollback.
    """

    settings: EngineSettings
    number: int
    round: RoundSettings | None
    ledger: Ledger
    tools: Tools = field(default_factory=Tools)
    step: str = ""

    @property
    def folder(self) -> Folder:
        """The engine's folder."""
        return self.ledger.folder

    @property
    def threads(self) -> int:
        """Threads of the model."""
        return self.settings.threads or usable_cores()

    @property
    def its(self) -> RoundSettings:
        """The round's settings, where there have to be some."""
        if self.round is None:
            raise RuntimeError(f"round {self.number} has no settings: this is a bug")
        return self.round

    def place(self, name: str) -> str:
        """A name in this step's folder, relative to the engine's folder."""
        return self.ledger.place(self.number, self.step, name)

    def address(self, name: str) -> str:
        """Full address of something in the engine's folder; full ones stay as they are."""
        if "://" in name or os.path.isabs(name):
            return name
        return f"{self.folder.address.rstrip('/')}/{name}"

    def local(self, name: str) -> Path:
        """A path of this machine for what needs one; below `scratch` where `out` is remote.

        Raises:
            ConfigurationError: if `out` is remote and there is no scratch.
        """
        if is_local(self.folder.filesystem):
            return Path(self.folder.path(name))
        if self.settings.scratch is None:
            raise ConfigurationError(
                f"{self.folder.address}: training and checkpoints need a local folder as well: "
                "set `scratch`"
            )
        # Several engines may share a scratch folder.
        own = digest(self.folder.address.rstrip("/"))
        return Path(self.settings.scratch).expanduser() / own / name

    def local_root(self) -> str:
        """The folder of this machine that steps write to."""
        is_here = is_local(self.folder.filesystem)
        return self.folder.root if is_here else str(self.local(""))

    def needed(self, step: str, *, number: int | None = None) -> Entry:
        """A step that comes before this one."""
        entry = self.ledger.find(self.number if number is None else number, step)
        if entry is None:
            raise RuntimeError(f"step {step} of round {self.number} is not done: this is a bug")
        return entry

    def current(self) -> Entry:
        """The promotion that the model in use comes from, of an earlier round."""
        promotions = [
            e for e in self.ledger.standing if e.step == "promote" and e.round < self.number
        ]
        return next(e for e in reversed(promotions) if "checkpoint" in e.outputs)

    def checkpoint_file(self, name: str) -> Path:
        """A checkpoint of the engine's folder as a local file."""
        path = self.local(name)
        if is_local(self.folder.filesystem):
            return path
        # Thresholds of a checkpoint change, on whichever machine: ask the store for its version.
        self.folder.filesystem.invalidate_cache()
        version = str(self.folder.filesystem.checksum(self.folder.path(name)))
        known = path.with_name(f"{path.name}.version")
        if not (path.exists() and known.exists() and known.read_text() == version):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{os.getpid()}.part")
            part.write_bytes(self.folder.read(name))
            part.replace(path)
            known.write_text(version)
        return path

    def keep_file(self, path: Path, name: str) -> None:
        """Brings a local file into the engine's folder, where it is not there already."""
        if self.folder.exists(name):
            return
        with self.folder.writing(name) as target:
            target.write(path.read_bytes())

    def stand_in(self, checkpoint: str) -> SegmenterFactory | None:
        """What takes the network's place for a checkpoint of the engine's folder, if anything."""
        if self.tools.segmenter is None:
            return None
        return self.tools.segmenter(str(self.checkpoint_file(checkpoint)))

    def load(self, checkpoint: str) -> PromptableSegmenter:
        """The model of a checkpoint."""
        path = str(self.checkpoint_file(checkpoint))
        own = CheckpointSegmenter(path, self.settings.device, self.threads)
        return (self.stand_in(checkpoint) or own)()

    def photos_of(self, number: int) -> list[ImageRef]:
        """The photos that a round chose, without those that were taken out since.

        Raises:
            StopError: if none is left.
        """
        name = self.needed("plan", number=number).outputs["photos"]
        photos = self.read_photos(name)
        if not photos:
            raise StopError(
                f"round {number}: all of its photos were taken out of the engine "
                f"({self.folder.address}/{REMOVALS_FILE} says why), so there is nothing for it to "
                "do. Nothing was written to the ledger; let it choose others (mask-engine rollback "
                f"{number} CONFIG, then run again), or take the round out of the configuration."
            )
        return photos

    def write_photos(self, name: str, photos: Sequence[ImageRef]) -> None:
        """Keeps a list of photos."""
        lines = [json.dumps([p.image_id, p.source, p.path, p.uri]) for p in photos]
        self.folder.write(name, ("\n".join(lines) + "\n").encode())

    def read_photos(self, name: str) -> list[ImageRef]:
        """A list of photos that was kept, without those that were taken out since."""
        lines = self.folder.read(name).decode().splitlines()
        photos = [ImageRef(*json.loads(line)) for line in lines if line]
        removed = removed_ids(self.folder)
        return [photo for photo in photos if photo.image_id not in removed]
