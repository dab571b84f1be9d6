from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest

from model.errors import CheckpointError, ConfigurationError, StopError
from pipelines.automatic import run_automatic
from pipelines.image_work import ImageRecipe, load_photo, make_row
from pipelines.plan import PlannedImage
from pipelines.run_config import AutomaticRun
from pipelines.shards import read_rows
from pipelines.sources import list_photos
from pipelines.status import run_status
from pipelines.summary import read_summary
from stages.presets import parameters_for
from tests.fakes import BrokenSegmenter, DiscSegmenter, disc_segmenter
from tests.pipelines.runs import (
    FEW_POINTS,
    Recorder,
    make_photos,
    quick,
    rows_by_path,
    run_quickly,
    shard_digests,
)


def test_a_run_leaves_the_folder_that_the_schema_promises(tmp_path: Path) -> None:
    summary = run_quickly(make_photos(tmp_path / "photos", 5), tmp_path / "run")
    left = sorted(str(p.relative_to(tmp_path / "run")) for p in (tmp_path / "run").rglob("*.*"))
    assert left == [
        "manifest.json",
        "plan.parquet",
        "shards/part-00000-of-00003.parquet",
        "shards/part-00001-of-00003.parquet",
        "shards/part-00002-of-00003.parquet",
        "stats/part-00000.json",
        "stats/part-00001.json",
        "stats/part-00002.json",
        "summary.json",
    ]
    assert not (tmp_path / "run/_tmp").exists()
    assert (summary.images, summary.shards, summary.failed) == (5, 3, 0)
    assert summary.masks > 0
    assert summary == read_summary(str(tmp_path / "run"))


def test_a_pipeline_gives_what_a_bare_loop_gives(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos")
    run_quickly(photos, tmp_path / "run", embed_images=True)
    parameters, _ = parameters_for("default", FEW_POINTS)
    recipe = ImageRecipe(parameters, embed_images=True)
    for ref in list_photos(str(photos)):
        image = PlannedImage(ref, revision=0)
        loaded = load_photo(image, recipe)
        expected, _ = make_row(image, lambda: loaded, DiscSegmenter(), recipe)  # noqa: B023
        found = rows_by_path(tmp_path / "run")[ref.path]
        assert [m.mask_id for m in found.masks] == [m.mask_id for m in expected.masks]
        assert [m.segmentation for m in found.masks] == [m.segmentation for m in expected.masks]
        assert (found.sha256, found.image) == (expected.sha256, expected.image)
        assert found.dropped == expected.dropped


def test_proposals_are_kept_or_dropped_by_reason(tmp_path: Path) -> None:
    summary = run_quickly(make_photos(tmp_path / "photos", 4), tmp_path / "run")
    assert summary.proposals == 4 * 3 * 3 * 3  # photos, grid, masks a point
    assert summary.proposals == summary.masks + sum(summary.dropped.values())
    assert summary.proposals == sum(row.proposals for row in read_rows(str(tmp_path / "run")))


def test_the_summary_says_which_thresholds_were_used_and_why(tmp_path: Path) -> None:
    settings = FEW_POINTS | {"min_stability": 0.5}
    photos = make_photos(tmp_path / "photos", 1)
    used = run_quickly(photos, tmp_path / "run", parameters=settings).thresholds
    assert used is not None
    assert (used.predicted_iou, used.stability) == (0.88, 0.5)
    assert "set by the user" in used.reasons[1]


def test_two_workers_give_the_same_bytes_as_one_and_report_every_photo(tmp_path: Path) -> None:
    photos, recorder = make_photos(tmp_path / "photos"), Recorder()
    run_quickly(photos, tmp_path / "one")
    config = quick(photos, tmp_path / "two", workers=2)
    summary = run_automatic(config, segmenter=disc_segmenter, progress=recorder)
    assert shard_digests(tmp_path / "two") == shard_digests(tmp_path / "one")
    assert {p.rows_done for p in recorder.seen} == set(range(7))
    assert recorder.seen[-1].masks == summary.masks
    assert (recorder.seen[-1].shards_done, recorder.seen[-1].shards_planned) == (3, 3)


def test_shards_that_are_done_are_not_made_again(tmp_path: Path) -> None:
    photos, run, recorder = make_photos(tmp_path / "photos"), tmp_path / "run", Recorder()
    first = run_quickly(photos, run)
    digests = shard_digests(run)
    (run / "shards/part-00001-of-00003.parquet").unlink()
    kept = (run / "shards/part-00000-of-00003.parquet").stat().st_mtime_ns
    again = run_automatic(quick(photos, run), segmenter=disc_segmenter, progress=recorder)
    assert shard_digests(run) == digests
    assert (run / "shards/part-00000-of-00003.parquet").stat().st_mtime_ns == kept
    assert [p.rows_done for p in recorder.seen] == [4, 5, 6, 6]
    assert (again.images, again.masks, again.dropped) == (6, first.masks, first.dropped)


def test_a_resumed_run_keeps_its_threads(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 1)
    run_quickly(photos, tmp_path / "run", threads=3)
    assert run_quickly(photos, tmp_path / "run", threads=None, workers=2).threads == 3


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"preset": "fast"}, 'preset was "default", now "fast"'),
        ({"parameters": {"points_per_side": 5}}, "parameters.points_per_side was 3, now 5"),
        ({"precision": "bfloat16"}, 'precision was "float32", now "bfloat16"'),
        ({"embed_images": True}, "embed_images was false, now true"),
        ({"threads": 4}, "threads was 1, now 4"),
        ({"shard_size": 3}, "shard_size was 2, now 3"),
        ({"source_name": "others"}, 'source_name was "photos", now "others"'),
    ],
)
def test_a_changed_setting_is_refused_by_name_on_resume(
    tmp_path: Path, changed: dict[str, object], named: str
) -> None:
    photos = make_photos(tmp_path / "photos", 2)
    run_quickly(photos, tmp_path / "run")
    with pytest.raises(ConfigurationError) as refused:
        run_quickly(photos, tmp_path / "run", **changed)
    assert named in str(refused.value)
    assert "another `out`" in str(refused.value)


