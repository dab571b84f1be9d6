"""Label Studio's labelling page in a real headless Chromium, worked as a person works it."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from engine.label_studio.home import Credentials

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WINDOW: Final = {"width": 1360, "height": 940}
PATIENCE_MS: Final = 120_000
# With this variable, pictures of every step are written to the folder that it names.
PICTURES_VARIABLE: Final = "MASK_ENGINE_SCREENSHOTS"
PICTURE_WIDTH_PX: Final = 900
PICTURE_COLOURS: Final = 128

_ALL_THERE: Final = """count => {
    const annotation = window.Htx?.annotationStore?.selected;
    return annotation && (annotation.regionStore?.regions?.length ?? 0) >= count;
}"""
_REGIONS = "window.Htx.annotationStore.selected.regionStore.regions"
_IS_GONE: Final = f"id => !{_REGIONS}.some(region => region.cleanId === id)"
_PLACE_IN_LIST: Final = f"id => {_REGIONS}.findIndex(region => region.cleanId === id)"
_ANSWERS_AGAIN: Final = "() => new Promise(f => requestAnimationFrame(() => setTimeout(f, 0)))"


def find_browser() -> str | None:
    """A Chromium of this machine."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def browser_page(program: str) -> Iterator[Page]:
    """An empty page of a browser of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            page = browser.new_page(viewport=WINDOW)  # type: ignore[arg-type]
            page.set_default_timeout(PATIENCE_MS)
            yield page
        finally:
            browser.close()


class LabellingPage:
    """One person at a Label Studio.

    Args:
        page: of the browser.
        url: the server's address.
        credentials: to log in with.
    """

    def __init__(self, page: Page, url: str, credentials: Credentials) -> None:
        self.page = page
        self._url = url
        self._credentials = credentials

    def log_in(self) -> None:
        self.page.goto(f"{self._url}/user/login/")
        self.page.fill("input[name=email]", self._credentials.email)
        self.page.fill("input[name=password]", self._credentials.password)
        self.picture("1-log-in")
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda url: "login" not in url)

    def open(self, project: int, task: int, *, regions: int = 0) -> float:
        """Opens a task; returns the seconds until it is usable.

        That is: the photo and so many regions are there, and the page answers again.
        """
        begun = time.perf_counter()
        self.page.goto(f"{self._url}/projects/{project}/data?task={task}")
        self.page.wait_for_selector("canvas")
        self.page.wait_for_selector("[data-testid=bottombar-submit-button]")
        self.page.wait_for_function(_ALL_THERE, arg=regions)
        self.page.evaluate(_ANSWERS_AGAIN)
        return time.perf_counter() - begun

    def switch_on_the_smart_tool(self) -> None:
        self.page.get_by_text("Auto-Annotation", exact=True).click()
        self.page.locator("button.lsf-tool_smart").first.click()
        self.page.mouse.move(1, 1)  # away from the button, whose menu hides a part of the photo
        self.page.wait_for_timeout(500)
        self.picture("3-smart-tool")

    def click(self, x_share: float, y_share: float, *, alt: bool = False) -> Any:
        """Clicks at a place of the photo; returns the backend's answer as the page got it."""
        photo = self.photo_box()
        x, y = photo["x"] + photo["width"] * x_share, photo["y"] + photo["height"] * y_share
        if alt:
            self.page.keyboard.down("Alt")
        with self.page.expect_response(lambda r: "interactive-annotating" in r.url) as heard:
            self.page.mouse.click(x, y)
        if alt:
            self.page.keyboard.up("Alt")
        answer = heard.value.json()
        # The page draws the mask a moment after it has it.
        self.page.locator("[data-testid=bottombar-accept-suggestions-button]").wait_for()
        self.page.wait_for_timeout(1500)
        return answer

    def accept(self) -> None:
        self.page.locator("[data-testid=bottombar-accept-suggestions-button]").click()
        self.page.wait_for_timeout(1000)

    def submit(self) -> Any:
        """Submits; returns the annotation as the server keeps it."""
        with self.page.expect_response(
            lambda r: r.request.method == "POST" and "/annotations" in r.url
        ) as heard:
            self.page.locator("[data-testid=bottombar-submit-button]").click()
        self.page.wait_for_timeout(2500)
        return heard.value.json()

    def submit_by_key(self) -> Any:
        """Submits as people do who never touch the mouse."""
        with self.page.expect_response(
            lambda r: r.request.method == "POST" and "/annotations" in r.url
        ) as heard:
            self.page.keyboard.press("Control+Enter")
        self.page.wait_for_timeout(1500)
        return heard.value.json()

    def delete_region(self, region_id: str) -> None:
        """Chooses a region and presses Backspace."""
        self._choose(region_id)
        self.page.keyboard.press("Backspace")
        self.page.wait_for_function(_IS_GONE, arg=region_id)

    def drag_outline(self, region_id: str, corner: Any, target: Any) -> None:
        """Moves an outline by one of its corners; both places in percent of the photo."""
        self.page.locator("[aria-label=move-tool]").first.click()
        self._choose(region_id)
        photo = self.photo_box()
        start, end = (
            (photo["x"] + photo["width"] * x / 100, photo["y"] + photo["height"] * y / 100)
            for x, y in (corner, target)
        )
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=8)
        self.page.mouse.up()
        self.page.wait_for_timeout(800)

    def _choose(self, region_id: str) -> None:
        """As a click on its line in the list of regions does."""
        place = self.page.evaluate(_PLACE_IN_LIST, region_id)
        self.page.locator(".lsf-outliner-item").nth(place).click()
        self.page.wait_for_timeout(800)

    def photo_box(self) -> dict[str, float]:
        """The photo's place in the window; a part of it may be outside what is shown."""
        place = self.page.locator(".lsf-image img, .lsf-image canvas").first.bounding_box()
        assert place is not None
        return dict(place)  # type: ignore[arg-type]

    def pixels(self) -> Image.Image:
        """What the photo looks like now, with all that is drawn over it."""
        data = self.page.locator(".lsf-image").first.screenshot()
        return Image.open(io.BytesIO(data)).convert("RGB")

    def picture(self, name: str) -> None:
        """Keeps a small picture of the window where pictures are wanted."""
        folder = os.environ.get(PICTURES_VARIABLE)
        if folder:
            window = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
            height = round(window.height * PICTURE_WIDTH_PX / window.width)
            small = window.resize((PICTURE_WIDTH_PX, height), Image.Resampling.LANCZOS)
            few = small.quantize(PICTURE_COLOURS, Image.Quantize.FASTOCTREE)
            few.save(Path(folder) / f"annotating-{name}.png", optimize=True)

    def wait_until(self, happened: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Waits for something that the page does in its own time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if happened():
                return True
            self.page.wait_for_timeout(250)
        return False
