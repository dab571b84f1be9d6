"""Several runs as one, through Beam: references, near-duplicates, and a resumed write."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from model.errors import ConfigurationError
from pipelines.joins import JoinedRun, JoinIndex, JoinRecipe, index_runs, write_joined_run
from pipelines.shards import read_rows
from pipelines.storage import Folder
from stages.joining import JoinParameters, join_rows
from stages.photos import PhotoLimits
from stages.records import ImageRow
from tests.engine.run_factory import make_run
from tests.factories import make_failed_row, make_mask, make_photo_bytes, make_ref, make_row
from tests.pipelines.runs import shard_digests

PARAMETERS = JoinParameters(sure_predicted_iou=0.9)


class Joining:
    """Two runs that share photos; photo 3 is photo 0 in another file format."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "photos").mkdir()
        formats = {3: "JPEG"}
        for number in range(5):
            data = make_photo_bytes(
                640, 480, seed=number % 3, file_format=formats.get(number, "PNG")
            )
            (folder / "photos" / f"{number}.png").write_bytes(data)
        self.machine = [self.row(n, make_mask(box_xywh=(4, 6, 10, 8 + n))) for n in range(5)]
        people = make_mask(box_xywh=(5, 6, 10, 8), origin="human", annotator="ann")
        self.people = [replace(self.row(0, people), stage="assisted_manual")]
        self.runs = (
            JoinedRun(make_run(folder / "machine", [*self.machine, make_failed_row()]), 1),
            JoinedRun(make_run(folder / "people", self.people), 2),
        )

    def row(self, number: int, *masks: object) -> ImageRow:
        path = f"{number}.png"
        file = self.folder / "photos" / path
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        return make_row(ref=make_ref(path, uri=str(file)), sha256=sha256, masks=masks, dropped={})

    def index(self) -> JoinIndex:
        out = Folder(str(self.folder / "index"))
        return index_runs(self.runs, out, limits=PhotoLimits(), alike_bits=3)

    def write(self, name: str) -> None:
        write_joined_run(
            str(self.folder / name),
            self.index().photos,
            JoinRecipe(self.runs, PARAMETERS),
            source="photos",
            configuration={"stage": "joined"},
        )


@pytest.fixture
def joining(tmp_path: Path) -> Joining:
    return Joining(tmp_path)


def test_rows_of_one_photo_meet_and_look_alikes_are_found(joining: Joining) -> None:
    index = joining.index()

    assert [photo.ref.path for photo in index.photos] == [f"{n}.png" for n in range(5)]
    assert [len(photo.places) for photo in index.photos] == [2, 1, 1, 1, 1]
    paths = {photo.ref.image_id: photo.ref.path for photo in index.photos}
    alike = {frozenset((paths[a], paths[b])) for a, b in index.alike}
    assert alike == {frozenset(("0.png", "3.png")), frozenset(("1.png", "4.png"))}


def test_the_pipeline_gives_what_joining_rows_directly_gives(joining: Joining) -> None:
    joining.write("joined")

    rows = {row.ref.path: row for row in read_rows(str(joining.folder / "joined"))}
    direct = join_rows(
        [replace(joining.machine[0], round=1), replace(joining.people[0], round=2)], PARAMETERS
    )
    assert replace(rows["0.png"], image=None) == direct
    assert rows["0.png"].image
    assert len(rows) == 5


def test_a_write_goes_on_where_it_stopped_and_refuses_another_join(joining: Joining) -> None:
    joining.write("joined")
    before = shard_digests(joining.folder / "joined")
    next((joining.folder / "joined" / "shards").iterdir()).unlink()

    joining.write("joined")

    assert shard_digests(joining.folder / "joined") == before
    with pytest.raises(ConfigurationError, match='another kind: its stage was "joined"'):
        write_joined_run(
            str(joining.folder / "joined"),
            joining.index().photos,
            JoinRecipe(joining.runs, PARAMETERS),
            source="photos",
            configuration={"stage": "another"},
        )


def test_a_photo_that_is_gone_or_another_is_a_row_that_says_so(joining: Joining) -> None:
    photos = joining.index().photos
    (joining.folder / "photos" / "2.png").unlink()
    (joining.folder / "photos" / "1.png").write_bytes(make_photo_bytes(60, 40))

    write_joined_run(
        str(joining.folder / "joined"),
        photos,
        JoinRecipe(joining.runs, PARAMETERS),
        source="photos",
        configuration={},
    )

    rows = {row.ref.path: row for row in read_rows(str(joining.folder / "joined"))}
    gone, other = rows["2.png"], rows["1.png"]
    assert gone.error is not None
    assert gone.error.type == "vanished"
    assert gone.dropped == {"photo_is_gone": 1}
    assert other.error is not None
    assert "another than the one that its masks were made for" in other.error.message
    assert (other.masks, other.image, other.dropped) == ((), None, {"photo_changed": 1})
