"""What the rounds have to be better than: the same work without retraining, and no people at all.

Controls stand behind the last round, as a round of their own in the ledger. They change nothing
that is in use.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

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
from pipelines.joins import JoinedRun, JoinRecipe, index_runs, write_joined_run
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
    """The first model's automatic masks of every photo that a round had."""
    photos = {
        photo.image_id: photo
        for entry in context.ledger.standing
        if entry.step == "plan"
        for photo in context.read_photos(entry.outputs["photos"])
    }
    ordered: list[ImageRef] = sorted(photos.values(), key=lambda photo: photo.path)
    proposed = context.place("machine")
    its = context.settings.flat_rounds()[-1]
    summary = propose(
        replace(context, round=its),
        ordered,
        proposed,
        checkpoint=first_model(context).outputs["checkpoint"],
    )
    runs = (JoinedRun(context.address(proposed), context.number),)
    folder = context.place("machine-data")
    settings = context.settings
    index = index_runs(
        runs, Folder(context.address(folder)), limits=settings.pool.limits, alike_bits=0
    )
    joined = write_joined_run(
        context.address(f"{folder}/train"),
        index.photos,
        JoinRecipe(runs, settings.data, settings.pool.limits),
        source=settings.under_root(settings.pool.source),
        configuration={"stage": "joined", "join": settings.data.model_dump(mode="json")},
    )
    return Outcome(
        outputs={"proposed": proposed, "train": f"{folder}/train"},
        counts={"photos": summary.images, "proposed": summary.masks, "masks": joined.masks},
        model_id=summary.model_id,
    )


def machine_train(context: Context) -> Outcome:
    """As many steps as all rounds together, from the first model, on automatic masks alone."""
    made = context.needed("machine-data")
    if not made.counts["masks"]:
        return Outcome(reason="the first model was sure of no mask, so there is nothing to learn")
    rounds = [e for e in context.ledger.standing if e.step == "train" and e.round > 0]
    steps = int(sum(entry.counts["steps"] for entry in rounds))
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
