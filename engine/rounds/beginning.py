"""Round 0: the masks that are there already, and the first model."""

from __future__ import annotations

from pathlib import Path

from engine.console import progress
from engine.imports.work import ImportSettings, import_folder
from engine.rounds.collecting import effort
from engine.rounds.context import Context
from engine.rounds.entries import Outcome
from engine.rounds.learning import promoted, refuse_bad_weights
from model.errors import ConfigurationError, StopError
from pipelines.removals import removed_ids
from pipelines.status import run_status


def import_existing(context: Context) -> Outcome:
    """Existing masks become runs of round 0."""
    outputs: dict[str, str] = {}
    counts: dict[str, float] = {}
    for place, existing in enumerate(context.settings.existing):
        address = context.settings.under_root(existing.path)
        if existing.format == "run":
            if not run_status(address).finished:
                raise ConfigurationError(f"{address}: this run is not finished, so it cannot begin")
            outputs[f"existing {place}"] = address
        else:
            outputs[f"existing {place}"] = context.place(f"existing-{place}")
            photos = existing.photos and context.settings.under_root(existing.photos)
            settings = ImportSettings(
                annotations=address,
                out=context.address(outputs[f"existing {place}"]),
                photos=photos,
                source_name=context.settings.pool.name,
                limits=context.settings.pool.limits,
            )
            with progress("importing", "photos") as meter:
                removed = removed_ids(context.folder)
                import_folder(existing.format, settings, meter=meter, without=removed)
        run = context.address(outputs[f"existing {place}"])
        for name, count in effort(run).items():
            counts[name] = counts.get(name, 0.0) + count
    reason = None if outputs else "no masks are there before the first round"
    return Outcome(outputs=outputs, counts=counts, reason=reason)


def first_checkpoint(context: Context) -> Outcome:
    """The first model: a checkpoint that is there, or one that is trained now."""
    settings = context.settings
    name = context.place("candidate.safetensors")
    if settings.first is None:
        return _taken_over(context, name)
    folder = context.local(context.place("training"))
    try:
        result = context.tools.train(settings.first, folder)
        refuse_bad_weights(context, result.checkpoint)
    except ValueError as error:
        raise StopError(f"the first model's training went wrong: {error}") from error
    context.keep_file(result.checkpoint, name)
    return Outcome(
        outputs={"checkpoint": name},
        counts={"steps": result.steps},
        figures={"seconds": round(result.seconds, 1)},
        model_id=result.model_id,
        reason="trained as `first` says",
    )


def _taken_over(context: Context, name: str) -> Outcome:
    from model.checkpoint_names import checkpoint_path

    path = checkpoint_path(context.settings.start)
    if context.tools.segmenter is None:
        from model.checkpoints import load_checkpoint, read_card, save_checkpoint

        card = read_card(path)
        if path.suffix == ".safetensors":
            context.keep_file(path, name)
            model_id = card.model_id
        else:
            target = context.local(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            loaded = load_checkpoint(path)
            saved = save_checkpoint(
                target, loaded.sam, parent=card.model_id, thresholds=card.thresholds
            )
            context.keep_file(target, name)
            model_id = saved.model_id
    else:
        context.keep_file(Path(path), name)
        model_id = context.load(name).model_id
    return Outcome(
        inputs={"start": context.settings.start},
        outputs={"checkpoint": name},
        model_id=model_id,
        reason=f"taken over from {context.settings.start}",
    )


def promote_first(context: Context) -> Outcome:
    """The first model is in use from the beginning, whatever it can do."""
    trained = context.needed("train")
    return promoted(context, trained, f"{trained.model_id} is the first model")
