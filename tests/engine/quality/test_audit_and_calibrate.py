from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from engine.assist.connection import Connection
from engine.cli import app
from engine.evaluation.truth import TruthMask, TruthPhoto
from engine.label_studio.home import Home
from engine.quality.audit import audit, audit_json, audit_lines, block
from engine.quality.calibrate import calibrate
from engine.quality.pairs import Pair, pairs_with_corrections, pairs_with_truth, sample_masks
from engine.quality.sending import AuditRun, collect_sample, send_sample
from engine.rounds.people import AskedAgain
from model.checkpoint_card import CheckpointCard
from model.errors import ConfigurationError, StopError
from pipelines.reviews import write_reviews
from pipelines.shards import read_rows, shard_path, write_shard
from pipelines.storage import Folder
from stages.ids import image_id
from stages.records import ImageRef
from stages.reviews import ReviewRecord
from tests.engine.fake_label_studio import FakeLabelStudio
from tests.engine.run_factory import make_run
from tests.engine.simulation.discs import SIZE_HW as DISCS_HW
from tests.engine.simulation.discs import make_discs
from tests.factories import make_mask, make_row


def pair(iou: float, *, photo: int = 0, score: float | None = 0.9, area: int = 500) -> Pair:
    return Pair(f"{photo:032x}", "0" * 32, "photos", iou, area, score, score)


def test_shares_come_with_intervals_by_size_source_and_score() -> None:
    pairs = [pair(0.95, photo=n % 10) for n in range(80)] + [
        pair(0.8, photo=n % 10, area=5000, score=0.5) for n in range(20)
    ]

    result = audit(pairs)

    assert (result.all.above_90.value, result.all.above_75.value) == (0.8, 1.0)
    assert result.all.above_90.low <= 0.8 <= result.all.above_90.high
    assert result.by["size"]["medium"].above_90.value == 0
    assert list(result.by["score"]) == ["from 0.00", "from 0.88"]
    assert any("size: small" in line for line in audit_lines(result))
    assert json.loads(json.dumps(audit_json(result)))["all"]["pairs"] == 100


@pytest.mark.parametrize("photos", [1, 5])
def test_few_masks_that_are_all_alike_prove_little(photos: int) -> None:
    with pytest.raises(StopError, match=r"audit failed: 100\.0%"):
        block(audit([pair(0.95, photo=n % photos) for n in range(200)]), 0.9)


def test_a_release_below_the_asked_share_is_blocked_by_the_intervals_lower_end() -> None:
    result = audit([pair(0.95 if n % 10 else 0.5, photo=n) for n in range(40)])

    block(result, 0.7)
    with pytest.raises(StopError, match=r"audit failed: 90\.0% .* at least 90\.0% are asked for"):
        block(result, 0.9)
    with pytest.raises(ConfigurationError, match="no mask could be compared"):
        audit([])


def test_a_sample_holds_only_its_masks_and_corrections_pair_up(tmp_path: Path) -> None:
    rows = [
        make_row(
            f"{n}.png",
            masks=tuple(make_mask(box_xywh=(4 + 12 * k, 6, 10, 8 + n)) for k in range(4)),
        )
        for n in range(5)
    ]
    run = make_run(tmp_path / "run", rows)

    assert sample_masks(run, str(tmp_path / "sample"), masks=9, seed=1) == 9
    sampled = list(read_rows(str(tmp_path / "sample")))
    assert sum(len(row.masks) for row in sampled) == 9
    assert sample_masks(run, str(tmp_path / "all"), masks=99, seed=1) == 20

    first = rows[0]
    kept, moved = first.masks[:2]
    better = make_mask(box_xywh=(17, 6, 10, 8), derived_from=moved.mask_id, origin="human")
    done = [make_row(ref=first.ref, stage="semi_automatic", masks=(kept, better))]
    corrected = make_run(tmp_path / "corrected", done)
    ious = [round(p.iou, 2) for p in pairs_with_corrections(str(tmp_path / "all"), corrected)]
    assert sorted(ious) == [0.0, 0.0, 0.82, 1.0]


def test_masks_that_nobody_was_shown_do_not_count_as_wrong(tmp_path: Path) -> None:
    row = make_row(
        "a.png", masks=tuple(make_mask(box_xywh=(4 + 12 * k, 6, 10, 8)) for k in range(3))
    )
    kept, gone, _ = row.masks
    run = make_run(tmp_path / "run", [row])
    people = make_row(ref=row.ref, stage="semi_automatic", masks=(kept,))
    corrected = make_run(tmp_path / "corrected", [people])

    with pytest.raises(ConfigurationError, match="which of its masks people were shown"):
        list(pairs_with_corrections(run, corrected))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    write_reviews(
        Folder(corrected),
        0,
        [
            ReviewRecord(mask.mask_id, row.ref.image_id, verdict, "ann", None, at)
            for mask, verdict in ((kept, "accept"), (gone, "reject"))
        ],
    )
    assert [p.iou for p in pairs_with_corrections(run, corrected)] == [1.0, 0.0]


def test_masks_are_paired_with_the_most_alike_known_one(tmp_path: Path) -> None:
    row = make_row("a.png")
    run = make_run(tmp_path / "run", [row])
    segmentation = row.masks[0].segmentation.as_coco()
    known = TruthPhoto(Path("a.png"), (TruthMask(1, segmentation, None, (48, 64)),))

    assert [p.iou for p in pairs_with_truth(run, {row.ref.uri: known})] == [1.0]
    with pytest.raises(ConfigurationError, match=r"none of its photos.* as --photos"):
        list(pairs_with_truth(run, {"/elsewhere/1.png": known}))


