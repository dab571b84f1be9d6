from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from engine.cli import app
from engine.configuration import build, read_yaml
from engine.detection.settings import DetectorRun
from engine.detection.train import train_detector
from model.errors import ConfigurationError
from stages import rle
from tests.engine.simulation.discs import make_discs


def settings(tmp_path, **fields):
    source = {
        "kind": "coco",
        "name": "discs",
        "path": str(tmp_path / "truth.json"),
        "images": str(tmp_path / "photos"),
    }
    schedule = {"steps": 2, "images_per_step": 1, "warm_up_steps": 1}
    defaults = {
        "sources": [source],
        "out": str(tmp_path / "detector"),
        "schedule": schedule,
        "threads": 1,
    }
    return build(DetectorRun, [defaults | fields], origin="test")


def test_the_command_leaves_a_detector_and_says_for_which_model(tmp_path):
    make_discs(tmp_path, count=2)
    config = tmp_path / "detector.yaml"
    config.write_text(json.dumps(settings(tmp_path, mirrored=False).model_dump(mode="json")))
    outcome = CliRunner().invoke(app, ["train-detector", str(config)])
    assert outcome.exit_code == 0, outcome.output
    assert "for the model" in outcome.output
    assert (tmp_path / "detector" / "detector.safetensors").exists()
    assert not any(name.endswith(".part") for name in os.listdir(tmp_path / "detector"))
    with pytest.raises(ConfigurationError, match=r"another configuration \(mirrored differ\)"):
        train_detector(settings(tmp_path))


def test_a_source_without_masks_is_named(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "truth.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(ConfigurationError, match=r"'discs'.*has no photo with a usable mask"):
        train_detector(settings(tmp_path))


@pytest.mark.parametrize("name", ["examples", "starter"])
def test_the_shipped_configurations_load(name):
    run = build(DetectorRun, [read_yaml(f"configs/detector-{name}.yaml")], origin="it")
    assert run.checkpoint == "starter"


@pytest.mark.slow
def test_what_was_learned_is_found_on_photos_not_seen(tmp_path):
    """Discs on plain ground are easy: a short training finds nearly all of those held out."""
    photos, truth = tmp_path / "photos", tmp_path / "truth.json"
    photos.mkdir()
    random = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(24):
        pixels = np.full((192, 256, 3), random.integers(20, 90), np.uint8)
        images.append({"id": number, "file_name": f"{number}.png", "height": 192, "width": 256})
        for x in (50, 128, 206):
            y, radius = random.integers(50, 140), random.integers(16, 36)
            rows, columns = np.mgrid[:192, :256]
            disc = np.hypot(columns - x, rows - y) < radius
            pixels[disc] = random.integers(120, 255, 3)
            encoded = rle.encode(disc)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "segmentation": encoded.as_coco() | {"counts": encoded.counts},
                    "area": int(disc.sum()),
                    "bbox": list(rle.bbox_xywh(encoded)),
                }
            )
        Image.fromarray(pixels).save(photos / f"{number}.png")
    truth.write_text(json.dumps({"images": images, "annotations": annotations}))
    schedule = {"steps": 150, "images_per_step": 2, "warm_up_steps": 20, "learning_rate": 1e-3}
    done = train_detector(
        settings(tmp_path, held_out_share=0.25, mirrored=False, schedule=schedule)
    )
    (measured,) = done.measured
    assert (done.photos, measured.photos) == (18, 6)
    assert measured.recall >= 0.8
    assert measured.average_precision >= 0.5
