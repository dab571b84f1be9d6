"""How fast the page is: prompts beside the public export of the same weights, pointer, panning.

Needs Chromium, the `test` extra, and `npm ci` in `web/` (for onnxruntime-web by itself).
Run: python benchmarks/browser.py [--prompts 40]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from segment_anything.modeling import Sam as OfficialSam
from segment_anything.utils.onnx import SamOnnxModel
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from engine.backend.credentials import Credentials
from engine.page.app import Photos, build_page, demo_settings, photo_entry
from engine.page.looking import Looking
from engine.page.settings import PageSettings
from engine.page.shelf import PhotoShelf
from model.checkpoints import LoadedCheckpoint, load_checkpoint
from model.network.sam import Sam
from model.onnx.export import export_model
from stages import rle
from stages.photos import PhotoLimits
from tests.engine.page.in_browser import served

ROOT: Final = Path(__file__).parents[1]
RUNTIME: Final = ROOT / "web/node_modules/onnxruntime-web/dist"
CREDENTIALS: Final = Credentials("mask-engine", "benchmark")
PHOTO_WH: Final = (1500, 2250)
MASKS: Final = 200
WARM_UP: Final = 3  # the first ones are slow
FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
SIDES: Final = {"32x32": 512, "64x64": 1024}

PROMPTS: Final = """async ([folder, side, rounds]) => {
  const ort = await import('/ort/ort.wasm.min.mjs');
  ort.env.wasm.wasmPaths = location.origin + '/ort/';
  ort.env.wasm.numThreads = Math.min(navigator.hardwareConcurrency, 4);
  const cells = side / 16, low = side / 4;
  const tensor = (dims, value) => new ort.Tensor(
    'float32', Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, value), dims);
  const load = (name) =>
    ort.InferenceSession.create(folder + name, { executionProviders: ['wasm'] });
  const [image, prompt, theirs] = await Promise.all(
    ['image.half.onnx', 'prompt.half.onnx', 'meta.onnx'].map(load));
  const features = tensor([1, 256, cells, cells], () => Math.random() - 0.5);
  const blank = tensor([1, 1, low, low], () => 0), none = tensor([1], () => 0);
  const timed = async (run) => {
    const begun = performance.now();
    await run();
    return performance.now() - begun;
  };
  let shared;
  const shareImage = async () => {
    shared = await image.run({ features, mask_logits: blank, has_mask: none });
  };
  await shareImage();
  const times = { ours: [], theirs: [], image: [] };
  for (let round = 0; round < rounds + 3; round++) {
    const points = () => tensor([1, 2, 2], () => Math.random() * side);
    const labels = tensor([1, 2], (_, i) => (i ? -1 : 1));
    const ours = await timed(() => prompt.run(
      { points_xy: points(), point_labels: labels, ...shared }));
    const others = await timed(() => theirs.run({
      image_embeddings: features, point_coords: points(), point_labels: labels,
      mask_input: blank, has_mask_input: none, orig_im_size: tensor([2], () => side) }));
    const once = round % 5 ? null : await timed(shareImage);
    if (round < 3) continue;  // the first ones are slow
    times.ours.push(ours); times.theirs.push(others);
    if (once !== null) times.image.push(once);
  }
  return times;
}"""

ENCODER: Final = """async (rounds) => {
  const worker = new Worker('worker.js', { type: 'module' });
  let id = 0;
  const ask = (kind, args) => new Promise((resolve, reject) => {
    const mine = id++;
    worker.addEventListener('message', ({ data }) => {
      if (data.id === mine) ('failed' in data ? reject(data.failed) : resolve(data.gives));
    });
    worker.postMessage({ id: mine, kind, args });
  });
  const here = new URL('.', location.href).href;
  await ask('load', { model: here + 'model/', runtime: here + 'runtime/',
    threads: Math.min(navigator.hardwareConcurrency, 4), wanted: 'wasm' });
  const [width, height] = [1500, 2250];
  const rgba = new Uint8ClampedArray(width * height * 4).map((_, i) => (i * 7) % 256);
  const times = [];
  for (let i = 0; i < rounds; i++) {
    times.push((await ask('encode', { rgba, width, height })).milliseconds);
  }
  worker.terminate();
  return times.slice(1);
}"""

FRAMES: Final = """(seconds) => new Promise((resolve) => {
  const stamps = [];
  const begin = performance.now();
  const frame = (now) => {
    stamps.push(now);
    if (now - begin < seconds * 1000) requestAnimationFrame(frame); else resolve(stamps);
  };
  requestAnimationFrame(frame);
})"""


def main() -> None:
    """Measures everything and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--graphs", type=Path, help="keep the graphs here, and only make them")
    arguments = parser.parse_args()
    rounds = arguments.prompts
    if not RUNTIME.is_dir():
        raise SystemExit("run `npm ci` in web/ first: the public graph needs onnxruntime-web")
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        made = arguments.graphs or Path(folder) / "graphs"
        if not made.exists():
            _make_graphs(made)
            if arguments.graphs:
                return  # making them is no measurement: run it again for that
        photos = _photo(Path(folder) / "photos")
        with _served(made, photos) as address, _browser() as page:
            loaded = _first_load(page, address)
            print(f"first load: {loaded / 1e6:.1f} MB")
            for name, side in SIDES.items():
                _print_prompts(name, page.evaluate(PROMPTS, [f"/graphs/{name}/", side, rounds]))
            encoder = page.evaluate(ENCODER, 12)
            print(f"once a photo of {PHOTO_WH[0]}x{PHOTO_WH[1]}: {_ms(encoder)} (all three parts)")
            print(f"pointer to painted mask: {_ms(_pointer(page, rounds))}")
            print(f"panning {MASKS} masks: {_panning(page):.0f} frames a second")


