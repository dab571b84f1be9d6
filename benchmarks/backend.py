"""How fast the click backend answers: one annotator, then many at once. Over real HTTP.

    python benchmarks/backend.py [--quick] [--json] [--checkpoint starter]

Photos of 1500 x 2250 px have their embeddings in the store, and every request carries 30 brush
masks, as Label Studio sends them. The clock runs from the first byte of the request to the last
of the answer.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from engine.backend.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from engine.backend.labels import IMAGE_CONTROL, MASK_CONTROL, OBJECT
from engine.label_studio.brush import encode_brush
from engine.label_studio.brush_region import brush_region
from pipelines.sources import list_photos

SIZE_HW = (1500, 2250)
MASKS_IN_TASK = 30
CLICKS_AN_OBJECT = 3
USER, PASSWORD = "bench", "bench"
BARS_MS = {"median": 60.0, "p95": 150.0}


@dataclass(frozen=True)
class Figures:
    """What a group of annotators measured, in milliseconds."""

    annotators: int
    requests: int
    errors: int
    median: float
    p95: float
    slowest: float
    a_second: float


def main() -> int:
    """Measures; the exit code says whether the bars are met."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="mask-engine-bench-") as name:
        folder = Path(name)
        _make_photos(folder / "photos", arguments.photos)
        _embed(folder, arguments.checkpoint)
        server, port = _serve(folder, arguments.checkpoint)
        try:
            bodies = _bodies(folder)
            _annotate(port, bodies, 0, seconds=0.0, at_least=len(bodies) * CLICKS_AN_OBJECT)
            one = _measure(port, bodies, annotators=1, seconds=arguments.seconds_alone)
            many = _measure(
                port, bodies, annotators=arguments.annotators, seconds=arguments.seconds
            )
        finally:
            server.terminate()
            server.wait()
    _tell(one, many, as_json=arguments.json)
    met = one.median <= BARS_MS["median"] and one.p95 <= BARS_MS["p95"]
    return 0 if met and not one.errors and not many.errors else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--checkpoint", default="starter", help="the model")
    parser.add_argument("--photos", type=int, default=8, help="photos that are clicked on")
    parser.add_argument("--annotators", type=int, default=8, help="how many click at once")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they click")
    parser.add_argument("--seconds-alone", type=float, default=20.0, help="and one alone before")
    parser.add_argument("--quick", action="store_true", help="a few seconds of each")
    parser.add_argument("--json", action="store_true", help="for programs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.photos, arguments.seconds, arguments.seconds_alone = 2, 6.0, 4.0
    return arguments


def _make_photos(folder: Path, count: int) -> None:
    folder.mkdir()
    height, width = SIZE_HW
    for number in range(count):
        random = np.random.default_rng(number)
        pixels = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
        for _ in range(40):
            centre = random.integers(0, (width, height)).tolist()
            colour = random.integers(0, 256, 3).tolist()
            cv2.circle(pixels, centre, int(random.integers(20, 300)), colour, thickness=-1)
        Image.fromarray(pixels).save(folder / f"{number:03d}.jpg", quality=90)


def _embed(folder: Path, checkpoint: str) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "engine.cli", "embed", str(folder / "photos")),
            *("--out", str(folder / "store"), "--checkpoint", checkpoint),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _serve(folder: Path, checkpoint: str) -> tuple[subprocess.Popen[str], int]:
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "engine.cli", "serve", str(folder / "photos"), "--port", "0"),
            *("--store", str(folder / "store"), "--clicks", str(folder / "clicks")),
            *("--checkpoint", checkpoint),
        ],
        stdout=subprocess.PIPE,
        env=os.environ | {USER_VARIABLE: USER, PASSWORD_VARIABLE: PASSWORD},
        text=True,
    )
    address = server.stdout.readline().strip() if server.stdout else ""
    if not address:
        raise SystemExit("the backend did not start; its own message stands above")
    return server, int(address.rsplit(":", 1)[1])


