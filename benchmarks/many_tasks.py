"""What sending and collecting many tasks takes on our side: memory and time, at a real server.

    python benchmarks/many_tasks.py [--tasks 1000] [--masks 10]

Photos of 1200 x 800 px; every task gets that many brush masks by the server's own interface.
Sending and collecting run as commands of their own, whose largest memory is what the system says.
Uses the local Label Studio (of MASK_ENGINE_LABEL_STUDIO_HOME), which has to be up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.assist.connection import connected
from engine.assist.settings import ServerSettings
from engine.label_studio.client import LabelStudio
from engine.label_studio.home import Home
from pipelines.shards import read_rows
from tests.engine.assist.runs import make_region

SIZE_HW = (800, 1200)
BAR_MB = 300


def main() -> None:
    """Measures both commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--masks", type=int, default=10)
    options = parser.parse_args()
    name = f"many-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "assist.yaml"
        photos = make_photos(Path(folder) / "photos", options.tasks)
        run = {"source": str(photos), "source_name": name, "out": f"{folder}/run", "project": name}
        config.write_text(json.dumps(run))
        report("send", options, *command("assist", "send", str(config)))
        annotate(name, options.masks)
        report("collect", options, *command("assist", "collect", str(config)))
        masks = sum(len(row.masks) for row in read_rows(f"{folder}/run", columns=["masks"]))
        expected = options.tasks * options.masks
        print(f"{masks:,} masks came back of {expected:,}")
        (Home.of().photos / name).unlink(missing_ok=True)


def make_photos(folder: Path, count: int) -> Path:
    """Smooth pictures: the files are small, the pixels are not."""
    folder.mkdir()
    for number in range(count):
        colour = (number % 256, number // 256 * 60, 90)
        Image.new("RGB", SIZE_HW[::-1], colour).save(folder / f"{number:05}.jpg")
    return folder


def annotate(name: str, masks: int) -> None:
    """Submits wobbly discs to every task, by four annotators at once."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    regions = []
    for _ in range(masks):
        y, x = random.uniform(0.1, 0.9, 2) * SIZE_HW
        radius = random.uniform(20, 120)
        wave = 1 + 0.1 * np.sin(7 * np.arctan2(rows - y, columns - x))
        regions.append(make_region(np.hypot(rows - y, columns - x) < radius * wave))
    with connected(ServerSettings()) as connection:
        studio = connection.studio
        project = next(p["id"] for p in studio.projects() if p["title"] == name)
        tasks = [task["id"] for task in studio.tasks(project)]
        with ThreadPoolExecutor(4) as people:
            list(people.map(lambda task: submit(studio, task, regions), tasks))


def submit(studio: LabelStudio, task: int, regions: list) -> None:
    """One task's annotation, its regions with ids of their own."""
    own = [region | {"id": uuid.uuid4().hex} for region in regions]
    studio.post(f"/api/tasks/{task}/annotations/", {"result": own, "lead_time": 30.0})


def command(*arguments: str) -> tuple[float, float]:
    """Runs a command; its seconds, and its largest memory in MB (1,000,000 bytes)."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", *arguments], stdout=subprocess.DEVNULL
    )
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        sys.exit(f"{arguments} failed")
    return time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6


def report(what: str, options: argparse.Namespace, seconds: float, memory_mb: float) -> None:
    """One line."""
    print(
        f"{what} {options.tasks:,} tasks of {options.masks} masks: {seconds:.0f} s, "
        f"{memory_mb:.0f} MB at most (the bar is {BAR_MB} MB)"
    )


if __name__ == "__main__":
    main()
