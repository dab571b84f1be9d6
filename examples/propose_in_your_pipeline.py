"""Masks inside a Beam pipeline of your own: count the masks of every photo in a folder.

Run it with `python examples/propose_in_your_pipeline.py [FOLDER]`.
"""

import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.propose import ProposeMasks
from pipelines.sources import list_photos
from stages.records import ImageRow


def describe(row: ImageRow) -> str:
    """A line about a photo with masks."""
    return f"{row.ref.path}: {len(row.masks)} masks of {row.proposals} proposals"


def complain(row: ImageRow) -> str:
    """A line about a photo that failed."""
    return f"{row.ref.path}: {row.error.type} ({row.error.message})" if row.error else ""


def main(folder: str = "examples/photos") -> None:
    """Lists photos, proposes masks, prints a line for each."""
    options = PipelineOptions(["--runner=FnApiRunner", "--direct_running_mode=in_memory"])
    with beam.Pipeline(options=options) as pipeline:
        photos = pipeline | beam.Create(list_photos(folder))
        proposed = photos | ProposeMasks(preset="fast")
        proposed.rows | "Describe" >> beam.Map(describe) | "Print" >> beam.Map(print)
        proposed.failures | "Complain" >> beam.Map(complain) | "Warn" >> beam.Map(print)


if __name__ == "__main__":
    main(*sys.argv[1:2])
