"""The page in a real Chromium with the real starter: every way to a mask, and out of the page."""

from __future__ import annotations

import functools
import http.server
import threading

import numpy as np
import pytest
from PIL import Image

from engine.backend.conversation import Conversation, Interlocutor, mask_of
from engine.page.serving import demo_app
from engine.page.settings import PageSettings
from engine.page.static_site import write_site
from model.prompts import Prompt
from stages import rle
from stages.records import PromptRecord
from stages.rle import Rle
from tests.engine.page.pages import CREDENTIALS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PHOTOS = "examples/photos"
CUP = (300.0, 180.0)  # of coffee.png, 600 x 400
SAUCER = (140.0, 250.0)


@pytest.fixture(scope="module")
def segmenter():
    from model.sam_segmenter import SamSegmenter

    return SamSegmenter.load("starter")


@pytest.fixture
def address(graphs):
    from tests.engine.page.in_browser import served

    with served(demo_app(PageSettings(), PHOTOS, graphs, CREDENTIALS), CREDENTIALS) as found:
        yield found


@pytest.fixture
def person(chromium_program, address):
    from tests.engine.page.in_browser import MaskPage, chromium

    with chromium(chromium_program) as page:
        yield MaskPage(page).enter(address)


def pixels(name):
    with Image.open(f"{PHOTOS}/{name}") as image:
        return np.asarray(image.convert("RGB"))


def expected_mask(segmenter, name, points):
    """The same clicks, one after another, as the click backend answers them."""
    embedding = segmenter.embed(pixels(name))
    prompt = PromptRecord(points_xy=tuple(map(tuple, points)), point_labels=(1,) * len(points))
    answer = Interlocutor(segmenter).answer(embedding, Conversation("photo", prompt))
    return mask_of(answer, embedding), answer.predicted_iou


def assert_same_mask(annotation, expected, iou):
    segmentation = annotation["segmentation"]
    found = rle.decode(Rle(tuple(segmentation["size"]), segmentation["counts"]))
    overlap = np.count_nonzero(found & expected) / np.count_nonzero(found | expected)
    assert overlap > 0.99
    assert annotation["predicted_iou"] == pytest.approx(iou, abs=0.01)
    assert annotation["area"] == np.count_nonzero(found)
    assert tuple(annotation["bbox"]) == rle.bbox_xywh(rle.encode(found))


@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png", "rocket.jpg"])
def test_the_browsers_logits_are_torchs(chromium_program, full_graphs, segmenter, tmp_path, name):
    from tests.engine.page.in_browser import MaskPage, ask_worker, chromium, served

    embedding = segmenter.embed(pixels(name))
    box = [100.0, 60.0, 420.0, 300.0]
    prompts = [
        {"points": [[300.0, 180.0, 1]], "box": None, "feed": 2},
        {"points": [[300.0, 180.0, 1], [90.0, 30.0, 0]], "box": None},
        {"points": [], "box": box},
        {"points": [[200.0, 120.0, 1]], "box": box},
    ]
    app = demo_app(PageSettings(), None, full_graphs, CREDENTIALS)
    with served(app, CREDENTIALS) as address, chromium(chromium_program) as page:
        MaskPage(page).enter(address)
        found = ask_worker(
            page,
            embedding.features.numpy(),
            embedding.geometry.original_hw,
            segmenter.input_size,
            prompts,
        )
    earlier = [None, found[0][0][2], found[0][0][2], found[0][0][2]]
    for (logits, iou), prompt, fed in zip(found, prompts, earlier, strict=True):
        asked = Prompt.of(
            [point[:2] for point in prompt["points"]],
            [point[2] for point in prompt["points"]],
            prompt["box"],
            fed,
        )
        for multimask, masks in ((True, slice(1, 4)), (False, slice(0, 1))):
            expected = segmenter.segment(embedding, [asked], multimask=multimask)
            np.testing.assert_allclose(logits[masks], expected.logits, atol=1e-3)
            np.testing.assert_allclose(iou[masks], expected.predicted_iou[0], atol=1e-4)


def test_pointing_clicking_and_keeping_gives_pythons_masks(person, segmenter):
    person.open_sample("coffee.png")
    person.point_at(*CUP)
    person.wait_until_painted("hover")
    person.click(*CUP)
    assert (
        person.page.get_by_role("radiogroup", name="Which mask").get_by_role("radio").count() == 3
    )
    assert person.painted("hover") == 0
    person.press("Enter")
    (one,) = person.masks()
    assert_same_mask(one, *expected_mask(segmenter, "coffee.png", one["point_coords"]))

    person.click(*SAUCER)
    person.click(SAUCER[0] + 60, SAUCER[1] + 60)
    person.press("Enter")
    _, two = person.masks()
    assert len(two["point_coords"]) == 2
    assert_same_mask(two, *expected_mask(segmenter, "coffee.png", two["point_coords"]))


def test_a_key_picks_whole_part_or_subpart(person):
    person.open_sample("coffee.png")
    person.click(*CUP)
    areas = []
    for key in "123":
        person.press(key)
        chosen = person.page.locator(".candidate[aria-checked=true] kbd")
        assert chosen.inner_text() == key
        areas.append(person.painted("draft"))
    assert areas == sorted(areas, reverse=True)


def test_boxes_taking_away_painting_and_undo(person):
    person.open_sample("coffee.png")
    person.drag((180, 90), (430, 270))
    boxed = person.wait_until_painted("draft")
    person.click(400, 250, negative=True)
    assert person.page.locator(".marks .negative").count() == 1
    person.press("Control+z")
    assert person.painted("draft") == boxed
    person.press("Control+Shift+Z")
    assert person.marks() == 1
    person.press("Control+z")
    person.press("b")
    person.drag((40, 30), (90, 30))
    brushed = person.painted("draft")
    assert brushed > boxed
    person.press("e")
    person.drag((40, 30), (90, 30))
    assert person.painted("draft") < brushed
    person.press("Escape")
    assert person.painted("draft") == 0