def test_another_model_is_refused_on_resume(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 2)
    run_quickly(photos, tmp_path / "run")

    class Another(DiscSegmenter):
        model_id = "a0" * 8

    with pytest.raises(ConfigurationError, match='model_id was "d15cd15cd15cd15c", now "a0a0'):
        run_automatic(quick(photos, tmp_path / "run"), segmenter=Another)


def test_a_checkpoint_that_is_swapped_before_it_is_loaded_is_refused(tmp_path: Path) -> None:
    ids = iter(("aa" * 8, "bb" * 8))

    def swapped() -> DiscSegmenter:
        segmenter = DiscSegmenter()
        segmenter.model_id = next(ids)
        return segmenter

    _SWAPPED.append(swapped)
    photos = make_photos(tmp_path / "photos", 2)
    with pytest.raises(CheckpointError, match=r"are bbbb.* begun with aaaa"):
        run_automatic(quick(photos, tmp_path / "run"), segmenter=_call_swapped)


_SWAPPED: list[object] = []


def _call_swapped() -> DiscSegmenter:
    return _SWAPPED[-1]()  # type: ignore[operator]


def test_photos_that_came_or_went_are_refused_by_name(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 3)
    run_quickly(photos, tmp_path / "run")
    make_photos(photos, 2, first=3)
    (photos / "000.png").unlink()
    with pytest.raises(ConfigurationError) as refused:
        run_quickly(photos, tmp_path / "run")
    assert "2 new (003.png, 004.png), 1 gone (000.png)" in str(refused.value)
    assert "--append" in str(refused.value)


def test_append_adds_shards_and_leaves_the_old_ones(tmp_path: Path) -> None:
    photos, run = make_photos(tmp_path / "photos", 3), tmp_path / "run"
    run_quickly(photos, run)
    before = shard_digests(run)
    make_photos(photos, 3, first=3)
    summary = run_quickly(photos, run, append=True)
    after = shard_digests(run)
    assert {name: after[name] for name in before} == before
    assert sorted(after.keys() - before.keys()) == [
        "part-00002-of-00004.parquet",
        "part-00003-of-00004.parquet",
    ]
    assert (summary.images, len(rows_by_path(run))) == (6, 6)
    assert run_quickly(photos, run).images == 6


def test_append_in_a_new_folder_is_a_new_run(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 2)
    assert run_quickly(photos, tmp_path / "run", append=True).images == 2


def test_a_plan_that_outgrew_its_manifest_by_a_crash_is_cut_back(tmp_path: Path) -> None:
    photos, run = make_photos(tmp_path / "photos", 2), tmp_path / "run"
    run_quickly(photos, run)
    manifest = (run / "manifest.json").read_bytes()
    make_photos(photos, 2, first=2)
    run_quickly(photos, run, append=True)
    (run / "manifest.json").write_bytes(manifest)
    (run / "shards/part-00001-of-00002.parquet").unlink()
    assert run_quickly(photos, run, append=True).images == 4


@pytest.mark.parametrize("name", ["notes.txt", "shards/other.parquet"])
def test_a_foreign_folder_is_refused_and_not_touched(tmp_path: Path, name: str) -> None:
    foreign = tmp_path / "mine" / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text("precious")
    with pytest.raises(ConfigurationError, match=r"holds other things .* no manifest.json"):
        run_quickly(make_photos(tmp_path / "photos", 1), tmp_path / "mine")
    assert [p for p in (tmp_path / "mine").rglob("*") if p.is_file()] == [foreign]


