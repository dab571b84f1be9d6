"""The page in a real browser, from a file, with the network out of reach."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.report.build import write_report
from stages.photos import PhotoLimits
from tests.engine.run_factory import make_run

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=8000",
)


@pytest.fixture
def browse(cannot_run, tmp_path):
    """Runs the browser on a page and gives what it says; skips where there is none."""
    browser = next((path for name in NAMES if (path := shutil.which(name))), None)
    if browser is None:
        cannot_run("no Chromium on this machine (apt-get install chromium)")

    def _browse(page: Path, *flags: str) -> str:
        command = [browser, *FLAGS, f"--user-data-dir={tmp_path}/browser", *flags, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout

    return _browse


@pytest.fixture
def page(tmp_path, photo_rows) -> Path:
    run = make_run(tmp_path / "run", photo_rows)
    target = tmp_path / "page.html"
    write_report(run, target, photos=48, limits=PhotoLimits(), meter=lambda *_: None, sheet=None)
    return target


def test_the_gallery_is_built_and_all_masks_are_shown(browse, page):
    dom = browse(page, "--dump-dom")
    assert ">6 of 6 masks shown<" in dom
    assert dom.count('class="card"') == 4
    assert re.search(r"<b title=\"sub/photo 0.png\">photo 0.png</b><span>3 masks</span>", dom)
    assert 'name="level-0"' in dom
    assert 'name="level-1"' in dom


@pytest.mark.parametrize("width", [1400, 500])
def test_masks_are_painted_over_the_photos_at_every_width(browse, page, tmp_path, width):
    def saturated(target: Path) -> int:
        browse(page, f"--window-size={width},1600", f"--screenshot={target}")
        with Image.open(target) as image:
            assert image.width == width
            pixels = np.asarray(image.convert("RGB")).astype(int)
        return int((np.ptp(pixels, axis=2) > 60).sum())

    painted = saturated(tmp_path / "with.png")
    text = page.read_text()
    page.write_text(re.sub(r'"masks":\[\[.*?\]\]', '"masks":[]', text))
    assert saturated(tmp_path / "without.png") != painted
