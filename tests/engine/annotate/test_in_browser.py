"""A queue of three photos in a real Chromium, with a page that reloads and a server that dies."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from engine.annotate.serving import build_annotating
from engine.annotate.settings import AnnotateRun
from engine.clicks.log import ClickLog
from pipelines.reviews import read_reviews
from pipelines.storage import Folder
from tests.engine.annotate.annotating import make_work, mask_counts, rows_of, serve
from tests.engine.page.pages import CREDENTIALS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PHOTOS = ("camera.png", "chelsea.png", "coffee.png")


class Server:
    """`mask-engine annotate` as a process of its own, always at the same port."""

    def __init__(self, folder: Path, cache: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.out = str(folder / "run")
        self._config = folder / "annotate.yaml"
        page = {"port": port, "credentials": str(folder / "credentials.json")}
        settings = {"source": str(folder / "photos"), "out": self.out, "page": page}
        self.log = ClickLog(folder / "clicks")
        settings["click_log"] = str(self.log.folder)
        self._config.write_text(yaml.safe_dump(settings))
        self._environment = {**os.environ, "MASK_ENGINE_CACHE": str(cache)}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        command = [sys.executable, "-m", "engine.cli", "annotate", str(self._config)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=self._environment
        )
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._end()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._end()

    def _end(self) -> int:
        self._process.stdout.close()
        status = self._process.wait(120)
        self._process = None
        return status

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None:
            self.kill()


@pytest.fixture
def server(tmp_path, browser_cache):
    (tmp_path / "photos").mkdir()
    for name in PHOTOS:
        shutil.copy(Path("examples/photos") / name, tmp_path / "photos")
    with Server(tmp_path, browser_cache) as made:
        yield made


def test_three_photos_come_into_shards_once_whatever_dies(chromium_program, server):
    from playwright.sync_api import expect

    from tests.engine.page.in_browser import MaskPage, chromium

    with chromium(chromium_program) as page:
        person = MaskPage(page)
        name, progress = page.locator("#photo-name"), page.locator("#progress")
        saved = page.locator("body[data-saved=saved]")

        def keep_one(x: float, y: float) -> None:
            person.click(x, y)
            person.press("Enter")
            expect(page.locator(".object")).to_have_count(1)

        person.enter(server.start())
        page.get_by_label("Your name").fill("Ada")
        person.press("Enter")

        expect(name).to_have_text(PHOTOS[0])
        keep_one(250, 200)
        expect(saved).to_be_attached()
        page.reload()  # in the middle of a photo: the mask is still there
        page.get_by_label("Your name").fill("Ada")
        person.press("Enter")
        expect(page.locator(".object")).to_have_count(1)
        person.press("d")
        person.press("p")

        expect(name).to_have_text(PHOTOS[1])
        person.click(200, 150)
        server.kill()  # in the middle of a photo, and of saving it
        person.press("Enter")
        expect(page.locator(".object")).to_have_count(1)
        person.press("p")
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        server.start()
        expect(name).to_have_text(PHOTOS[2])
        keep_one(300, 180)
        person.press("p")
        expect(progress).to_have_text(re.compile("3 of 3 photos done"))
        server.stop()

    rows = rows_of(server.out)
    assert sorted(row.ref.path for row in rows) == sorted(PHOTOS)
    assert {row.ref.path: row.exhaustive for row in rows}[PHOTOS[0]] is True
    for row in rows:
        (mask,) = row.masks
        assert (mask.annotator, mask.clicks, mask.seconds_from) == ("Ada", 1, "clicks")
        assert 0 < mask.seconds < 600
        assert len(mask.prompt.points_xy) == 1
        logged = server.log.entries("annotate", row.ref.image_id)
        assert [entry.clicks for entry in logged if not entry.is_opening] == [1]


def test_a_judged_mask_has_the_seconds_it_was_looked_at(chromium_program, graphs, tmp_path):
    from playwright.sync_api import expect

    from tests.engine.page.in_browser import MaskPage, chromium, served

    first = serve(tmp_path, count=1)
    large, small = mask_counts(2, 3, 30, 30), mask_counts(40, 30, 9, 9)
    masks = [{"id": "a", "segmentation": large}, {"id": "b", "segmentation": small}]
    work = make_work(masks=masks, clicks=[], done="complete", ended=112.0)
    first.put(first.photos[0].image_id, work)
    first.run.collector.collect()
    verifying = AnnotateRun(
        source=first.settings.source,
        out=str(tmp_path / "verify"),
        kind="verify",
        masks=first.settings.out,
        click_log=str(tmp_path / "clicks"),
    )
    app = build_annotating(verifying, CREDENTIALS, graphs, told=lambda line: None).app
    with served(app, CREDENTIALS) as address, chromium(chromium_program) as page:
        person = MaskPage(page).enter(address)
        page.get_by_label("Your name").fill("Ada")
        person.press("Enter")
        judged = page.locator(".judged")
        expect(judged).to_have_text("0 of 2 masks judged")
        page.wait_for_timeout(700)
        person.press("y")
        expect(judged).to_have_text("1 of 2 masks judged")
        person.press("n")
        person.press("p")
        expect(page.locator("#progress")).to_have_text(re.compile("1 of 1 photos done"))
    largest, smallest = sorted(rows_of(first.settings.out)[0].masks, key=lambda mask: -mask.area)
    reviews = {review.mask_id: review for review in read_reviews(Folder(verifying.out))}
    assert reviews[largest.mask_id].verdict == "accept"
    assert 0.6 < reviews[largest.mask_id].seconds < 300
    assert reviews[smallest.mask_id].verdict == "reject"
    assert 0 < reviews[smallest.mask_id].seconds < 300
