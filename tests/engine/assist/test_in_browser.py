"""The whole way as an annotator goes it: a real browser, a real server, the real starter model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.assist.collecting import collect
from engine.assist.connection import connected
from engine.assist.sending import send
from engine.assist.settings import AssistRun, BackendSettings
from engine.label_studio.brush import decode_brush
from pipelines.shards import read_rows
from stages import rle
from tests.engine.backend.served import served_backend

pytestmark = [pytest.mark.browser, pytest.mark.label_studio, pytest.mark.timeout(900)]

COIN_XY = (0.1, 0.16)  # of the photo: in the first coin
BESIDE_XY = (0.245, 0.17)  # in the coin beside it
NEXT_XY = (0.4, 0.15)  # in the third one


def test_clicks_in_the_browser_become_masks_in_a_shard(tmp_path, labelling, real_studio):
    """Two clicks on a coin, then one on the next: nothing has to be chosen in between."""
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(Path("examples/photos/coins.png"), photos)
    name = f"coins-{tmp_path.name}"
    with served_backend(tmp_path, segmenter=None, source_name=name) as address:
        settings = AssistRun(
            source=str(photos),
            source_name=name,
            out=str(tmp_path / "run"),
            project="Coins",
            backend=BackendSettings(
                url=address,
                credentials=str(tmp_path / "backend.json"),
                click_log=str(tmp_path / "clicks"),
            ),
        )
        with connected(settings.server) as connection:
            project = send(settings, connection).project
            (task,) = connection.studio.tasks(project)

        labelling.log_in()
        labelling.open(project, task["id"])
        labelling.picture("2-task")
        labelling.switch_on_the_smart_tool()
        plain = np.asarray(labelling.pixels(), int)
        labelling.click(*COIN_XY)
        clicked = np.asarray(labelling.pixels(), int)
        assert coloured(clicked) > coloured(plain) + 500, "no mask appeared"
        labelling.picture("4-first-click")
        answer = labelling.click(*BESIDE_XY, alt=True)
        assert not np.array_equal(np.asarray(labelling.pixels(), int), clicked)
        labelling.picture("5-alt-click")
        labelling.accept()
        next_answer = labelling.click(*NEXT_XY)
        labelling.accept()
        labelling.picture("6-accepted")
        labelling.submit()
        labelling.picture("7-submitted")

        with connected(settings.server) as connection:
            assert collect(settings, connection).fresh == 1

    (row,) = read_rows(settings.out)
    first, second = row.masks
    assert first.prompt is not None
    assert (first.clicks, first.prompt.point_labels, second.clicks) == (2, (1, 0), 1)
    for mask, shown in ((first, answer), (second, next_answer)):
        assert (mask.origin, mask.seconds_from) == ("human", "clicks")
        assert mask.annotator == real_studio.credentials.email
        region = shown["data"]["result"][0]
        pixels = decode_brush(region["value"]["rle"], (row.height, row.width))
        assert np.array_equal(rle.decode(mask.segmentation), pixels)  # bit-exact, by the browser


def coloured(pixels_HWC) -> int:
    """Pixels that are not grey: the photo is, masks are not."""
    return int((np.ptp(pixels_HWC, axis=2) > 25).sum())
