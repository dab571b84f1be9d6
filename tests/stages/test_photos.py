from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from model.errors import RecordError
from stages.photos import PhotoLimits, decode_photo
from tests.factories import make_photo_bytes, make_pixels

LOSSLESS = ("PNG", "TIFF", "BMP", "PPM")
EVERY_FORMAT = (*LOSSLESS, "JPEG", "WEBP", "GIF", "JPEG2000", "AVIF")


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def kind_of(data: bytes, limits: PhotoLimits | None = None) -> str:
    with pytest.raises(RecordError) as caught:
        decode_photo(data, limits)
    assert not caught.value.passing
    return caught.value.kind


@pytest.mark.parametrize("file_format", LOSSLESS)
def test_lossless_formats_give_the_very_pixels(file_format: str) -> None:
    photo = decode_photo(make_photo_bytes(31, 17, file_format=file_format))
    np.testing.assert_array_equal(photo.pixels_HWC, make_pixels(31, 17))
    assert (photo.width, photo.height) == (31, 17)
    assert photo.pixels_HWC.flags.c_contiguous


@pytest.mark.parametrize("file_format", EVERY_FORMAT)
def test_every_format_is_read(file_format: str) -> None:
    photo = decode_photo(make_photo_bytes(64, 48, file_format=file_format))
    assert photo.pixels_HWC.shape == (48, 64, 3)
    assert photo.pixels_HWC.dtype == np.uint8


def test_sha256_is_of_the_bytes_as_read() -> None:
    data = make_photo_bytes(orientation=6)
    assert decode_photo(data).sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_exif_rotation_is_undone(orientation: int, file_format: str) -> None:
    data = make_photo_bytes(31, 17, file_format=file_format, orientation=orientation)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(decode_photo(data).pixels_HWC, expected)


def test_a_sideways_jpeg_stands_upright() -> None:
    photo = decode_photo(make_photo_bytes(64, 48, orientation=6))
    assert (photo.width, photo.height) == (48, 64)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing_is_ignored(orientation: int) -> None:
    assert decode_photo(make_photo_bytes(64, 48, orientation=orientation)).width == 64


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_cost_the_photo() -> None:
    data = make_photo_bytes(64, 48)
    exif = b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(8)
    damaged = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    assert decode_photo(damaged).width == 64


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_extreme_sizes_are_photos(size: tuple[int, int]) -> None:
    photo = decode_photo(make_photo_bytes(*size, file_format="PNG"))
    assert (photo.width, photo.height) == size


