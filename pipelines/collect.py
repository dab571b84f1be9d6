"""A run whose rows people make: it grows each time that answers are collected.

Answers are kept first, then planned, then made into shards. Stopped anywhere, the next collection
goes on: what was planned is made from the answers kept for it, and nothing is asked for twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from pipelines.answers import Answer, Kept, kept_answers, write_answers
from pipelines.coordinator import Coordinator
from pipelines.manifest import (
    Manifest,
    configuration_digest,
    hardware,
    read_manifest,
    refuse_changes,
    timestamp,
    versions,
)
from pipelines.plan import Plan, read_plan
from pipelines.planning import PlannedRun
from pipelines.progress import ProgressCallback, ignore_progress, progress_of
from pipelines.run_folder import SUMMARY_FILE, done_shards, prepare_folder, refuse_foreign
from pipelines.storage import TEMPORARY, Folder
from pipelines.summary import Summary, write_summary
from pipelines.workers import without_import_noise
from stages.records import ImageRow

SHARD_SIZE: Final = 64

# Has to be picklable and deterministic; what is wrong with one photo has to be in its row.
RowOfAnswer = Callable[[Answer], ImageRow]


@dataclass(frozen=True)
class CollectedRun:
    """A run that people fill.

    Attributes:
        folder: its folder.
        manifest, plan: as they stand there.
    """

    folder: Folder
    manifest: Manifest
    plan: Plan

    @classmethod
    def open(
        cls, out: str, *, source: str, source_name: str, configuration: Mapping[str, Any]
    ) -> CollectedRun:
        """Begins a run without rows, or opens one that was begun in the same way.

        Opening changes nothing: another call may be at work there (`run_folder.alone_at`).

        Raises:
            ConfigurationError: if the folder is foreign or unwritable, or holds another run.
        """
        folder = Folder(out)
        refuse_foreign(folder)
        begun = read_manifest(folder)
        if begun is None:
            prepare_folder(out)
            manifest, plan = _new_manifest(source, source_name, configuration), Plan.empty()
            plan.write(folder)
            manifest.write(folder)
            return cls(folder, manifest, plan)
        now = {"source": source, "source_name": source_name, "configuration": dict(configuration)}
        refuse_changes(folder, begun, now)
        return cls(folder, begun, read_plan(folder).first_shards(begun.shard_totals[-1]))

    @property
    def kept(self) -> dict[str, Kept]:
        """The latest answer of each photo."""
        return kept_answers(self.folder, self.plan.shards)

    @property
    def pending(self) -> tuple[int, ...]:
        """Shards that are planned and not made."""
        done = set(done_shards(self.folder, self.manifest.shard_totals))
        return tuple(shard for shard in range(self.plan.shards) if shard not in done)


def keep_answers(
    run: CollectedRun,
    answers: Iterable[Answer],
    *,
    check: Callable[[], None] = lambda: None,
) -> CollectedRun:
    """Keeps new answers and plans the shards that will be made from them.

    Answers are held for one shard at a time. What came before the iterable failed is kept.

    Args:
        run: as it stands.
        answers: each of another photo.
        check: asked before anything is written; raises where the run is not ours to change.
    """
    plan, waiting = run.plan, list[Answer]()
    try:
        for answer in answers:
            waiting.append(answer)
            if len(waiting) == SHARD_SIZE:
                check()
                plan = _with_shards(run.folder, plan, waiting)
                waiting = []
    finally:
        check()
        plan = _with_shards(run.folder, plan, waiting)
        grown = _committed(run, plan)
    return grown


def make_answered_shards(
    run: CollectedRun,
    row_of: RowOfAnswer,
    *,
    progress: ProgressCallback = ignore_progress,
) -> Summary:
    """Makes every planned shard that is not there yet, in a Beam pipeline, and the summary.

    Raises:
        MaskEngineError: what stopped the work; running it again goes on.
    """
    planned = PlannedRun(run.folder, run.manifest, run.plan, run.pending)
    if planned.pending:
        with without_import_noise():
            from pipelines.answered_shards import AnswersRecipe, run_answered
        run.folder.remove(SUMMARY_FILE)  # it says that a run is finished
        coordinator = Coordinator(
            planned.pending, progress_of(planned), max_failed_share=1.0, on_progress=progress
        )
        manifest = run.manifest
        recipe = AnswersRecipe(
            run.folder, manifest.shard_totals, manifest.configuration_digest, row_of
        )
        run_answered(recipe, coordinator)
        if coordinator.error is not None:
            raise coordinator.error
    summary = write_summary(run.folder, run.manifest, run.plan, None)
    run.folder.remove(TEMPORARY)
    return summary


def _with_shards(folder: Folder, plan: Plan, answers: Sequence[Answer]) -> Plan:
    """Keeps answers behind the plan's last shard; photos seen before get shards of their own."""
    ordered = sorted(answers, key=lambda answer: (answer.revision, answer.ref.path))
    for revision, group in groupby(ordered, key=lambda answer: answer.revision):
        together = list(group)
        write_answers(folder, plan.shards, together)
        refs = [answer.ref for answer in together]
        plan = plan.extended(refs, shard_size=len(refs), revision=revision)
    return plan


def _committed(run: CollectedRun, plan: Plan) -> CollectedRun:
    """The manifest says how much of the plan counts, so it is written last."""
    if plan.shards == run.plan.shards:
        return run
    manifest = run.manifest.model_copy(
        update={
            "photos": plan.photos,
            "rows": plan.rows,
            "shard_totals": (*run.manifest.shard_totals, plan.shards),
            "input_digest": plan.input_digest(),
        }
    )
    plan.write(run.folder)
    manifest.write(run.folder)
    return replace(run, manifest=manifest, plan=plan)


def _new_manifest(source: str, source_name: str, configuration: Mapping[str, Any]) -> Manifest:
    return Manifest(
        source=source,
        source_name=source_name,
        photos=0,
        rows=0,
        shard_size=SHARD_SIZE,
        shard_totals=(0,),
        input_digest=Plan.empty().input_digest(),
        configuration=dict(configuration),
        configuration_digest=configuration_digest(configuration),
        checkpoint="",
        embed_images=False,
        threads=1,
        device="cpu",
        hardware=hardware(),
        versions=versions(),
        created=timestamp(),
    )