def test_a_cut_out_is_the_photo_inside_the_mask(person, segmenter):
    person.open_sample("coffee.png")
    person.click(*CUP)
    person.press("Enter")
    cut = person.cut_out()
    (annotation,) = person.masks()
    mask, _ = expected_mask(segmenter, "coffee.png", annotation["point_coords"])
    left, top, width, height = (int(side) for side in annotation["bbox"])
    place = np.s_[top : top + height, left : left + width]
    assert cut.shape == (height, width, 4)
    inside = (cut[..., 3] == 255) & mask[place]
    assert np.count_nonzero(inside) > 0.99 * np.count_nonzero(mask)
    assert np.array_equal(cut[inside][:, :3], pixels("coffee.png")[place][inside])
    assert set(np.unique(cut[..., 3])) <= {0, 255}


def test_everything_by_the_server_and_by_the_browser(person, tmp_path):
    person.open_sample("coins.png")
    person.press("g")
    count = person.page.locator("#everything-panel .count")
    count.wait_for()
    shown, of = _counts(count.inner_text())
    assert 0 < shown <= of
    slider = person.page.get_by_label("Lowest Predicted IoU")
    slider.fill(slider.get_attribute("max"))
    assert _counts(count.inner_text())[0] == 0
    slider.fill(slider.get_attribute("min"))
    assert _counts(count.inner_text())[0] >= shown
    person.page.get_by_role("button", name="Keep these").click()
    assert len(person.masks()) == _counts(person.page.locator("#objects-panel h2").inner_text())[0]

    small = tmp_path / "small.png"
    Image.open(f"{PHOTOS}/coins.png").crop((0, 0, 192, 128)).save(small)
    person.open_file(small)
    person.wait_for_photo("small.png")
    person.press("g")
    count.wait_for()
    assert _counts(count.inner_text())[1] > 0


def _counts(text):
    return [
        int(word) for word in text.replace("(", " ").replace(")", " ").split() if word.isdigit()
    ]


def test_everything_works_by_keys_alone(person):
    person.open_sample("coffee.png")
    page = person.page
    assert page.evaluate("document.activeElement.id") == "stage"
    for _ in range(3):
        person.press("ArrowLeft")
    person.press("Space")
    page.locator(".candidate").first.wait_for()
    person.press("2")
    person.press("Enter")
    page.locator(".object").wait_for()
    person.press("?")
    assert page.get_by_role("dialog").is_visible()
    assert page.get_by_role("dialog").locator("tr").count() > 12
    person.press("Escape")
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, [role=radio]')].filter((one) => "
        "!one.getAttribute('aria-label') && !one.textContent.trim() && !one.closest('label')"
        " && !one.hidden && one.offsetParent).map((one) => one.outerHTML)"
    )
    assert nameless == []


def test_what_cannot_be_opened_is_told_and_the_photo_stays(person, tmp_path):
    person.open_sample("coffee.png")
    broken = tmp_path / "notes.jpg"
    broken.write_bytes(b"\xff\xd8\xff no photo at all")
    person.open_file(broken)
    notice = person.page.get_by_role("alert")
    notice.wait_for()
    assert "notes.jpg cannot be read" in notice.inner_text()
    person.click(*CUP)
    large = tmp_path / "huge.png"
    Image.new("1", (16_500, 10)).save(large)
    person.open_file(large)
    person.page.get_by_text("more than the 60 megapixels").wait_for()


def test_a_browser_without_what_is_needed_is_told(chromium_program, address):
    from tests.engine.page.in_browser import chromium

    with chromium(chromium_program) as page:
        page.add_init_script("delete globalThis.OffscreenCanvas")
        page.goto(address)
        page.get_by_text("This browser has no OffscreenCanvas").wait_for()


def test_without_the_token_there_is_no_page(chromium_program, address):
    from tests.engine.page.in_browser import chromium

    with chromium(chromium_program) as page:
        answer = page.goto(address.partition("?")[0])
        assert answer is not None
        assert answer.status == 401


def test_a_touch_screen_has_a_switch_for_taking_away(chromium_program, address):
    from tests.engine.page.in_browser import MaskPage, chromium

    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with chromium(chromium_program, **phone) as page:
        person = MaskPage(page).enter(address)
        person.open_sample("coffee.png")
        page.touchscreen.tap(*person.on_screen(*CUP))
        page.locator(".marks .positive").wait_for()
        page.get_by_role("radio", name="Take away").tap()
        page.touchscreen.tap(*person.on_screen(*SAUCER))
        page.locator(".marks .negative").wait_for()


def test_the_page_works_from_any_static_host(chromium_program, graphs, tmp_path):
    from tests.engine.page.in_browser import MaskPage, chromium

    write_site(tmp_path / "site", graphs, None)
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with chromium(chromium_program) as page:
            requested: list[str] = []
            page.on("request", lambda request: requested.append(request.url))
            here = f"http://127.0.0.1:{server.server_port}/"
            person = MaskPage(page).enter(here)
            assert page.evaluate("crossOriginIsolated") is False  # one thread has to do
            person.page.set_input_files("#file", f"{PHOTOS}/coffee.png")
            person.wait_for_photo("coffee.png")
            person.click(*CUP)
            assert all(url.startswith((here, "blob:", "data:")) for url in requested)
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path):
        return "text/javascript" if str(path).endswith(".mjs") else super().guess_type(path)

    def log_message(self, *args):
        del args
