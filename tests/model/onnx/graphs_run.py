"""Runs exported graphs in onnxruntime, as a page does: encoder, image part, prompt part."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass
class Graphs:
    """The graphs of one folder; `variant` is "" or ".half"."""

    folder: Path
    variant: str = ""

    def __post_init__(self) -> None:
        self.described: dict[str, Any] = json.loads((self.folder / "model.json").read_text())
        self._sessions: dict[str, ort.InferenceSession] = {}

    def encode(self, pixels: Floats) -> Floats:
        return self._run("encoder", {"pixels": pixels})[0]

    def share(self, features: Floats, earlier: Floats | None = None) -> dict[str, Floats]:
        side = features.shape[-1] * 4
        logits = np.zeros((1, 1, side, side), np.float32) if earlier is None else earlier
        inputs = {
            "features": features,
            "mask_logits": logits,
            "has_mask": np.array([earlier is not None], np.float32),
        }
        outputs = self._run("image", inputs)
        return dict(zip(self.described["shared"], outputs, strict=True))

    def ask(self, shared: dict[str, Floats], points: Any, labels: Any) -> tuple[Floats, Floats]:
        inputs = {
            "points_xy": np.array([points], np.float32),
            "point_labels": np.array([labels], np.float32),
        }
        logits, iou = self._run("prompt", inputs | shared)
        return logits, iou

    def decode(self, inputs: dict[str, Floats]) -> list[Floats]:
        return self._run("decoder", inputs, variant="")

    def _run(self, part: str, inputs: dict[str, Floats], variant: str | None = None) -> Any:
        name = f"{part}{self.variant if variant is None else variant}.onnx"
        if name not in self._sessions:
            options = ort.SessionOptions()
            options.intra_op_num_threads = 2
            path = str(self.folder / name)
            self._sessions[name] = ort.InferenceSession(path, options)
        return self._sessions[name].run(None, inputs)
