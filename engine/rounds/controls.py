"""What the rounds have to be better than: the same work without retraining, and no people at all.

Controls stand behind the last round, as a round of their own in the ledger. They change nothing
that is in use.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from engine.rounds.collecting import effort, simulate
from engine.rounds.context import Context
from engine.rounds.entries import Entry, Outcome
from engine.rounds.gate import judge
from engine.rounds.learning import (
    evaluate_checkpoint,
    evaluation_in_use,
    first_model,
    gate_of,
    read_measured,
    train_candidate,
)
from engine.rounds.proposing import propose
from engine.rounds.round_settings import RoundSettings
from pipelines.joins import JoinedRun, JoinRecipe, index_runs, write_joined_run
from pipelines.shards import read_rows
from pipelines.storage import Folder
from stages.records import ImageRef

ASSISTED: Final = "assisted_manual"


def same_clicks(context: Context) -> Outcome:
    """The last assisted-manual round's photos again, annotated with the first model.

    Only a simulated annotator can do the same work twice; with real people the control says so
    and is left out.
    """
    last = _last_assisted(context)
    if context.settings.people.kind != "simulated" or last is None:
        return Outcome(reason="only simulated people can do the same photos twice")
    photos = context.read_photos(context.needed("plan", number=last.round).outputs["photos"])
    if not photos:
        return Outcome(reason=f"all photos of round {last.round} were taken out since")
    own = context.settings.flat_rounds()[last.round - 1]
    model = context.load(first_model(context).outputs["checkpoint"])
    name = "same-clicks"
    quiet = replace(context, round=own.model_copy(update={"stage": ASSISTED}))
    simulate(quiet, photos, name, model=model)
    counts = effort(context.address(context.place(name)))
    return Outcome(
        inputs={"photos": f"round {last.round}", "compared with": f"round {last.round}"},
        outputs={"run": context.place(name)},
        counts=counts,
        figures={"with_retraining": dict(last.counts)},
        model_id=model.model_id,
    )


def machine_data(context: Context) -> Outcome:
    """The first model's automatic masks of the rounds' photos: as many as people made, the surest.

    Fixed thresholds would give a weak first model no mask at all, and the control no meaning.
    """
    proposed, photos = context.place("machine"), _photos_of_rounds(context)
    if not photos:
        return Outcome(counts={"masks": 0}, reason="all photos of the rounds were taken out since")
    summary = propose(
        replace(context, round=_at_low_thresholds(context)),
        photos,
        proposed,
        checkpoint=first_model(context).outputs["checkpoint"],
    )
    run = JoinedRun(context.address(proposed), context.number)
    sure = _surest(run.address, _peoples_masks(context))
    settings = context.settings
    parameters = settings.data.model_copy(
        update={"sure_predicted_iou": sure, "sure_stability": 0.0}
    )
    folder = context.place("machine-data")
    limits = settings.pool.limits
    index = index_runs((run,), Folder(context.address(folder)), limits=limits, alike_bits=0)
    joined = write_joined_run(
        context.address(f"{folder}/train"),
        index.photos,
        JoinRecipe((run,), parameters, limits),
        source=settings.under_root(settings.pool.source),
        configuration={"stage": "joined", "join": parameters.model_dump(mode="json")},
    )
    return Outcome(
        outputs={"proposed": proposed, "train": f"{folder}/train"},
        counts={"photos": summary.images, "proposed": summary.masks, "masks": joined.masks},
        figures={"sure_predicted_iou": round(sure, 5)},
        model_id=summary.model_id,
    )


def _photos_of_rounds(context: Context) -> list[ImageRef]:
    """Photos that the rounds had, sorted by path; of too many, those of the first rounds."""
    photos = {
        photo.image_id: photo
        for entry in context.ledger.standing
        if entry.step == "plan"
        for photo in context.read_photos(entry.outputs["photos"])
    }
    few = list(photos.values())[: context.settings.machine_alone.photos]
    return sorted(few, key=lambda photo: photo.path)


def _at_low_thresholds(context: Context) -> RoundSettings:
    """The last round's way of proposing, but nothing that is moderately stable is left out."""
    its = context.settings.flat_rounds()[-1]
    low = {
        "min_predicted_iou": 0.0,
        "min_stability": context.settings.machine_alone.lowest_stability,
    }
    parameters = {**its.proposing.parameters, **low}
    return its.model_copy(
        update={"proposing": its.proposing.model_copy(update={"parameters": parameters})}
    )


def _peoples_masks(context: Context) -> int:
    built = context.ledger.last("build")
    return int(built.counts.get("peoples_masks", 0)) if built else 0


def _surest(run: str, count: int) -> float:
    """The predicted IoU that so many masks of a run reach; 0 if there are fewer."""
    scores = np.array(
        [
            mask.predicted_iou or 0.0
            for row in read_rows(run, columns=["masks"])
            for mask in row.masks
        ],
        np.float64,
    )
    if count >= len(scores):
        return 0.0
    return float(np.partition(scores, -count)[-count]) if count else float(scores.max()) + 1.0


def machine_train(context: Context) -> Outcome:
    """Training from the first model on automatic masks alone, as long as all rounds together."""
    made = context.needed("machine-data")
    if not made.counts["masks"]:
        return Outcome(reason="the first model found no mask, so there is nothing to learn")
    rounds = [e for e in context.ledger.standing if e.step == "train" and e.round > 0]
    steps = context.settings.machine_alone.steps or int(sum(e.counts["steps"] for e in rounds))
    training = context.settings.train.model_copy(update={"start": "first", "steps": steps})
    return train_candidate(
        context,
        data=made.outputs["train"],
        folder=context.place("machine-training"),
        name=context.place("machine.safetensors"),
        training=training,
    )


def machine_evaluate(context: Context) -> Outcome:
    """The same held-out masks, and the gate's comparison with the model that the rounds gave."""
    trained = context.needed("machine-train")
    if not trained.outputs:
        return Outcome(reason=trained.reason)
    name = context.place("machine-evaluation.json")
    outcome = evaluate_checkpoint(context, trained.outputs["checkpoint"], name)
    verdict = judge(
        read_measured(context, name),
        read_measured(context, evaluation_in_use(context).outputs["evaluation"]),
        gate_of(context),
    )
    compared = {entry.name: [entry.gain, entry.low, entry.high] for entry in verdict.compared}
    return replace(outcome, figures={**(outcome.figures or {}), "gain_of_rounds": compared})


def _last_assisted(context: Context) -> Entry | None:
    rounds = context.settings.flat_rounds()
    found = [
        entry
        for entry in context.ledger.standing
        if entry.step == "collect"
        and 0 < entry.round <= len(rounds)
        and rounds[entry.round - 1].stage == ASSISTED
    ]
    return found[-1] if found else None