def _bodies(folder: Path) -> list[dict[str, Any]]:
    """A request for each photo, without its prompts; its task holds 30 masks."""
    annotation = {"id": 1, "result": [_mask(number) for number in range(MASKS_IN_TASK)]}
    return [
        {
            "tasks": [
                {
                    "id": number + 1,
                    "data": {
                        "image": f"/data/local-files/?d=photos/{photo.path}",
                        "image_id": photo.image_id,
                    },
                    "annotations": [annotation],
                    "drafts": [],
                    "predictions": [],
                }
            ],
            "project": "1.1700000000",
            "params": {"context": {"result": []}},
        }
        for number, photo in enumerate(list_photos(str(folder / "photos")))
    ]


def _mask(number: int) -> dict[str, Any]:
    height, width = SIZE_HW
    mask = np.zeros(SIZE_HW, np.uint8)
    random = np.random.default_rng(number)
    centre = random.integers(0, (width, height)).tolist()
    axes = random.integers(30, 400, 2).tolist()
    cv2.ellipse(mask, centre, axes, float(random.uniform(0, 180)), 0, 360, 1, thickness=-1)
    return brush_region(
        f"{number:032x}",
        encode_brush(mask),
        SIZE_HW,
        control=MASK_CONTROL,
        shown_on=IMAGE_CONTROL,
        label=OBJECT,
    )


def _measure(
    port: int, bodies: Sequence[dict[str, Any]], *, annotators: int, seconds: float
) -> Figures:
    times: list[float] = []
    errors: list[str] = []

    def work(seed: int) -> None:
        mine, failed = _annotate(port, bodies, seed, seconds=seconds)
        times.extend(mine)
        errors.extend(failed)

    threads = [threading.Thread(target=work, args=(n + 1,)) for n in range(annotators)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lasted = time.perf_counter() - started
    for error in sorted(set(errors)):
        print(f"error: {error}", file=sys.stderr)
    hundredths = statistics.quantiles(times, n=100) if len(times) > 1 else [*times] * 99
    return Figures(
        annotators=annotators,
        requests=len(times),
        errors=len(errors),
        median=round(statistics.median(times), 1),
        p95=round(hundredths[94], 1),
        slowest=round(max(times), 1),
        a_second=round(len(times) / lasted, 1),
    )


def _annotate(
    port: int,
    bodies: Sequence[dict[str, Any]],
    seed: int,
    *,
    seconds: float,
    at_least: int = 1,
) -> tuple[list[float], list[str]]:
    """One annotator, who clicks three times on each object and waits for every answer."""
    random = np.random.default_rng(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    times: list[float] = []
    errors: list[str] = []
    clicks: list[dict[str, Any]] = []
    body = bodies[seed % len(bodies)]
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends or len(times) + len(errors) < at_least:
        if len(clicks) == CLICKS_AN_OBJECT:
            clicks, body = [], bodies[int(random.integers(len(bodies)))]
        clicks.append(_click(random, f"{seed}-{len(times)}"))
        sent = json.dumps(body | {"params": {"context": {"result": clicks}}}).encode()
        started = time.perf_counter()
        problem = _ask(connection, sent)
        if problem is None:
            times.append((time.perf_counter() - started) * 1000)
        else:
            errors.append(problem)
    connection.close()
    return times, errors


def _ask(connection: http.client.HTTPConnection, body: bytes) -> str | None:
    """What went wrong, or None."""
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/predict", body, headers)
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return f"{type(error).__name__}: {error}"
    if response.status != http.client.OK:
        return f"{response.status}: {content[:200]!r}"
    return None


def _click(random: np.random.Generator, name: str) -> dict[str, Any]:
    height, width = SIZE_HW
    x, y = random.uniform(5, 95, 2).tolist()
    return {
        "id": name,
        "type": "keypointlabels",
        "is_positive": True,
        "original_width": width,
        "original_height": height,
        "value": {"x": x, "y": y, "width": 0.3, "keypointlabels": ["Object"]},
    }


def _tell(*figures: Figures, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(group) for group in figures]))
        return
    print(f"{'annotators':>10} {'requests':>9} {'errors':>7} {'median':>8} {'p95':>8} {'max':>8}")
    for group in figures:
        print(
            f"{group.annotators:>10} {group.requests:>9} {group.errors:>7} "
            f"{group.median:>6} ms {group.p95:>5} ms {group.slowest:>5} ms"
            f"   {group.a_second} a second"
        )
    print(f"bars for one: median {BARS_MS['median']:g} ms, p95 {BARS_MS['p95']:g} ms; no errors")


if __name__ == "__main__":
    sys.exit(main())
