"""The machine's half of a round: train a candidate, measure it, judge it, promote or keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from engine.rounds.context import CHECKPOINTS, Context
from engine.rounds.entries import Entry, Outcome
from engine.rounds.gate import MEASURES, GateParameters, judge, value_of
from engine.rounds.held_out import held_out_photos
from engine.rounds.measured import Measured, measure_checkpoint
from engine.rounds.recipe import RoundTraining
from model.checkpoint_card import CheckpointCard
from model.errors import CheckpointError, StopError
from pipelines.storage import is_full_disk
from stages.presets import parameters_for

EVALUATION_FILE: Final = "evaluation.json"
CANDIDATE_FILE: Final = "candidate.safetensors"


def train(context: Context) -> Outcome:
    """Trains a candidate on the round's data set.

    Raises:
        StopError: if the loss became NaN, or the trained weights are not finite.
    """
    return train_candidate(
        context,
        data=context.needed("build").outputs["train"],
        folder=context.place("training"),
        name=context.place(CANDIDATE_FILE),
        training=training_of(context),
    )


def train_candidate(
    context: Context, *, data: str, folder: str, name: str, training: RoundTraining
) -> Outcome:
    """Trains on a run of the engine's folder.

    Args:
        context: of the round.
        data: the run.
        folder: where the training keeps its state.
        name: of the checkpoint that comes out.
        training: how.
    """
    start = context.current() if training.start == "current" else first_model(context)
    configuration = training.configuration(
        data=context.address(data),
        start=str(context.checkpoint_file(start.outputs["checkpoint"])),
        seed=1000 * context.settings.seed + context.number,
        threads=context.threads,
        device=context.settings.device,
    )
    try:
        result = context.tools.train(configuration, context.local(folder))
        refuse_bad_weights(context, result.checkpoint)
    except (StopError, ValueError) as error:
        if is_full_disk(error, context.local_root()):
            raise
        raise StopError(
            f"round {context.number}: its training went wrong: {error}. The model in use stays, "
            "and nothing was written to the ledger. The same settings would end in the same way, "
            "because every step draws what it drew before: give this round a `train` of its own "
            "with a lower learning_rate and run again. Its training begins anew; people's work "
            "stays."
        ) from error
    _inherit_thresholds(context, start, result.checkpoint)
    context.keep_file(result.checkpoint, name)
    return Outcome(
        inputs={"data": data, "checkpoint": start.outputs["checkpoint"]},
        outputs={"checkpoint": name},
        counts={"steps": result.steps},
        figures={"seconds": round(result.seconds, 1)},
        model_id=result.model_id,
    )


def refuse_bad_weights(context: Context, checkpoint: Path) -> None:
    """Checks that a trained checkpoint can be loaded; stand-ins have no weights.

    Raises:
        ValueError: if its weights are not finite.
    """
    if context.tools.segmenter is not None:
        return
    from model.checkpoints import load_checkpoint

    try:
        load_checkpoint(checkpoint)
    except CheckpointError as error:
        raise ValueError(str(error)) from error


def first_model(context: Context) -> Entry:
    """The promotion of the model that the engine began with."""
    return context.needed("promote", number=0)


def training_of(context: Context) -> RoundTraining:
    """How the round retrains: its own settings, or the engine's."""
    return (context.round.train if context.round else None) or context.settings.train


def gate_of(context: Context) -> GateParameters:
    """What the round's candidate has to reach: its own settings, or the engine's."""
    return (context.round.gate if context.round else None) or context.settings.gate


def evaluate(context: Context) -> Outcome:
    """Measures the round's candidate on the held-out photos."""
    trained = context.needed("train")
    name = context.place(EVALUATION_FILE)
    return evaluate_checkpoint(context, trained.outputs["checkpoint"], name)


