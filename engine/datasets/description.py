"""What describes a data set, beside its shards: statistics, the three cards, checksums."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from engine.datasets.cards import annotation_card, dataset_card, model_card
from engine.datasets.checksums import CHECKSUMS_FILE, checksums, write_checksums
from engine.datasets.settings import DatasetWords
from engine.datasets.statistics import statistics
from engine.rounds.ledger import Ledger
from engine.rounds.settings import EngineSettings
from pipelines.storage import Folder

STATISTICS_FILE: Final = "statistics.json"
# What the data set's card says beside numbers, so that it can be written again.
WORDS_FILE: Final = "dataset.json"
DATASET_CARD, MODEL_CARD, ANNOTATION_CARD = "README.md", "MODEL_CARD.md", "ANNOTATION_CARD.md"


def describe(
    folder: Folder,
    words: DatasetWords,
    rounds: Sequence[int],
    ledger: Ledger,
    engine: EngineSettings,
) -> dict[str, Any]:
    """Describes a data set that was just built; gives its statistics."""
    folder.remove(CHECKSUMS_FILE)  # they are of what is there when they are written
    numbers = statistics(folder.address)
    folder.write(STATISTICS_FILE, _as_json(numbers))
    folder.write(WORDS_FILE, _as_json({"words": words.model_dump(), "rounds": list(rounds)}))
    folder.write(DATASET_CARD, dataset_card(words, numbers, rounds).encode())
    folder.write(MODEL_CARD, model_card(ledger).encode())
    folder.write(ANNOTATION_CARD, annotation_card(ledger, engine).encode())
    write_checksums(folder)
    return numbers


def renew_description(folder: Folder) -> None:
    """Brings what counts rows up to date: statistics, the data set's card, checksums.

    Where a folder has none of them, or they are right, nothing is written. The other two cards
    tell what was done in the rounds, which stays true.
    """
    if folder.exists(STATISTICS_FILE):
        numbers = statistics(folder.address)
        _write_if_other(folder, STATISTICS_FILE, _as_json(numbers))
        if folder.exists(WORDS_FILE):
            known = json.loads(folder.read(WORDS_FILE))
            words = DatasetWords.model_validate(known["words"])
            card = dataset_card(words, numbers, known["rounds"])
            _write_if_other(folder, DATASET_CARD, card.encode())
    if folder.exists(CHECKSUMS_FILE):
        _write_if_other(folder, CHECKSUMS_FILE, checksums(folder))


def _write_if_other(folder: Folder, name: str, data: bytes) -> None:
    if not folder.exists(name) or folder.read(name) != data:
        folder.write(name, data)


def _as_json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