def test_a_sample_goes_to_people_and_comes_back_to_be_compared(tmp_path: Path) -> None:
    make_discs(tmp_path, count=1)
    home = Home(tmp_path / "home")
    home.make()
    photo = tmp_path / "photos" / "0.png"
    ref = ImageRef(image_id("photos", "0.png"), "photos", "0.png", str(photo))
    height, width = DISCS_HW
    masks = [
        make_mask(box_xywh=box, size_hw=DISCS_HW, image=ref.image_id)
        for box in ((10, 10, 30, 30), (70, 40, 30, 30))
    ]
    row = make_row(ref=ref, width=width, height=height, masks=tuple(masks))
    sample = make_run(tmp_path / "sample", [row])
    settings = AskedAgain(
        source=str(tmp_path / "photos"), out=str(tmp_path / "audited"), project="Audit"
    )
    server = FakeLabelStudio()
    connection = Connection(server.client(), home)

    assert send_sample(sample, settings, connection=connection).added == 1
    task = server.task_of("0.png")
    (prediction,) = server.all_tasks[task]["predictions"]
    server.annotate(task, prediction["result"][:1])  # the other one is deleted
    assert collect_sample(sample, settings, connection=connection).finished == 1

    assert sorted(p.iou for p in pairs_with_corrections(sample, settings.out)) == [0.0, 1.0]


def scored(count: int = 400) -> list[Pair]:
    """Masks whose scores tell, roughly, how good they are."""
    rng = np.random.default_rng(0)
    score = rng.uniform(0.3, 1.0, count)
    iou = np.clip(score + rng.normal(0, 0.08, count), 0, 1)
    return [
        Pair(f"{n:032x}", f"{n:032x}", "s", float(i), 100, float(s), 0.9)
        for n, (s, i) in enumerate(zip(score, iou, strict=True))
    ]


def test_thresholds_give_the_wanted_precision_and_keep_most_right_masks() -> None:
    found = calibrate(scored(), precision=0.9, right_iou=0.75)

    assert found.precision >= 0.9
    assert 0.6 < found.thresholds.predicted_iou < 0.85
    assert found.right_kept > 0.8
    with pytest.raises(ConfigurationError, match=r"no thresholds give a precision of 100%"):
        calibrate(scored(60), precision=1.0, right_iou=0.99)
    with pytest.raises(ConfigurationError, match="too few to calibrate on"):
        calibrate([pair(0.9)] * 3, precision=0.9, right_iou=0.75)


def test_the_commands_want_to_know_what_to_compare_with(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [make_row("a.png")])

    outcome = CliRunner().invoke(app, ["audit", run])
    sampled = CliRunner().invoke(app, ["audit", run, "--sample", str(tmp_path / "sample")])

    assert outcome.exit_code == 2
    assert "--corrected RUN of people, or --truth FILE" in outcome.stderr
    assert sampled.exit_code == 0
    assert "1 masks of" in sampled.stdout


@pytest.mark.parametrize(
    ("checkpoint", "says"),
    [
        ("nowhere.safetensors", "there is no checkpoint file"),
        ("official.pth", "official.pth has no card that could be changed"),
        ("kept.safetensors", "is read-only, so the card of kept.safetensors cannot be changed"),
        ("other.safetensors", "its masks are of model d15cd15cd15cd15c, and"),
    ],
)
def test_a_checkpoint_that_cannot_take_thresholds_is_refused_before_masks_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: str, says: str
) -> None:
    run = make_run(tmp_path / "run", [make_row("a.png")])
    path = tmp_path / checkpoint
    if checkpoint != "nowhere.safetensors":
        header = CheckpointCard("tiny", "0" * 16).to_header()
        save_file({"weight": np.zeros(1, np.float32)}, path, metadata=header)
    if checkpoint == "kept.safetensors":  # root may write anywhere
        monkeypatch.setattr(os, "access", lambda *asked: asked != (path, os.W_OK))
    options = ["--checkpoint", str(path), "--truth", "is-not-looked-at.json"]

    outcome = CliRunner().invoke(app, ["calibrate", run, *options])

    assert outcome.exit_code == 2
    assert says in outcome.stderr


@pytest.mark.parametrize("are_verified", [False, True])
def test_a_machines_own_masks_are_no_corrections(tmp_path: Path, are_verified: bool) -> None:
    row = make_row("a.png", masks=(make_mask(),))
    run = make_run(tmp_path / "run", [row])
    sample_masks(run, str(tmp_path / "sample"), masks=1, seed=0)
    if are_verified:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        mask_id = row.masks[0].mask_id
        rejected = ReviewRecord(mask_id, row.ref.image_id, "reject", "ann", None, at)
        write_reviews(Folder(run), 0, [rejected])

    with pytest.raises(ConfigurationError, match=r"which nobody corrected.*people's answers"):
        list(pairs_with_corrections(str(tmp_path / "sample"), run))


def test_corrections_of_no_photo_are_told_as_such(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [make_row("a.png")])
    sample_masks(run, str(tmp_path / "sample"), masks=1, seed=0)
    empty = str(tmp_path / "empty")
    write_shard(Folder(empty), shard_path(0, 1), [], configuration_digest="0" * 16)

    with pytest.raises(ConfigurationError, match=r"empty: holds no photo yet.*Collect again"):
        list(pairs_with_corrections(str(tmp_path / "sample"), empty))


def test_what_was_not_sent_is_sent_by_the_audits_own_command() -> None:
    assert AuditRun.send_command() == "mask-engine audit SAMPLE --send CONFIG"
