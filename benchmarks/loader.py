"""How fast training reads: pictures a second out of shards against SA-1B's JSON and JPEG files.

    python benchmarks/loader.py [--photos N] [--pictures N] [--json FILE]

The same photos with the same masks lie there twice: as SA-1B's files, read by the training
source `sa1b` (whose JSON is parsed before the clock starts, in its favour), and as shards that
carry their photos, read by the source `stream`. Both give the same kind of views, one process,
turn about, so that a busy machine is as busy for both.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.mixture import Mixture
from engine.training.parameters import DataParameters
from engine.training.sources import MixtureFactory
from pipelines.imported import write_imported_run
from stages import ids, rle
from stages.photos import decode_photo
from stages.records import ImageRef, ImageRow, MaskRecord

BAR = 3.0
SIZE_HW = (1500, 2250)
MASKS = 100
SIDE_PX = 512
TURN = 8


def main() -> int:
    """Prints both speeds; the exit code says whether the bar is met."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="mask-engine-bench-") as folder:
        sa1b, shards = _make_data(Path(folder), arguments.photos)
        files = _mixture({"kind": "sa1b", "name": "files", "path": str(sa1b)}, Path(folder))
        stream = _mixture({"kind": "stream", "name": "shards", "path": shards}, Path(folder))
        seconds = _time({"files": files, "shards": stream}, arguments.pictures)
    speeds = {name: arguments.pictures / spent for name, spent in seconds.items()}
    ratio = speeds["shards"] / speeds["files"]
    print(f"{arguments.photos} photos of {SIZE_HW[1]} x {SIZE_HW[0]}, {MASKS} masks each")
    print(f"{arguments.pictures} pictures of {SIDE_PX} px, one process")
    print(f"SA-1B JSON + JPEG  {speeds['files']:6.2f} pictures a second")
    print(f"shards             {speeds['shards']:6.2f} pictures a second")
    print(f"ratio              {ratio:6.2f} (bar: {BAR:g})")
    if arguments.json:
        result = {"pictures_per_second": speeds, "ratio": ratio, "bar": BAR}
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0 if ratio >= BAR else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--photos", type=int, default=32, help="photos that both hold")
    parser.add_argument("--pictures", type=int, default=128, help="pictures drawn from each")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def _make_data(folder: Path, photos: int) -> tuple[Path, str]:
    """The same photos and masks as SA-1B's files and as a run."""
    sa1b = folder / "sa1b"
    sa1b.mkdir()
    rows = [_write_photo(sa1b, number) for number in range(photos)]
    by_path = {row.ref.path: row for row in rows}
    write_imported_run(
        str(folder / "run"),
        [row.ref for row in rows],
        lambda ref: by_path[ref.path],
        source=str(sa1b),
        configuration={"stage": "import"},
        embed_images=True,
    )
    return sa1b, str(folder / "run")


def _write_photo(folder: Path, number: int) -> ImageRow:
    rng = np.random.default_rng(number)
    name = f"sa_{number:06d}"
    noise = rng.integers(0, 256, (SIZE_HW[0] // 6, SIZE_HW[1] // 6, 3), np.uint8)
    pixels = cv2.resize(noise, SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC)
    masks = [_blob(rng) for _ in range(MASKS)]
    for mask in masks:
        pixels[mask > 0] = 0.5 * pixels[mask > 0] + 0.5 * rng.integers(0, 256, 3)
    cv2.imwrite(str(folder / f"{name}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    height, width = SIZE_HW
    encoded = [rle.encode(mask) for mask in masks]
    annotations = [
        {
            "id": place,
            "segmentation": {"size": [height, width], "counts": one.counts},
            "bbox": list(rle.bbox_xywh(one)),
            "area": rle.area_px(one),
            "predicted_iou": 0.95,
            "stability_score": 0.97,
            "crop_box": [0, 0, width, height],
            "point_coords": [[0.0, 0.0]],
        }
        for place, one in enumerate(encoded)
    ]
    image = {"image_id": number, "width": width, "height": height, "file_name": f"{name}.jpg"}
    document = {"image": image, "annotations": annotations}
    (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return _row(folder / f"{name}.jpg", encoded)


def _row(file: Path, encoded: list[rle.Rle]) -> ImageRow:
    data = file.read_bytes()
    photo = decode_photo(data)
    image_id = ids.image_id("sa1b", file.name)
    masks = {
        one.counts: MaskRecord(
            mask_id=ids.mask_id(image_id, one.size_hw, one.counts, origin="import", maker="sa1b"),
            segmentation=one,
            bbox=rle.bbox_xywh(one),
            area=rle.area_px(one),
            origin="import",
        )
        for one in encoded
    }
    return ImageRow(
        ImageRef(image_id, "sa1b", file.name, str(file)),
        "import",
        width=photo.width,
        height=photo.height,
        sha256=photo.sha256,
        image=data,
        masks=tuple(masks.values()),
    )


def _blob(rng: np.random.Generator) -> NDArray[np.uint8]:
    """An ellipse of SA-1B's usual sizes: few large ones, many small ones."""
    height, width = SIZE_HW
    mask = np.zeros(SIZE_HW, np.uint8)
    radius = int(np.exp(rng.uniform(np.log(12), np.log(320))))
    centre = (int(rng.integers(width)), int(rng.integers(height)))
    axes = (radius, max(4, int(radius * rng.uniform(0.4, 1))))
    cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return mask


def _mixture(source: dict[str, str], folder: Path) -> Mixture:
    data = DataParameters.model_validate({"sources": [source], "side_px": SIDE_PX})
    return MixtureFactory(data, folder / "cache")()


def _time(mixtures: dict[str, Mixture], pictures: int) -> dict[str, float]:
    """Seconds that each took for the same number of pictures, in turns."""
    cv2.setNumThreads(1)
    seconds = dict.fromkeys(mixtures, 0.0)
    for mixture in mixtures.values():
        mixture.example(10**6)  # imports and first reads are nobody's
    for first in range(0, pictures, TURN):
        for name, mixture in mixtures.items():
            started = time.perf_counter()
            for number in range(first, min(first + TURN, pictures)):
                mixture.example(number)
            seconds[name] += time.perf_counter() - started
    return seconds


if __name__ == "__main__":
    raise SystemExit(main())
