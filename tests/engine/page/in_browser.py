"""The page in a real headless Chromium, worked as a person works it."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import uvicorn
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from starlette.types import ASGIApp

from engine.backend.credentials import Credentials
from engine.backend.server import listen
from engine.page.serving import address_of
from engine.page.settings import PageSettings
from tests.engine.labelling_page import FLAGS

PATIENCE_MS: Final = 120_000
WINDOW: Final = {"width": 1280, "height": 800}


@contextmanager
def served(app: ASGIApp, credentials: Credentials) -> Iterator[str]:
    """The application at a free port, in a thread; gives the address with its token."""
    with listen(PageSettings(port=0).as_backend(None)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield address_of(listening, credentials)
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def chromium(
    program: str, *, flags: Sequence[str] = (), patience_ms: int = PATIENCE_MS, **options: Any
) -> Iterator[Page]:
    """An empty page; what goes wrong in it goes wrong here."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
        try:
            page = browser.new_context(**({"viewport": WINDOW} | options)).new_page()
            page.set_default_timeout(patience_ms)
            expect.set_options(timeout=patience_ms)
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            yield page
            assert errors == []
        finally:
            browser.close()


class MaskPage:
    """One person at the page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def enter(self, address: str) -> MaskPage:
        self.page.goto(address)
        expect(self.page.locator("body[data-model]")).to_be_attached()
        return self

    def open_sample(self, name: str) -> None:
        self.page.get_by_label(f"Open {name}").click()
        self.wait_for_photo(name)

    def open_file(self, path: Path) -> None:
        self.page.set_input_files("#file", str(path))

    def wait_for_photo(self, name: str) -> None:
        expect(self.page.locator("#photo-name")).to_have_text(name)
        expect(self.page.locator("#busy")).to_be_hidden()

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the photo is shown."""
        box = self.page.locator("canvas.photo").bounding_box()
        size = self.page.locator("canvas.photo").evaluate("canvas => [canvas.width, canvas.height]")
        assert box is not None
        return box["x"] + x * box["width"] / size[0], box["y"] + y * box["height"] / size[1]

    def point_at(self, x: float, y: float) -> None:
        self.page.mouse.move(*self.on_screen(x, y))

    def click(self, x: float, y: float, *, negative: bool = False) -> None:
        before = self.marks()
        if negative:
            self.page.keyboard.down("Alt")
        self.page.mouse.click(*self.on_screen(x, y))
        if negative:
            self.page.keyboard.up("Alt")
        expect(self.page.locator(".marks .point")).to_have_count(before + 1)

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        self.page.mouse.move(*self.on_screen(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.on_screen(*stop), steps=4)
        self.page.mouse.up()

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)

    def marks(self) -> int:
        return self.page.locator(".marks .point").count()

    def painted(self, layer: str) -> int:
        """Pixels of a layer that are not transparent."""
        return int(
            self.page.locator(f"canvas.{layer}").evaluate(
                "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
                ".reduce((sum, value, at) => sum + (at % 4 === 3 && value > 0), 0)"
            )
        )

    def wait_until_painted(self, layer: str, there: bool = True) -> int:
        for _ in range(600):
            count = self.painted(layer)
            if bool(count) == there:
                return count
            self.page.wait_for_timeout(100)
        raise AssertionError(f"layer {layer} holds {count} pixels, expected some: {there}")

    def downloaded(self, start: Callable[[], None]) -> bytes:
        with self.page.expect_download() as download:
            start()
        return download.value.path().read_bytes()

    def masks(self) -> list[dict[str, Any]]:
        """What the SA-1B file holds."""
        text = self.downloaded(lambda: self.press("j"))
        annotations: list[dict[str, Any]] = json.loads(text)["annotations"]
        return annotations

    def cut_out(self) -> NDArray[np.uint8]:
        data = self.downloaded(lambda: self.press("c"))
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


ASK_WORKER: Final = """async ([features, hw, inputSize, prompts, wanted]) => {
  const worker = new Worker('worker.js', { type: 'module' });
  let id = 0;
  const ask = (kind, args) => new Promise((resolve, reject) => {
    const mine = id++;
    const hear = ({ data }) => {
      if (data.id !== mine) return;
      worker.removeEventListener('message', hear);
      if ('failed' in data) reject(new Error(data.failed)); else resolve(data.gives);
    };
    worker.addEventListener('message', hear);
    worker.postMessage({ id: mine, kind, args });
  });
  const here = new URL('.', location.href).href;
  await ask('load', { model: here + 'model/', runtime: here + 'runtime/', threads: 2, wanted });
  const bytes = Uint8Array.from(atob(features), (letter) => letter.charCodeAt(0));
  const geometry = { height: hw[0], width: hw[1], inputSize };
  await ask('features', { features: new Float32Array(bytes.buffer), geometry });
  const answers = [];
  let earlier = null;
  for (const prompt of prompts) {
    const { logits, predictedIou } = await ask('ask', { prompt, earlier });
    const side = inputSize / 4;
    if (prompt.feed !== undefined) {
      const start = prompt.feed * side * side;
      earlier = { key: String(answers.length), logits: logits.slice(start, start + side * side) };
    }
    answers.push([Array.from(logits), Array.from(predictedIou)]);
  }
  worker.terminate();
  return answers;
}"""


def ask_worker(
    page: Page,
    features: NDArray[np.float32],
    size_hw: tuple[int, int],
    input_size: int,
    prompts: list[Any],
    wanted: str = "wasm",
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Speaks with the page's own worker: logits (4, h, w) and predicted IoU (4,) of each prompt."""
    encoded = base64.b64encode(features.tobytes()).decode()
    answers = page.evaluate(ASK_WORKER, [encoded, list(size_hw), input_size, prompts, wanted])
    side = input_size // 4
    return [
        (np.array(logits, np.float32).reshape(4, side, side), np.array(iou, np.float32))
        for logits, iou in answers
    ]
