"""How long a prefilled task takes to open in a real browser, as outlines and as brush masks.

    python benchmarks/opening.py                    # 100 outlines, and 10 brush masks beside them
    python benchmarks/opening.py --brush 100        # over a minute

A photo of 1500 x 2250 px with that many blobs; headless Chromium; seconds from the address to the
moment when all regions are there and the page answers again. Uses the local Label Studio (of
MASK_ENGINE_LABEL_STUDIO_HOME), started if it is not up.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import tempfile
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.assist.connection import connected
from engine.assist.sending import send
from engine.backend.labels import IMAGE_CONTROL, MASK_CONTROL, OBJECT, OUTLINE_CONTROL
from engine.label_studio.brush import encode_brush
from engine.label_studio.brush_region import brush_region
from engine.label_studio.home import Home
from engine.label_studio.installation import find_program
from engine.label_studio.outline import polygon_region
from engine.label_studio.server import start, state_of
from engine.semi.settings import SemiRun
from tests.engine.labelling_page import LabellingPage, browser_page, find_browser

SIZE_HW = (2250, 1500)
BAR_SECONDS = 12.0


def main() -> None:
    """Measures both kinds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outlines", type=int, default=100)
    parser.add_argument("--brush", type=int, default=10)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    home = Home.of()
    if state_of(home).state != "up":
        program = find_program(home)
        if program is None:
            sys.exit("no Label Studio here: make label-studio")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        start(home, program, port=port)
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("outlines", "brush"):
            count = getattr(options, kind)
            if count:
                measure(kind, count, options.times, Path(folder) / kind, home)


def measure(kind: str, count: int, times: int, folder: Path, home: Home) -> None:
    """Sends one task, opens it several times, and prints what that took."""
    name = f"opening-{kind}-{uuid.uuid4().hex[:8]}"
    photos = folder / "photos"
    photos.mkdir(parents=True)
    blobs = make_blobs(count)
    pixels = np.random.default_rng(0).integers(60, 120, (*SIZE_HW, 3)).astype(np.uint8)
    for blob in blobs:
        pixels[blob] = pixels[blob] + 80
    Image.fromarray(pixels).save(photos / "photo.jpg", quality=90)
    run = SemiRun(
        source=str(photos),
        source_name=name,
        out=str(folder / "run"),
        project=name,
        detector="none",
    )
    make = {"outlines": outline, "brush": brush}[kind]
    prediction = {"score": 0.9, "result": [make(blob) for blob in blobs]}
    with connected(run.server) as connection:
        project = send(run, connection, prefill=lambda ref: prediction).project
        (task,) = connection.studio.tasks(project)
        url = connection.studio.url
    seconds = [open_once(url, project, task["id"], count, home) for _ in range(times)]
    points = [len(region["value"].get("points", ())) for region in prediction["result"]]
    print(
        f"{count} {kind}: {statistics.median(seconds):.1f} s at the median of {times} "
        f"({min(seconds):.1f} to {max(seconds):.1f}); corners an outline "
        f"{statistics.mean(points):.0f}; the bar for 100 outlines is {BAR_SECONDS:.0f} s"
    )
    (home.photos / name).unlink(missing_ok=True)


def open_once(url: str, project: int, task: int, count: int, home: Home) -> float:
    """Seconds in a browser that has nothing in its cache."""
    program = find_browser()
    if program is None:
        sys.exit("no Chromium here: apt-get install chromium")
    with browser_page(program) as page:
        labelling = LabellingPage(page, url, home.ensure_credentials())
        labelling.log_in()
        return labelling.open(project, task, regions=count)


def make_blobs(count: int) -> list[np.ndarray]:
    """Wobbly discs, spread over the photo."""
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    blobs = []
    for _ in range(count):
        y, x = random.uniform(0.05, 0.95, 2) * SIZE_HW
        angle = np.arctan2(rows - y, columns - x)
        wobble = sum(
            random.uniform(0, 0.12) * np.sin(k * angle + random.uniform(0, 6)) for k in (2, 3, 5, 7)
        )
        blobs.append(np.hypot(rows - y, columns - x) < random.uniform(30, 120) * (1 + wobble))
    return blobs


def outline(blob: np.ndarray) -> dict:
    """A region as the semi-automatic stage sends it."""
    return polygon_region(
        uuid.uuid4().hex,
        blob,
        control=OUTLINE_CONTROL,
        shown_on=IMAGE_CONTROL,
        label=OBJECT,
        score=0.9,
    )


def brush(blob: np.ndarray) -> dict:
    """The same mask as a brush region."""
    return brush_region(
        uuid.uuid4().hex,
        encode_brush(blob),
        blob.shape,
        control=MASK_CONTROL,
        shown_on=IMAGE_CONTROL,
        label=OBJECT,
    )


if __name__ == "__main__":
    main()