def test_a_file_as_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="is a file, and a run needs a folder"):
        run_quickly(make_photos(tmp_path / "photos", 1), tmp_path / "file")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place nobody can write to")
def test_an_unwritable_out_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        run_quickly(make_photos(tmp_path / "photos", 1), "/proc/nobody-writes-here")


@pytest.mark.parametrize("text", ["not json", '{"kind": "something else"}'])
def test_a_foreign_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/manifest.json").write_text(text)
    with pytest.raises(ConfigurationError, match="not a manifest that this version"):
        run_quickly(make_photos(tmp_path / "photos", 1), tmp_path / "run")


def test_what_a_killed_run_left_before_its_manifest_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "run/_tmp").mkdir(parents=True)
    half = f"part-00000-of-00001.parquet.{'a1' * 16}"
    (tmp_path / "run/_tmp" / half).write_bytes(b"half")
    (tmp_path / "run/plan.parquet").write_bytes(b"")
    assert run_quickly(make_photos(tmp_path / "photos", 1), tmp_path / "run").images == 1
    assert not (tmp_path / "run/_tmp").exists()


def test_too_many_failed_photos_stop_a_long_run_early(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 30)
    with pytest.raises(StopError) as stopped:
        run_automatic(quick(photos, tmp_path / "run"), segmenter=BrokenSegmenter)
    assert "20 of 20 photos failed (internal: 20)" in str(stopped.value)
    assert "max_failed_share" in str(stopped.value)
    assert run_status(str(tmp_path / "run")).rows_done == 18


def test_too_many_failed_photos_of_a_short_run_are_said_at_its_end(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 3)
    with pytest.raises(StopError, match="3 of 3 photos failed"):
        run_automatic(quick(photos, tmp_path / "run"), segmenter=BrokenSegmenter)
    assert read_summary(str(tmp_path / "run")).failures == {"internal": 3}


def test_a_share_that_is_allowed_stops_nothing(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 3)
    config = quick(photos, tmp_path / "run", max_failed_share=1.0)
    assert run_automatic(config, segmenter=BrokenSegmenter).failed == 3


def test_a_memory_address_serves_within_one_process() -> None:
    memory = fsspec.filesystem("memory")
    from tests.factories import make_photo_bytes

    for number in range(3):
        memory.pipe_file(f"/in-memory/{number}.png", make_photo_bytes(seed=number))
    summary = run_quickly("memory://in-memory", "memory://run-in-memory")
    assert summary.images == 3
    assert len(list(read_rows("memory://run-in-memory"))) == 3
    assert memory.exists("/run-in-memory/summary.json")


def test_a_memory_address_with_several_workers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="memory:// lies in one process"):
        run_quickly(make_photos(tmp_path / "photos", 1), "memory://lost", workers=2)


def test_status_follows_a_run_from_its_folder(tmp_path: Path) -> None:
    photos, run = make_photos(tmp_path / "photos"), tmp_path / "run"
    run_quickly(photos, run)
    done = run_status(str(run))
    assert done.finished
    assert (done.rows_done, done.shards_done, done.seconds_left) == (6, 3, 0.0)
    (run / "shards/part-00002-of-00003.parquet").unlink()
    half = run_status(str(run))
    assert not half.finished
    assert (half.rows_done, half.rows_planned, half.shards_done) == (4, 6, 2)
    assert half.seconds_left == pytest.approx(2 / half.images_per_second)


def test_status_of_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no run here"):
        run_status(str(tmp_path))


def test_a_sidecar_holds_times_and_memory(tmp_path: Path) -> None:
    run_quickly(make_photos(tmp_path / "photos", 2), tmp_path / "run")
    stats = json.loads((tmp_path / "run/stats/part-00000.json").read_text())
    assert {"read", "decode", "embed", "write"} <= stats["seconds"].keys()
    assert stats["peak_memory_bytes"] > 1e6
    assert (stats["rows"], stats["workers"], stats["threads"]) == (2, 1, 1)


def test_an_unknown_setting_is_refused_before_any_work(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 1)
    with pytest.raises(ConfigurationError, match="points_per_sid"):
        run_quickly(photos, tmp_path / "run", parameters={"points_per_sid": 3})
    with pytest.raises(ConfigurationError, match="no preset is called 'fats'"):
        run_quickly(photos, tmp_path / "run", preset="fats")
    assert not (tmp_path / "run").exists()


def test_a_missing_checkpoint_is_refused_before_any_work(tmp_path: Path) -> None:
    config = AutomaticRun(
        source=str(make_photos(tmp_path / "photos", 1)),
        out=str(tmp_path / "run"),
        checkpoint=str(tmp_path / "gone.safetensors"),
    )
    with pytest.raises(CheckpointError, match="gone"):
        run_automatic(config)
    assert not (tmp_path / "run").exists()
