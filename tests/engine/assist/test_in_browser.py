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


def test_two_clicks_in_the_browser_become_a_mask_in_a_shard(tmp_path, labelling, real_studio):
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
        labelling.keep_label_selected()
        labelling.switch_on_the_smart_tool()
        plain = np.asarray(labelling.pixels(), int)
        labelling.click(*COIN_XY)
        clicked = np.asarray(labelling.pixels(), int)
        assert coloured(clicked) > coloured(plain) + 500, "no mask appeared"
        labelling.picture("5-first-click")
        answer = labelling.click(*BESIDE_XY, alt=True)
        assert not np.array_equal(np.asarray(labelling.pixels(), int), clicked)
        labelling.picture("6-alt-click")
        labelling.accept()
        labelling.picture("7-accepted")
        labelling.submit()
        labelling.picture("8-submitted")

        with connected(settings.server) as connection:
            assert collect(settings, connection).fresh == 1

    (row,) = read_rows(settings.out)
    (mask,) = row.masks
    assert mask.prompt is not None
    assert (mask.clicks, mask.prompt.point_labels) == (2, (1, 0))
    assert (mask.origin, mask.seconds_from) == ("human", "clicks")
    assert mask.annotator == real_studio.credentials.email
    region = answer["data"]["result"][0]
    size_hw = (row.height, row.width)
    shown = decode_brush(region["value"]["rle"], size_hw)
    assert np.array_equal(rle.decode(mask.segmentation), shown)  # bit-exact, through the browser


def coloured(pixels_HWC) -> int:
    """Pixels that are not grey: the photo is, masks are not."""
    return int((np.ptp(pixels_HWC, axis=2) > 25).sum())
