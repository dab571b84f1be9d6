from __future__ import annotations

import runpy
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from model.errors import ConfigurationError
from pipelines.beam_pipeline import IN_MEMORY
from pipelines.propose import ProposeMasks
from pipelines.sources import list_photos
from stages.records import ImageRow
from tests.fakes import disc_segmenter
from tests.pipelines.runs import FEW_POINTS, make_photos, rows_by_path, run_quickly


def ids_of(row: ImageRow) -> tuple[str, tuple[str, ...]]:
    return row.ref.path, tuple(mask.mask_id for mask in row.masks)


def kind_of(row: ImageRow) -> tuple[str, str]:
    return row.ref.path, row.error.type if row.error else ""


def test_rows_and_failures_come_out_apart_and_equal_a_run(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", 3)
    (photos / "bad.jpg").write_text("no photo")
    run_quickly(photos, tmp_path / "run")
    expected = [ids_of(row) for row in rows_by_path(tmp_path / "run").values() if not row.error]
    with beam.Pipeline(options=PipelineOptions(list(IN_MEMORY))) as pipeline:
        proposed = (
            pipeline
            | beam.Create(list_photos(str(photos)))
            | ProposeMasks(parameters=FEW_POINTS, segmenter=disc_segmenter)
        )
        assert_that(proposed.rows | "Ids" >> beam.Map(ids_of), equal_to(expected))
        kinds = proposed.failures | "Kinds" >> beam.Map(kind_of)
        assert_that(kinds, equal_to([("bad.jpg", "not_an_image")]), label="failures")


def test_an_unknown_setting_is_refused_when_the_pipeline_is_built() -> None:
    with pytest.raises(ConfigurationError, match="no setting 'points'"):
        ProposeMasks(parameters={"points": 1}, segmenter=disc_segmenter)


def test_the_example_is_what_a_user_would_write(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples/propose_in_your_pipeline.py"
    names = runpy.run_path(str(example), run_name="example")
    row = rows_by_path_of_one(tmp_path)
    assert names["describe"](row) == f"000.png: {len(row.masks)} masks of 27 proposals"


def rows_by_path_of_one(tmp_path: Path) -> ImageRow:
    run_quickly(make_photos(tmp_path / "photos", 1), tmp_path / "run")
    return rows_by_path(tmp_path / "run")["000.png"]