def _print_prompts(name: str, times: dict[str, list[float]]) -> None:
    ratio = statistics.median(times["theirs"]) / statistics.median(times["ours"])
    print(
        f"prompt {name}: {_ms(times['ours'])}; the public export {_ms(times['theirs'])}, "
        f"{ratio:.1f} times as long; image part {_ms(times['image'])}"
    )


def _ms(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} ms (fastest {min(times):.1f})"


def _make_graphs(folder: Path) -> None:
    """Ours and the public repository's own export of the starter's weights, for both sizes."""
    starter = load_checkpoint("starter")
    for name, side in SIDES.items():
        sam = starter.sam
        resized = Sam(
            sam.architecture, side, sam.image_encoder, sam.prompt_encoder, sam.mask_decoder
        )
        export_model(
            LoadedCheckpoint(resized.eval(), starter.card),
            folder / name,
            encoder=name == "32x32",
            meta_form=False,
            full_weights=False,
        )
        _public_export(sam, side, folder / name / "meta.onnx")


def _public_export(sam: Sam, side: int, path: Path) -> None:
    cells = side // 16
    encoder = PromptEncoder(256, (cells, cells), (side, side), 16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    decoder = MaskDecoder(transformer_dim=256, transformer=transformer)
    encoder.load_state_dict(sam.prompt_encoder.state_dict())
    decoder.load_state_dict(sam.mask_decoder.state_dict())
    image_encoder = torch.nn.Identity()
    image_encoder.img_size = side  # type: ignore[assignment]
    model = SamOnnxModel(OfficialSam(image_encoder, encoder, decoder).eval(), False)
    inputs = {
        "image_embeddings": torch.zeros(1, 256, cells, cells),
        "point_coords": torch.zeros(1, 5, 2),
        "point_labels": torch.ones(1, 5),
        "mask_input": torch.zeros(1, 1, 4 * cells, 4 * cells),
        "has_mask_input": torch.ones(1),
        "orig_im_size": torch.tensor([1500.0, 2250.0]),
    }
    torch.onnx.export(
        model,
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=["masks", "iou_predictions", "low_res_masks"],
        dynamic_axes={"point_coords": {1: "points"}, "point_labels": {1: "points"}},
        opset_version=17,
        dynamo=False,
    )


def _photo(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (45, 30, 3), np.uint8))
    small.resize(PHOTO_WH, Image.Resampling.BICUBIC).save(folder / "photo.jpg")
    return folder


