"""What 16-bit weights cost: masks of the exported graphs with 16 and with 32 bits, compared.

Needs the `test` extra. Run: python benchmarks/half_weights.py [--graphs DIR]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from model.checkpoints import load_checkpoint
from model.geometry import Geometry
from model.network.sam import PIXEL_MEAN, PIXEL_STD
from model.onnx.export import export_model

PHOTOS: Final = ("astronaut.png", "chelsea.png", "coffee.png", "coins.png", "rocket.jpg")
CLICKS: Final = 4  # a side
Floats = NDArray[np.float32]


def main() -> None:
    """Prints the IoU of both variants' masks over all clicks and photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=Path, help="of `mask-engine export-onnx`")
    given = parser.parse_args().graphs
    with tempfile.TemporaryDirectory() as made:
        folder = given or Path(made)
        if given is None:
            export_model(load_checkpoint("starter"), folder, meta_form=False)
        overlaps, differences = [], []
        full, half = _Variant(folder, ""), _Variant(folder, ".half")
        for name in PHOTOS:
            image_HWC = np.asarray(Image.open(Path("examples/photos") / name).convert("RGB"))
            for (one, iou), (other, other_iou) in zip(
                full.masks(image_HWC), half.masks(image_HWC), strict=True
            ):
                either = np.count_nonzero(one | other)
                overlaps.append(np.count_nonzero(one & other) / either if either else 1.0)
                differences.append(abs(iou - other_iou))
    print(
        f"{len(overlaps)} masks: IoU of 16 with 32 bits {np.mean(overlaps):.4f} on average, "
        f"lowest {min(overlaps):.4f}; predicted IoU differs by {max(differences):.4f} at most"
    )


class _Variant:
    def __init__(self, folder: Path, suffix: str) -> None:
        described = json.loads((folder / "model.json").read_text())
        self._shared: list[str] = described["shared"]
        self._input_size: int = described["input_size"]
        self._sessions = {
            part: ort.InferenceSession(str(folder / f"{part}{suffix}.onnx"))
            for part in ("encoder", "image", "prompt")
        }

    def masks(self, image_HWC: NDArray[np.uint8]) -> list[tuple[NDArray[np.bool_], float]]:
        """The three masks of each click on a grid, at the logits' resolution."""
        height, width = image_HWC.shape[:2]
        geometry = Geometry((height, width), self._input_size)
        shared = self._share(image_HWC, geometry)
        found = []
        for step in range(CLICKS * CLICKS):
            row, column = divmod(step, CLICKS)
            xy = [(column + 0.5) * width / CLICKS, (row + 0.5) * height / CLICKS]
            points = np.zeros((1, 2, 2), np.float32)
            points[0, 0] = geometry.to_input_xy(np.array(xy, np.float32))
            inputs = {"points_xy": points, "point_labels": np.array([[1, -1]], np.float32)}
            logits, iou = self._run("prompt", inputs | shared)
            found += [(logits[0, mask] > 0, float(iou[0, mask])) for mask in (1, 2, 3)]
        return found

    def _share(self, image_HWC: NDArray[np.uint8], geometry: Geometry) -> dict[str, Floats]:
        side, (height, width) = self._input_size, geometry.scaled_hw
        small = Image.fromarray(image_HWC).resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.zeros((1, 3, side, side), np.float32)
        normal_HWC = (np.asarray(small, np.float32) - PIXEL_MEAN) / PIXEL_STD
        pixels[0, :, :height, :width] = normal_HWC.transpose(2, 0, 1)
        (features,) = self._run("encoder", {"pixels": pixels})
        blank = np.zeros((1, 1, side // 4, side // 4), np.float32)
        inputs = {"features": features, "mask_logits": blank, "has_mask": np.zeros(1, np.float32)}
        return dict(zip(self._shared, self._run("image", inputs), strict=True))

    def _run(self, part: str, inputs: dict[str, Any]) -> list[Floats]:
        outputs: list[Floats] = self._sessions[part].run(None, inputs)
        return outputs


if __name__ == "__main__":
    main()
