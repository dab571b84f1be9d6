from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from model.errors import RecordError
from stages.photos import decode_photo
from stages.upright import upright_file
from tests.factories import make_photo_bytes, make_pixels

GPS_IFD, MAKE = 0x8825, 0x010F
SECRET = b"in the garden"


def exif_with_place(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[MAKE] = SECRET.decode()
    exif[0x0112] = orientation
    exif.get_ifd(GPS_IFD)[1] = "N"
    exif.get_ifd(GPS_IFD)[2] = (52.0, 31.0, 12.0)
    return exif


def file_with_place(file_format: str, orientation: int = 1, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(make_pixels())
    image.save(buffer, file_format, exif=exif_with_place(orientation), **options)
    return buffer.getvalue()


def assert_says_nothing(data: bytes) -> None:
    assert SECRET not in data
    image = Image.open(io.BytesIO(data))
    assert dict(image.getexif()) == {}
    assert not {"exif", "xmp", "comment", "photoshop"} & set(image.info)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_no_metadata_is_left_and_the_photo_stands_upright(
    file_format: str, orientation: int
) -> None:
    data = file_with_place(file_format, orientation)
    given = upright_file(data)
    assert_says_nothing(given)
    before, after = decode_photo(data).pixels_HWC, decode_photo(given).pixels_HWC
    assert before.shape == after.shape
    lossy = file_format == "JPEG" and orientation != 1
    np.testing.assert_allclose(after.astype(int), before, atol=12 if lossy else 0)


def test_pixels_of_an_upright_jpeg_are_not_encoded_anew() -> None:
    plain = make_photo_bytes(200, 100, quality=70)
    assert upright_file(plain) == plain
    scan = plain[plain.index(b"\xff\xda") :]
    options = {"exif": exif_with_place(), "comment": SECRET, "quality": 70, "xmp": SECRET}
    given = upright_file(make_photo_bytes(200, 100, **options))
    assert given.endswith(scan)
    assert_says_nothing(given)


def test_a_colour_profile_stays() -> None:
    given = upright_file(make_photo_bytes(icc_profile=b"profile" * 9, exif=exif_with_place()))
    assert Image.open(io.BytesIO(given)).info["icc_profile"] == b"profile" * 9


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 2}])
def test_every_kind_of_jpeg_scan_survives(options: dict[str, object]) -> None:
    data = make_photo_bytes(200, 150, **options)
    np.testing.assert_array_equal(
        decode_photo(upright_file(data)).pixels_HWC, decode_photo(data).pixels_HWC
    )


def test_pictures_and_films_behind_a_jpeg_are_cut_off() -> None:
    first = make_photo_bytes()
    assert upright_file(first + file_with_place("JPEG") + SECRET) == first


def test_further_frames_of_an_mpo_are_cut_off() -> None:
    buffer = io.BytesIO()
    frames = [Image.fromarray(make_pixels(seed=seed)) for seed in range(2)]
    frames[0].save(buffer, "MPO", save_all=True, append_images=frames[1:])
    given = Image.open(io.BytesIO(upright_file(buffer.getvalue())))
    assert given.format == "JPEG"
    np.testing.assert_array_equal(np.asarray(given), decode_photo(buffer.getvalue()).pixels_HWC)


def test_texts_of_a_png_are_dropped_and_its_bits_kept() -> None:
    info = PngInfo()
    info.add_text("Author", SECRET.decode())
    info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    values = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", pnginfo=info)
    given = upright_file(buffer.getvalue())
    assert_says_nothing(given)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(given))), values)


def test_a_turned_jpeg_stays_a_jpeg_and_other_formats_become_png() -> None:
    assert Image.open(io.BytesIO(upright_file(make_photo_bytes(orientation=3)))).format == "JPEG"
    for file_format in ("WEBP", "TIFF", "BMP", "GIF"):
        given = upright_file(make_photo_bytes(file_format=file_format))
        assert Image.open(io.BytesIO(given)).format == "PNG"


def test_a_broken_photo_is_refused_as_when_decoding() -> None:
    with pytest.raises(RecordError) as caught:
        upright_file(make_photo_bytes(200, 200)[:900])
    assert caught.value.kind == "truncated"