def evaluate_checkpoint(context: Context, checkpoint: str, name: str) -> Outcome:
    """Measures a checkpoint of the engine's folder and keeps the result."""
    held_out = context.settings.held_out
    clicked, whole = held_out_photos(context.settings)
    segmenter = context.load(checkpoint)
    parameters, _ = parameters_for(held_out.preset, held_out.parameters, _advice(context))
    measured = measure_checkpoint(
        segmenter, clicked, whole, automatic=parameters, most_clicks=held_out.most_clicks
    )
    values = {measure: round(value_of(measure, measured), 5) for measure in MEASURES}
    context.folder.write(name, measured.model_dump_json().encode())
    truths = max(1, sum(photo.truths for photo in measured.photos))
    shares = {
        "found": round(sum(photo.found for photo in measured.photos) / truths, 5),
        "untouched": round(sum(photo.untouched for photo in measured.photos) / truths, 5),
    }
    return Outcome(
        inputs={"checkpoint": checkpoint, "truth": held_out.truth},
        outputs={"evaluation": name},
        counts={"photos": len(clicked), "masks": sum(len(p.masks) for p in clicked)},
        figures=values | shares,
        model_id=segmenter.model_id,
    )


def gate(context: Context) -> Outcome:
    """Compares the candidate with the model in use."""
    before = evaluation_in_use(context)
    after = context.needed("evaluate")
    verdict = judge(
        read_measured(context, before.outputs["evaluation"]),
        read_measured(context, after.outputs["evaluation"]),
        gate_of(context),
        seed=context.settings.held_out.seed,
    )
    compared = {
        entry.name: [round(v, 5) for v in (entry.current, entry.candidate, entry.low, entry.high)]
        for entry in verdict.compared
    }
    return Outcome(
        inputs={
            "current": before.outputs["evaluation"],
            "candidate": after.outputs["evaluation"],
        },
        counts={"promoted": float(verdict.promoted)},
        figures=compared,
        model_id=after.model_id,
        reason=verdict.reason,
    )


def evaluation_in_use(context: Context) -> Entry:
    """The evaluation of the model that is in use."""
    return context.needed("evaluate", number=context.current().round)


def read_measured(context: Context, name: str) -> Measured:
    """An evaluation that was kept."""
    return Measured.model_validate_json(context.folder.read(name))


def promote(context: Context) -> Outcome:
    """Puts the candidate in the current model's place, or keeps that one."""
    judged, trained = context.needed("gate"), context.needed("train")
    if not judged.counts["promoted"]:
        kept = context.current()
        return Outcome(model_id=kept.model_id, reason=f"kept {kept.model_id}: {judged.reason}")
    return promoted(context, trained, f"promoted {trained.model_id}: {judged.reason}")


def promoted(context: Context, trained: Entry, reason: str) -> Outcome:
    """Gives a trained checkpoint its place among those that were in use.

    Embeddings and detectors refer to their model by its id, so those of the one before are
    recognised as out of date; nothing has to be deleted.
    """
    name = f"{CHECKPOINTS}/{trained.model_id}.safetensors"
    context.keep_file(context.checkpoint_file(trained.outputs["checkpoint"]), name)
    before = [e for e in context.ledger.standing if e.step == "promote" and e.outputs]
    invalid: Mapping[str, str | None] = {"replaces": before[-1].model_id} if before else {}
    return Outcome(
        inputs={"candidate": trained.outputs["checkpoint"]},
        outputs={"checkpoint": name},
        figures=dict(invalid),
        model_id=trained.model_id,
        reason=reason,
    )


def _advice(context: Context) -> Mapping[str, float] | None:
    """Thresholds that the first model came with: the same for all, or nothing could be compared.

    Stand-ins have no card.
    """
    first = context.needed("train", number=0).outputs["checkpoint"]
    card = _card(context, context.checkpoint_file(first))
    if card is None or card.thresholds is None:
        return None
    return {
        "predicted_iou": card.thresholds.predicted_iou,
        "stability": card.thresholds.stability,
    }


def _inherit_thresholds(context: Context, start: Entry, checkpoint: Path) -> None:
    """A candidate keeps its parent's thresholds until somebody calibrates it."""
    parent = _card(context, context.checkpoint_file(start.outputs["checkpoint"]))
    own = _card(context, checkpoint)
    if parent and own and parent.thresholds and own.thresholds is None:
        from model.checkpoints import update_card

        update_card(checkpoint, **{"thresholds": replace(parent.thresholds)})


def _card(context: Context, path: Path) -> CheckpointCard | None:
    if context.tools.segmenter is not None:
        return None
    from model.checkpoints import read_card

    return read_card(path)
