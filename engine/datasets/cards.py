"""Cards that go with a data set, filled from the ledger: data set, model, annotation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.datasets.settings import DatasetWords
from engine.rounds.entries import Entry
from engine.rounds.ledger import Ledger
from engine.rounds.settings import EngineSettings

_FIGURES = (
    ("clicks_85", "clicks to 85 % IoU"),
    ("clicks_90", "clicks to 90 % IoU"),
    ("iou_1", "IoU after one click"),
    ("found", "share of known masks found automatically (IoU 0.5)"),
    ("untouched", "share found so well that nobody has to touch them (IoU 0.9)"),
    ("ar_100", "AR@100 of automatic masks"),
    ("ar_1000", "AR@1000 of automatic masks"),
)


def dataset_card(words: DatasetWords, numbers: Mapping[str, Any], rounds: Sequence[int]) -> str:
    """README.md, with the header that Hugging Face reads."""
    sections = [
        _header(words, numbers),
        f"# {words.name}",
        words.about or "Masks of photos, made with mask-engine.",
        "## What it holds",
        _table(
            [
                ("photos", f"{numbers['photos']:,}"),
                ("masks", f"{numbers.get('masks', 0):,}"),
                ("masks a photo", f"{numbers['masks_a_photo']}"),
                ("masks made or confirmed by people", f"{numbers.get('masks_by_people', 0):,}"),
                (
                    "photos that people called complete",
                    f"{numbers.get('photos_said_to_be_complete', 0):,}",
                ),
                ("rounds", ", ".join(str(number) for number in rounds)),
            ]
        ),
        "By size (COCO's bounds): " + _counts(numbers["by_size"]),
        "By origin: " + _counts(numbers["by_origin"]),
        "## How to read it",
        "Parquet, one row a photo, masks as COCO compressed RLE; `SHA256SUMS` for "
        "`sha256sum --check`; all numbers in `statistics.json`.",
        "```python\n"
        "import datasets\n"
        'datasets.load_dataset("parquet", data_files="shards/*.parquet")\n'
        "```",
        "## Licence and attribution",
        f"Licence: {words.licence}. {words.attribution}".strip(),
        "## Limits",
        "Masks that no person looked at are marked (`origin` automatic or detector, no "
        "`annotator`). Recall may be measured only on photos whose `exhaustive` is true. Photos "
        "that were taken out later stand in `removals.jsonl`. Who made masks how is in "
        "ANNOTATION_CARD.md, the model in MODEL_CARD.md.",
    ]
    return "\n\n".join(sections) + "\n"


def model_card(ledger: Ledger) -> str:
    """The model in use and those before it, with what each could do."""
    in_use = ledger.last("promote")
    evaluations = [e for e in ledger.standing if e.step == "evaluate" and e.figures]
    rows = [("round", "model", *(title for _, title in _FIGURES))]
    rows += [
        (
            str(entry.round),
            entry.model_id or "",
            *(f"{entry.figures[name]:.3f}" for name, _ in _FIGURES),
        )
        for entry in evaluations
    ]
    verdicts = [
        f"- round {entry.round}: {entry.reason}"
        for entry in ledger.standing
        if entry.step == "promote"
    ]
    held_out = evaluations[-1] if evaluations else None
    about = (
        f"{held_out.counts['masks']:.0f} masks of {held_out.counts['photos']:.0f} held-out photos"
        if held_out
        else "nothing"
    )
    sections = [
        "# Model card",
        f"In use: `{(in_use and in_use.model_id) or 'none'}`, a promptable segmentation model "
        "(points, boxes, earlier logits; automatic masks).",
        "## Measured",
        f"On {about}; clicks are simulated, at the innermost point of the largest error.",
        _grid(rows),
        "## Promotions",
        "\n".join(verdicts) or "none",
        "## Training",
        "\n".join(_training(entry) for entry in ledger.standing if entry.step == "train"),
        "## Limits",
        "Measured on one data set; other photos may fare otherwise. No class names are predicted.",
    ]
    return "\n\n".join(sections) + "\n"


def annotation_card(ledger: Ledger, engine: EngineSettings) -> str:
    """Who made masks, how, and what it cost them."""
    rounds = engine.flat_rounds()
    rows = [("round", "stage", "photos", "masks", "clicks a mask", "seconds a mask", "untouched")]
    for entry in ledger.standing:
        if entry.step == "collect" and entry.counts and 0 < entry.round <= len(rounds):
            counts = entry.counts
            rows.append(
                (
                    str(entry.round),
                    rounds[entry.round - 1].stage,
                    f"{counts['photos']:.0f}",
                    f"{counts['masks']:.0f}",
                    f"{counts['clicks'] / max(1, counts['masks']):.2f}",
                    f"{counts['seconds'] / counts['timed_masks']:.1f}"
                    if counts.get("timed_masks")
                    else "not measured",
                    f"{counts['untouched']:.0f}",
                )
            )
    who = (
        "A simulated annotator, made of known masks; no person was involved. Every record says so "
        "(`origin` simulated)."
        if engine.people.kind == "simulated"
        else "People in Label Studio, with the model's help. Their names stand in `annotator`."
    )
    sections = [
        "# Annotation card",
        who,
        "## Effort",
        _grid(rows) if len(rows) > 1 else "Nobody was asked.",
        "It counts what was done, also on photos that were taken out later (`removals.jsonl`).",
        "## How",
        "assisted_manual: people click, the model answers, people correct. semi_automatic: masks "
        "that the model is sure of are shown first; people reject, correct and add. automatic: "
        "nobody looks; only masks the model is sure of are kept.",
        "## Rules of the join",
        "A person's mask wins over a machine's that overlaps it; a corrected or rejected mask "
        "does not come back; beside a photo that people called complete a machine adds nothing.",
    ]
    return "\n\n".join(sections) + "\n"


def _header(words: DatasetWords, numbers: Mapping[str, Any]) -> str:
    photos = numbers["photos"]
    size = "n<1K" if photos < 1000 else "1K<n<10K" if photos < 10_000 else "n>10K"
    lines = [
        "---",
        f"pretty_name: {words.name}",
        f"license: {words.licence.lower()}",
        "task_categories: [image-segmentation, mask-generation]",
        f"size_categories: [{size}]",
        "configs:",
        "- config_name: default",
        "  data_files: shards/*.parquet",
        "---",
    ]
    return "\n".join(lines)


def _training(entry: Entry) -> str:
    steps = entry.counts.get("steps")
    how = f"{steps:.0f} steps" if steps else (entry.reason or "")
    return f"- round {entry.round}: `{entry.model_id}`, {how}, {entry.seconds:.0f} s"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return _grid([("", ""), *rows])


def _grid(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    lines = [head, ["---"] * len(head), *rest]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
