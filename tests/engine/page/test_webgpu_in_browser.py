"""WebGPU in a real Chromium, on a graphics card that Chromium imitates: the same masks, or told why
not."""

from __future__ import annotations

import numpy as np
import pytest

from engine.page.serving import demo_app
from engine.page.settings import PageSettings
from tests.engine.page.pages import CREDENTIALS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

IMITATED = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
    "--use-angle=swiftshader",
)
# A processor that imitates a card takes minutes for an answer where it has no wide vectors.
PATIENCE_MS = 600_000
HAS_ADAPTER = "async () => !!(await navigator.gpu?.requestAdapter())"
CUP = (300.0, 180.0)  # of coffee.png
PROMPTS = [
    {"points": [[*CUP, 1]], "box": None, "feed": 2},
    {"points": [[*CUP, 1], [90.0, 30.0, 0]], "box": None},
    {"points": [], "box": [100.0, 60.0, 420.0, 300.0]},
]


@pytest.fixture
def address(graphs):
    from tests.engine.page.in_browser import served

    app = demo_app(PageSettings(), "examples/photos", graphs, CREDENTIALS)
    with served(app, CREDENTIALS) as found:
        yield found


@pytest.fixture
def page(chromium_program, cannot_run, address):
    """A page with an imitated graphics card, which is not used unless it is asked for."""
    from tests.engine.page.in_browser import MaskPage, chromium

    with chromium(chromium_program, flags=IMITATED, patience_ms=PATIENCE_MS) as made:
        MaskPage(made).enter(address)
        if not made.evaluate(HAS_ADAPTER):
            cannot_run("this Chromium imitates no graphics card (SwiftShader)")
        yield made


def test_the_graphics_cards_masks_are_the_processors(page):
    from tests.engine.page.in_browser import ask_worker

    rng = np.random.default_rng(0)
    features = rng.normal(0, 0.5, (1, 256, 32, 32)).astype(np.float32)
    asked = (page, features, (400, 600), 512, PROMPTS)
    there, here = ask_worker(*asked, "webgpu"), ask_worker(*asked, "wasm")
    for (logits, iou), (expected, expected_iou) in zip(there, here, strict=True):
        # A card adds in another order: what that costs grows with the terms, which are as large as
        # the largest logits, also where they add up to little.
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-3 * np.abs(expected).max())
        assert np.mean((logits > 0) != (expected > 0)) < 1e-3
        np.testing.assert_allclose(iou, expected_iou, atol=1e-3)


def test_an_imitated_card_is_used_only_when_the_address_asks_for_it(page, address):
    from tests.engine.page.in_browser import MaskPage

    computing = page.locator("#computing")
    assert "imitated by the processor" in computing.inner_text()
    page.goto(f"{address}#compute=webgpu")
    page.reload()
    person = MaskPage(page)
    page.locator("body[data-compute=webgpu]").wait_for()
    assert computing.inner_text() == "Computed on the graphics card (WebGPU)."
    person.open_sample("coffee.png")
    person.click(*CUP)
    person.press("Enter")
    (mask,) = person.masks()
    assert mask["area"] > 0


def test_without_a_graphics_card_the_page_says_so_and_works(chromium_program, address):
    from tests.engine.page.in_browser import MaskPage, chromium

    with chromium(chromium_program) as page:
        MaskPage(page).enter(f"{address}#compute=webgpu")
        assert page.locator("body").get_attribute("data-compute") == "wasm"
        told = page.locator("#computing").inner_text()
        assert told.startswith("Computed on the processor")
        assert "WebGPU" in told


def test_a_card_that_refuses_the_model_is_told_and_the_processor_computes(page, address):
    page.context.route("**/*.jspi.mjs", lambda route: route.abort())
    page.goto(f"{address}#compute=webgpu")
    page.reload()
    page.locator("body[data-compute=wasm]").wait_for()
    assert "The graphics card did not take the model" in page.locator("#computing").inner_text()
