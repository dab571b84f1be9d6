"""Everybody's work, a small file a photo and person: written whole at each save, never half.

The file is the truth while people work; `collecting` makes answers and shards of it. Killed at any
moment, what was saved last is there.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Final

from engine.annotate.protocol import SentWork
from pipelines.storage import Folder

WORK: Final = "work"


class WorkFolder:
    """Work by photo and person; threads may ask at once.

    Args:
        run: the run's folder.
    """

    def __init__(self, run: Folder) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, SentWork]] = {}
        for image in run.names(WORK):
            for name in run.names(f"{WORK}/{image}"):
                if name.endswith(".json"):
                    self._remember(image, _read(run, f"{WORK}/{image}/{name}"))

    def of(self, image_id: str) -> list[SentWork]:
        """Everybody's work on a photo, who began first the first."""
        with self._lock:
            return sorted(self._known.get(image_id, {}).values(), key=_began)

    def find(self, image_id: str, annotator: str) -> SentWork | None:
        """One person's work on a photo."""
        with self._lock:
            return self._known.get(image_id, {}).get(annotator)

    def save(self, image_id: str, work: SentWork) -> bool:
        """Keeps work, unless what is there is finished or newer; says whether it was kept.

        A page that died may have sent its last words twice, or late: they cannot undo later ones.
        """
        with self._lock:
            known = self._known.get(image_id, {}).get(work.annotator)
            if known is not None and (known.done or known.seconds > work.seconds):
                return False
            text = work.model_dump_json(exclude_defaults=True).encode()
            self._run.write(f"{WORK}/{image_id}/{_file_name(work.annotator)}", text)
            self._known.setdefault(image_id, {})[work.annotator] = work
            return True

    def images(self) -> Iterator[str]:
        """Photos that somebody worked on."""
        with self._lock:
            return iter(sorted(self._known))

    def _remember(self, image_id: str, work: SentWork) -> None:
        self._known.setdefault(image_id, {})[work.annotator] = work


def _read(run: Folder, name: str) -> SentWork:
    return SentWork.model_validate_json(run.read(name))


def _file_name(annotator: str) -> str:
    """A name may hold anything; a file's may not."""
    return f"{hashlib.blake2b(annotator.encode(), digest_size=16).hexdigest()}.json"


def _began(work: SentWork) -> tuple[float, str]:
    return (min(work.opened, default=0.0), work.annotator)