@contextmanager
def _served(graphs: Path, photos: Path) -> Iterator[str]:
    settings = PageSettings(port=0)
    shelf = PhotoShelf(str(photos), None, PhotoLimits())
    looking = Looking(settings.as_backend(str(photos)), shelf)
    entries = [photo_entry(photo.image_id, photo.path) for photo in shelf.photos]
    extra = [
        Mount("/ort", StaticFiles(directory=RUNTIME)),
        Mount("/graphs", StaticFiles(directory=graphs)),
    ]
    routes = [*extra, *Photos(shelf, looking).routes()]
    app = build_page(demo_settings(entries), graphs / "32x32", CREDENTIALS, routes)
    with served(app, CREDENTIALS) as address:
        yield address


@contextmanager
def _browser() -> Iterator[Page]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        context = browser.new_context(bypass_csp=True, viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.set_default_timeout(180_000)
        yield page
        browser.close()


def _first_load(page: Page, address: str) -> int:
    sizes: list[int] = []
    page.on("response", lambda r: sizes.append(int(r.headers.get("content-length", 0))))
    page.goto(address)
    page.wait_for_selector("body[data-model]")
    return sum(sizes)


def _pointer(page: Page, moves: int) -> list[float]:
    """Each movement waits for the mask of the one before: none overtakes another."""
    page.get_by_label("Open photo.jpg").click()
    page.wait_for_selector("body[data-photo]")
    box = page.locator("canvas.photo").bounding_box()
    assert box is not None
    measured = "performance.getEntriesByName('pointer to mask')"
    for step in range(moves + WARM_UP):
        x = box["x"] + box["width"] * (0.2 + 0.6 * step / (moves + WARM_UP))
        page.mouse.move(x, box["y"] + box["height"] * 0.5)
        page.wait_for_function(f"(count) => {measured}.length > count", arg=step)
    times: list[float] = page.evaluate(f"{measured}.map((one) => one.duration)")
    return times[WARM_UP:]


def _panning(page: Page) -> float:
    """Frames a second while the mouse pans a photo with many masks."""
    page.route("**/everything/*", lambda route: route.fulfill(json=_many_masks()))
    page.locator("#stage").focus()
    page.keyboard.press("g")
    page.get_by_role("button", name="Keep these").click()
    page.keyboard.press("h")
    box = page.locator("#stage").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate("window.frames_ = null")
    page.evaluate(f"({FRAMES})(4).then((stamps) => (window.frames_ = stamps)); 0")
    page.mouse.move(*middle)
    page.mouse.down()
    for step in range(200):
        page.mouse.move(middle[0] + 80 * np.sin(step / 8), middle[1] + 60 * np.cos(step / 8))
    page.mouse.up()
    page.wait_for_function("window.frames_")
    stamps = page.evaluate("window.frames_")
    return (len(stamps) - 1) / (stamps[-1] - stamps[0]) * 1000


def _many_masks() -> Any:
    width, height = PHOTO_WH
    rng = np.random.default_rng(1)
    y_HW, x_HW = np.ogrid[:height, :width]
    annotations = []
    for _ in range(MASKS):
        cx, cy, radius = rng.integers(0, width), rng.integers(0, height), rng.integers(30, 260)
        disc = (x_HW - cx) ** 2 + (y_HW - cy) ** 2 < radius**2
        annotations.append(
            {
                "segmentation": {"size": [height, width], "counts": rle.encode(disc).counts},
                "predicted_iou": 1.0,
                "stability_score": 1.0,
            }
        )
    return json.loads(json.dumps({"annotations": annotations}))


if __name__ == "__main__":
    main()
