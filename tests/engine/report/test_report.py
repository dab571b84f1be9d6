"""The page and the picture as a whole; `test_page_in_browser` looks at it as a person would."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.report.build import write_report
from engine.report.contact_sheet import contact_sheet
from model.errors import ConfigurationError
from stages import rle
from stages.photos import PhotoLimits
from stages.rle import Rle
from tests.engine.run_factory import make_run
from tests.factories import make_failed_row, make_row

NASTY = "</script><img src=x onerror=alert(1)>&{{style}}.jpg"


def write(run, page, *, photos=48, sheet=None):
    return write_report(
        run, page, photos=photos, limits=PhotoLimits(), meter=lambda *_: None, sheet=sheet
    )


def data_of(html: str):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])


class Addresses(HTMLParser):
    """Collects everything that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found += [v for k, v in attrs if k in {"src", "href", "srcset", "data", "action"}]


def test_the_page_shows_every_mask_of_the_sampled_photos(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    tally = write(run, tmp_path / "page.html")
    assert (tally.images, tally.masks) == (5, 6)
    html = (tmp_path / "page.html").read_text()
    photos = data_of(html)["photos"]
    assert [len(photo["masks"]) for photo in photos] == [3, 1, 1, 1]
    first = photos[0]
    code = Rle((first["th"], first["tw"]), first["masks"][0][0])
    assert np.array_equal(rle.decode(code), rle.decode(photo_rows[0].masks[0].segmentation))
    assert first["src"].startswith("data:image/jpeg;base64,")
    assert "finished, 5 photos" in html


def test_the_page_fetches_nothing_and_runs_only_its_own_script(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    write(run, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    parser = Addresses()
    parser.feed(html)
    assert all(address.startswith("#") for address in parser.found)
    assert not re.search(r"https?://|@import|url\(", html)
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html


def test_names_cannot_break_out_of_the_page(tmp_path, photo_rows):
    rows = [
        replace(photo_rows[0], ref=replace(photo_rows[0].ref, path=NASTY)),
        make_failed_row(NASTY),
    ]
    run = make_run(tmp_path / "run <b>", rows)
    write(run, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "<img src=x" not in html
    assert "<b>&lt;" not in html
    assert "&lt;/script&gt;&lt;img src=x" in html
    assert data_of(html)["photos"][0]["path"] == NASTY


def test_an_unfinished_run_is_called_partial(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows, shards_written=1)
    tally = write(run, tmp_path / "page.html")
    assert tally.images == 2
    assert "partial: 2 of 5 photos so far" in (tmp_path / "page.html").read_text()


def test_a_run_that_has_just_begun_has_a_page(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows, shards_written=0)
    assert write(run, tmp_path / "page.html").images == 0
    assert "partial: 0 of 5 photos so far" in (tmp_path / "page.html").read_text()


def test_the_sample_is_bounded_and_the_page_says_so(tmp_path):
    run = make_run(tmp_path / "run", [make_row(f"{i}.jpg") for i in range(9)], shard_size=4)
    write(run, tmp_path / "page.html", photos=3)
    html = (tmp_path / "page.html").read_text()
    assert len(data_of(html)["photos"]) == 3
    assert "3 photos of 9, a fair draw. 3 photos could not be shown: masks on grey." in html


def test_a_run_without_a_readable_photo_has_a_page(tmp_path):
    run = make_run(tmp_path / "run", [make_failed_row()])
    write(run, tmp_path / "page.html", sheet=tmp_path / "sheet.png")
    html = (tmp_path / "page.html").read_text()
    assert "No photo could be read." in html
    assert "truncated 1" in html


def test_embedded_photos_are_shown_without_their_source(tmp_path, photo_rows):
    rows = [
        row if row.error else replace(row, image=Path(row.ref.uri).read_bytes())
        for row in photo_rows
    ]
    run = make_run(tmp_path / "run", rows, with_images=True)
    for row in photo_rows[:4]:
        Path(row.ref.uri).unlink()
    write(run, tmp_path / "page.html")
    photos = data_of((tmp_path / "page.html").read_text())["photos"]
    assert [photo["trouble"] for photo in photos] == [None] * 4


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no manifest\.json"):
        write(str(tmp_path), tmp_path / "page.html")


def test_a_page_that_cannot_be_written_is_refused(tmp_path, photo_rows):
    run = make_run(tmp_path / "run", photo_rows)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write(run, tmp_path / "file" / "page.html")


def test_the_picture_shows_photos_with_coloured_masks(photo_rows):
    sheet = contact_sheet(photo_rows[:4], PhotoLimits(), width_px=400, columns=2)
    assert sheet.width == 400
    grey = [replace(row, ref=replace(row.ref, uri="/absent.jpg")) for row in photo_rows[:1]]
    pixels = np.asarray(contact_sheet(grey, PhotoLimits(), width_px=256, columns=1)).astype(int)
    coloured = np.ptp(pixels, axis=2) > 20
    assert coloured.any()
    assert not coloured[-1, 0]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_any_number_of_photos_makes_a_picture(photo_rows, count):
    rows = (photo_rows[:4] * 2)[:count]
    with_size = contact_sheet(rows, PhotoLimits(), width_px=300)
    assert isinstance(with_size, Image.Image)
    assert with_size.width == 300
