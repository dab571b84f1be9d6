"""Draws the pictures of the page in `docs/images`: run it again when page or starter change.

Needs Chromium and the `test` extra. Run: python benchmarks/page_pictures.py [--out docs/images]
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
DESKTOP: Final = {"viewport": {"width": 1280, "height": 800}}
PHONE: Final = {
    "viewport": {"width": 390, "height": 780},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 1.5,
}
PATIENCE_MS: Final = 120_000
COLOURS: Final = 160


def main() -> None:
    """Serves the example photos and draws each picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out = parser.parse_args().out
    command = [sys.executable, "-m", "engine.cli", "demo", "examples/photos", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        try:
            _draw(address, out / "page.png", _clicked, DESKTOP, "light")
            _draw(address, out / "page-everything.png", _everything, DESKTOP, "dark")
            _draw(address, out / "page-phone.png", _tapped, PHONE, "light")
        finally:
            server.terminate()


def _draw(
    address: str, path: Path, act: Callable[[Page], None], options: dict[str, Any], scheme: str
) -> None:
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        page = browser.new_context(color_scheme=scheme, **options).new_page()  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.goto(address)
        page.locator("body[data-model]").wait_for()
        act(page)
        page.wait_for_timeout(600)
        with Image.open(io.BytesIO(page.screenshot())) as picture:
            small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            small.save(path, optimize=True)
        browser.close()
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _clicked(page: Page) -> None:
    _open(page, "coffee.png")
    for count, place in enumerate([(0.68, 0.80), (0.12, 0.62)], start=1):
        page.mouse.click(*_at(page, *place))
        page.locator(".candidate").first.wait_for()
        page.keyboard.press("Enter")
        expect(page.locator(".object")).to_have_count(count)
    page.mouse.click(*_at(page, 0.475, 0.375))
    page.locator(".candidate").first.wait_for()


def _everything(page: Page) -> None:
    _open(page, "coins.png")
    page.keyboard.press("g")
    page.locator("#everything-panel .count").wait_for()


def _tapped(page: Page) -> None:
    _open(page, "coffee.png")
    page.touchscreen.tap(*_at(page, 0.475, 0.375))
    page.locator(".candidate").first.wait_for()


def _open(page: Page, name: str) -> None:
    page.get_by_label(f"Open {name}").click()
    page.locator("body[data-photo]").wait_for()


def _at(page: Page, x: float, y: float) -> tuple[float, float]:
    """A place of the photo, by shares of its sides."""
    box = page.locator("canvas.photo").bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


if __name__ == "__main__":
    main()