def test_the_first_frame_of_an_animation_is_the_photo() -> None:
    colours = ("red", "lime", "blue")
    frames = [Image.new("RGB", (20, 10), colour) for colour in colours]
    plain = np.asarray(frames[0])
    for file_format in ("GIF", "WEBP", "PNG", "TIFF", "MPO"):
        data = saved(frames[0], file_format, save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(decode_photo(data).pixels_HWC, plain, atol=3)


def test_nothing_is_empty() -> None:
    assert kind_of(b"") == "empty"


@pytest.mark.parametrize("data", [b"hello, world", b"%PDF-1.7 ...", b"\0" * 500, b"<svg/>"])
def test_what_is_no_photo_is_named_so(data: bytes) -> None:
    assert kind_of(data) == "not_an_image"


def test_heic_is_not_read_and_says_what_to_do() -> None:
    with pytest.raises(RecordError, match=r"HEIC.*convert it to JPEG") as caught:
        decode_photo(b"\0\0\0\x18ftypheic" + bytes(100))
    assert caught.value.kind == "unreadable"


def test_postscript_is_never_run() -> None:
    assert kind_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "not_an_image"


@pytest.mark.parametrize("file_format", EVERY_FORMAT)
@pytest.mark.parametrize("share", [0.5, 0.75, 0.9])
def test_a_file_that_ends_early_is_refused_whole(file_format: str, share: float) -> None:
    random = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    data = saved(Image.fromarray(random), file_format)
    assert kind_of(data[: int(len(data) * share)]) in ("truncated", "unreadable")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP", "GIF"])
def test_a_truncated_file_is_called_truncated(file_format: str) -> None:
    data = make_photo_bytes(200, 100, file_format=file_format)
    assert kind_of(data[: len(data) * 3 // 4]) == "truncated"


def test_a_progressive_jpeg_that_ends_early_is_refused() -> None:
    data = make_photo_bytes(200, 100, progressive=True)
    assert kind_of(data[: len(data) * 3 // 4]) == "truncated"


def test_a_header_alone_is_unreadable() -> None:
    assert kind_of(make_photo_bytes()[:20]) in ("unreadable", "truncated")


def test_damaged_pixels_are_unreadable() -> None:
    data = bytearray(make_photo_bytes(200, 100, file_format="PNG"))
    data[len(data) // 2] ^= 0xFF
    assert kind_of(bytes(data)) in ("unreadable", "truncated")


def test_bytes_are_limited() -> None:
    data = make_photo_bytes()
    assert kind_of(data, PhotoLimits(max_bytes=len(data) - 1)) == "too_many_bytes"
    assert decode_photo(data, PhotoLimits(max_bytes=len(data))).width == 64


def test_pixels_are_limited_before_decoding() -> None:
    assert kind_of(bomb(100_000, 100_000)) == "too_many_pixels"
    assert kind_of(make_photo_bytes(20, 10), PhotoLimits(max_pixels=199)) == "too_many_pixels"
    assert decode_photo(make_photo_bytes(20, 10), PhotoLimits(max_pixels=200)).height == 10


def test_the_message_says_how_many_and_how_many_are_allowed() -> None:
    with pytest.raises(RecordError, match=r"100000 x 100000 is 10,000,000,000 pixels, the limit"):
        decode_photo(bomb(100_000, 100_000))


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises far more than its few bytes hold."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


class TestColourModes:
    """Whatever the file holds, it comes out as the RGB a person would see."""

    def decode(self, image: Image.Image, file_format: str, **options: object) -> NDArray[np.uint8]:
        return decode_photo(saved(image, file_format, **options)).pixels_HWC

    def test_grey_has_three_equal_channels(self) -> None:
        grey = make_pixels()[..., 0]
        expected = np.repeat(grey[..., None], 3, axis=2)
        np.testing.assert_array_equal(self.decode(Image.fromarray(grey), "PNG"), expected)

    def test_black_and_white(self) -> None:
        image = Image.fromarray(make_pixels()[..., 0] > 128)
        assert image.mode == "1"
        assert set(np.unique(self.decode(image, "PNG"))) <= {0, 255}

    @pytest.mark.parametrize("byte_order", ["<", ">"])
    def test_16_bits_a_channel_keep_their_colours(self, byte_order: str) -> None:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, make_pixels().astype(np.uint16) * 257, byteorder=byte_order)
        np.testing.assert_array_equal(decode_photo(buffer.getvalue()).pixels_HWC, make_pixels())

    def test_cmyk_of_a_jpeg(self) -> None:
        image = Image.fromarray(make_pixels()).convert("CMYK")
        np.testing.assert_allclose(self.decode(image, "JPEG", quality=100), make_pixels(), atol=3)

    @pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
    def test_16_bits_of_full_range_are_divided_by_257(self, file_format: str) -> None:
        values = np.linspace(0, 65535, 48 * 64).astype(np.uint16).reshape(48, 64)
        pixels = self.decode(Image.fromarray(values), file_format)
        np.testing.assert_allclose(pixels[..., 0], values / 257, atol=0.51)

    def test_12_bits_in_16_are_not_nearly_black(self) -> None:
        values = np.linspace(0, 4095, 48 * 64).astype(np.uint16).reshape(48, 64)
        pixels = self.decode(Image.fromarray(values), "PNG")
        assert pixels.max() == 255
        np.testing.assert_allclose(pixels[..., 0], values * (255 / 4095), atol=0.51)

    def test_8_bits_in_16_keep_their_values(self) -> None:
        values = np.tile(np.arange(100, dtype=np.uint16), (4, 1))
        assert (self.decode(Image.fromarray(values), "PNG")[..., 0] == values).all()

    def test_floats_are_stretched_and_not_a_number_is_dark(self) -> None:
        values = np.linspace(-3, 7, 200).astype(np.float32).reshape(10, 20)
        values[0, 0] = np.nan
        pixels = self.decode(Image.fromarray(values), "TIFF")
        assert pixels[0, 0, 0] == 0
        assert (pixels[0, 1, 0], pixels[-1, -1, 0]) == (0, 255)

    def test_a_constant_float_image_is_black(self) -> None:
        constant = Image.fromarray(np.full((4, 4), 3.5, np.float32))
        assert not self.decode(constant, "TIFF").any()

    def test_cmyk(self) -> None:
        rgb = Image.fromarray(make_pixels())
        np.testing.assert_allclose(self.decode(rgb.convert("CMYK"), "TIFF"), make_pixels(), atol=1)

    def test_palette(self) -> None:
        image = Image.fromarray(make_pixels()).quantize(256)
        expected = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(self.decode(image, "PNG"), expected)

    def test_transparency_lies_on_white(self) -> None:
        rgba = np.zeros((4, 6, 4), np.uint8)
        rgba[:, :3, 3] = 255
        pixels = self.decode(Image.fromarray(rgba), "PNG")
        assert (pixels[:, :3] == 0).all()
        assert (pixels[:, 3:] == 255).all()

    def test_a_transparent_colour_of_a_palette_lies_on_white(self) -> None:
        image = Image.new("P", (4, 4), 0)
        image.putpalette([10, 20, 30, 200, 100, 50])
        image.putpixel((0, 0), 1)
        pixels = self.decode(image, "PNG", transparency=0)
        assert pixels[0, 0].tolist() == [200, 100, 50]
        assert pixels[1, 1].tolist() == [255, 255, 255]

    def test_a_transparent_grey_lies_on_white(self) -> None:
        pixels = self.decode(Image.new("LA", (3, 3), (0, 0)), "PNG")
        assert (pixels == 255).all()

    def test_lab(self) -> None:
        pixels = self.decode(Image.new("LAB", (3, 3), (255, 128, 128)), "TIFF")
        assert pixels.min() >= 250
