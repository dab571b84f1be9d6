"""What the page's server answers, and what it does not."""

from __future__ import annotations

import json

import pytest

from tests.engine.page.pages import make_page


@pytest.fixture
def page(tmp_path):
    return make_page(tmp_path).enter()


def test_the_page_and_what_it_loads_are_there(page):
    home = page.client.get("/")
    assert home.headers["content-type"].startswith("text/html")
    for name in ("page.js", "worker.js", "index.css", "runtime/ort-wasm-simd-threaded.wasm.gz"):
        assert page.client.get(f"/{name}").status_code == 200
    script = page.client.get("/runtime/ort-wasm-simd-threaded.mjs")
    assert script.headers["content-type"].startswith("text/javascript")


def test_settings_list_the_photos_and_where_to_ask_about_them(page):
    settings = page.client.get("/settings.json").json()
    assert settings["mode"] == "demo"
    first = settings["photos"][0]
    assert first["name"] == page.photos[0].path
    assert page.client.get(f"/{first['image']}").headers["content-type"] == "image/png"


def test_a_photo_is_sent_as_it_is(page):
    photo = page.photos[0]
    with open(photo.uri, "rb") as file:
        assert page.client.get(f"/photos/{photo.image_id}").content == file.read()


def test_a_photo_that_browsers_cannot_show_is_sent_as_png(tmp_path):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 6), (9, 8, 7)).save(tmp_path / "photos" / "scan.tif")
    page = make_page(tmp_path, count=1).enter()
    scan = next(photo for photo in page.photos if photo.path == "scan.tif")
    answer = page.client.get(f"/photos/{scan.image_id}")
    assert answer.headers["content-type"] == "image/png"


def test_features_say_which_model_made_them(page):
    data = page.client.get(f"/features/{page.photos[0].image_id}").content
    head = json.loads(data.partition(b"\n")[0])
    assert head["hw"] == [48, 64]


def test_everything_is_the_automatic_stage(page):
    found = page.client.get(f"/everything/{page.photos[0].image_id}").json()
    assert found["image"] == {"width": 64, "height": 48, "file_name": page.photos[0].path}
    for annotation in found["annotations"]:
        assert annotation["segmentation"]["size"] == [48, 64]
        assert 0 < annotation["predicted_iou"] <= 1


def test_a_damaged_photo_is_told_and_nothing_breaks(tmp_path):
    page = make_page(tmp_path).enter()
    (tmp_path / "photos" / page.photos[0].path).write_bytes(b"\xff\xd8\xff no photo")
    answer = page.client.get(f"/features/{page.photos[0].image_id}")
    assert answer.status_code == 422
    assert "it has to be mended" in answer.json()["error"]
    assert page.client.get(f"/features/{page.photos[1].image_id}").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/%2e%2e/app.py",
        "/..%2fapp.py",
        "/model/..%2f..%2fapp.py",
        "/model/%2e%2e%2fmodel.json",
        "/photos/..%2f..%2fetc%2fpasswd",
        "/photos/0000",
        "/features/0000",
        "/everything/0000",
        "/runtime",
        "//etc/passwd",
    ],
)
def test_nothing_outside_is_served(page, path):
    assert page.client.get(path).status_code in (404, 307)


def test_nothing_at_all_is_served_without_the_token(tmp_path):
    page = make_page(tmp_path)
    for path in ("/", "/page.js", "/settings.json", "/model/model.json", "/photos/0"):
        assert page.client.get(path).status_code == 401
