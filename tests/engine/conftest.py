"""Photos on disk with their rows, as most tests of the engine need them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from stages.records import ImageRow
from tests.engine.real_studio import labelling, real_studio  # noqa: F401 - fixtures
from tests.factories import make_failed_row, make_mask, make_photo_bytes, make_ref, make_row


@pytest.fixture
def photo_rows(tmp_path: Path) -> list[ImageRow]:
    """Four photos that are there and one that failed; the masks of the first are nested."""
    rows = [_row(tmp_path / "photos", f"sub/photo {i}.png", seed=i) for i in range(4)]
    outer, inner, other = _nested_masks(rows[0])
    rows[0] = replace(rows[0], masks=(outer, inner, other))
    return [*rows, make_failed_row("broken.jpg")]


def _row(folder: Path, path: str, *, seed: int) -> ImageRow:
    data = make_photo_bytes(file_format="PNG", seed=seed)
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    ref = make_ref(path, uri=str(file))
    return make_row(ref=ref, sha256=hashlib.sha256(data).hexdigest())


def _nested_masks(row: ImageRow):
    image = row.ref.image_id
    outer = make_mask(box_xywh=(2, 2, 40, 30), image=image, predicted_iou=0.99609375)
    inner = make_mask(
        box_xywh=(5, 5, 10, 10),
        image=image,
        nested_in=outer.mask_id,
        level="part",
        category="wheel",
        stability_score=0.875,
    )
    other = make_mask(box_xywh=(50, 40, 1, 1), image=image, predicted_iou=0.75)
    return outer, inner, other


@pytest.fixture(scope="session")
def browser_cache(tmp_path_factory) -> Path:
    """A cache folder that holds the starter's graphs; for `MASK_ENGINE_CACHE`."""
    from model.checkpoint_names import STARTER
    from model.checkpoints import load_checkpoint
    from model.onnx.export import export_model

    cache = tmp_path_factory.mktemp("cache")
    loaded = load_checkpoint(STARTER)
    export_model(loaded, cache / "browser" / f"{loaded.model_id}-1", meta_form=False)
    return cache


@pytest.fixture(scope="session")
def graphs(browser_cache) -> Path:
    """The folder of the starter's graphs."""
    return next((browser_cache / "browser").iterdir())


@pytest.fixture(scope="session")
def full_graphs(graphs, tmp_path_factory) -> Path:
    """The same with 32-bit weights only."""
    folder = tmp_path_factory.mktemp("full")
    described = json.loads((graphs / "model.json").read_text())
    described["files"] = {k: v for k, v in described["files"].items() if ".half" not in k}
    for file in described["files"].values():
        (folder / file["name"]).symlink_to(graphs / file["name"])
    (folder / "model.json").write_text(json.dumps(described))
    return folder


@pytest.fixture
def chromium_program(cannot_run) -> str:
    """A browser of this machine; without one, the test says so."""
    pytest.importorskip("playwright", reason="pip install 'mask-engine[test]'")
    from tests.engine.labelling_page import find_browser

    program = find_browser()
    if program is None:
        cannot_run("no Chromium on this machine (apt-get install chromium)")
    return program
