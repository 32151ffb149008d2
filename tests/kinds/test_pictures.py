"""Pictures in small: what becomes of every sort, and of those that are made to break whoever opens them."""

import io
import random
import subprocess
import sys
from typing import Any

import pytest
from PIL import Image

from node.kinds import small_picture
from node.kinds.pictures import MAX_MADE, MAX_PIXELS, SIDE
from tests.kit.file_mutations import pictures
from tests.kit.samples import PICTURE_BOMBS, frames, picture, png, saved

RED, WHITE = (254, 0, 0), (255, 255, 255)


def small(data: bytes) -> Image.Image:
    """What is made of it, decoded."""
    made = small_picture(io.BytesIO(data))
    assert made is not None
    assert len(made) <= MAX_MADE
    image = Image.open(io.BytesIO(made), formats=["WEBP"])
    assert not {"exif", "icc_profile", "xmp"} & set(image.info)
    return image


def near(expected: tuple[int, ...], image: Image.Image, at: tuple[int, int]) -> bool:
    found = image.convert("RGBA" if len(expected) == 4 else "RGB").getpixel(at)
    assert isinstance(found, tuple)
    return all(abs(a - b) <= 12 for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize("number", range(len(pictures())))
def test_every_form_has_one(number: int) -> None:
    assert small(pictures()[number]).size in {(60, 40), (40, 60), (40, 30)}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((256, 256), (256, 256)),
        ((257, 100), (256, 100)),
        ((4_000, 3_000), (256, 192)),
        ((1, 65_535), (1, 256)),
        ((65_535, 1), (256, 1)),
    ],
)
def test_its_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert expected == small(picture("PNG", size)).size
    assert SIDE == 256


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGB", (250, 10, 20), (250, 10, 20)),
        ("RGBA", (250, 10, 20, 100), (250, 10, 20, 100)),
        ("L", 77, (77, 77, 77)),
        ("LA", (77, 100), (77, 77, 77, 100)),
        ("1", 1, WHITE),
        ("I;16", 40_000, (156, 156, 156)),
    ],
)
@pytest.mark.parametrize("size", [(50, 50), (900, 900)])
def test_colours(mode: str, colour: int, expected: tuple[int, ...], size: tuple[int, int]) -> None:
    assert near(
        expected,
        small(picture("PNG", size, mode, colour=colour)),
        (45, 45) if size == (50, 50) else (250, 250),
    )


def test_colours_of_other_forms() -> None:
    assert near((255, 0, 0), small(picture("JPEG", (600, 600), "CMYK", colour=(0, 255, 255, 0))), (20, 20))
    palette = Image.new("P", (2_000, 1_000), 3)
    palette.putpalette([0, 0, 0, 1, 1, 1, 2, 2, 2, 10, 200, 30])
    for form in ("PNG", "GIF"):
        assert near((10, 200, 30), small(saved(palette, form)), (100, 100))
        assert (0, 0) == small(saved(palette, form, transparency=3)).getchannel("A").getextrema()
    assert near((0, 0, 0), small(png(100, 100, bits=16, colour=2)), (50, 50))


@pytest.mark.parametrize(
    ("orientation", "size", "red"),
    [
        (1, (256, 128), (5, 5)),
        (2, (256, 128), (250, 5)),
        (3, (256, 128), (250, 122)),
        (4, (256, 128), (5, 122)),
        (5, (128, 256), (5, 5)),
        (6, (128, 256), (122, 5)),
        (7, (128, 256), (122, 250)),
        (8, (128, 256), (5, 250)),
        (9, (256, 128), (5, 5)),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_it_stands_as_the_camera_was_held(
    form: str, orientation: int, size: tuple[int, int], red: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = small(picture(form, (400, 200), colour=WHITE, exif=exif))
    assert size == image.size
    corners = [(x, y) for x in (5, size[0] - 6) for y in (5, size[1] - 6)]
    assert [abs(x - red[0]) < 2 and abs(y - red[1]) < 2 for x, y in corners] == [
        near(RED, image, corner) for corner in corners
    ]


def test_junk_around_a_picture_does_not_matter() -> None:
    chance = random.Random(1)
    junk: tuple[dict[str, Any], ...] = (
        {"exif": b"Exif\x00\x00" + chance.randbytes(500)},
        {"icc_profile": chance.randbytes(5_000)},
        {"comment": chance.randbytes(500)},
    )
    for more in junk:
        assert (60, 40) == small(picture("JPEG", **more)).size
    assert (60, 40) == small(picture("JPEG") + chance.randbytes(5_000)).size


def test_of_many_pictures_the_first_is_shown() -> None:
    others = [Image.new("RGB", (60, 40), "white")] * 3
    for form in ("GIF", "WEBP", "PNG"):
        data = picture(form, colour=(0, 0, 255), save_all=True, append_images=others)
        assert near((0, 0, 255), small(data), (50, 30)), form
    assert (256, 256) == small(frames(10_000)).size


def test_noise_fits() -> None:
    """What can't be made small is made coarse."""
    for mode, channels in (("RGB", 3), ("RGBA", 4)):
        noise = Image.frombytes(mode, (256, 256), random.Random(1).randbytes(256 * 256 * channels))
        assert (256, 256) == small(saved(noise, "PNG")).size


@pytest.mark.parametrize("bomb", PICTURE_BOMBS)
def test_bombs_have_none(bomb: str) -> None:
    assert small_picture(io.BytesIO(PICTURE_BOMBS[bomb]())) is None


def test_what_is_too_large_has_none() -> None:
    wide = MAX_PIXELS // 100
    assert small_picture(io.BytesIO(png(wide, 100, bits=1, colour=0))) is not None
    assert small_picture(io.BytesIO(png(wide + 1, 100, bits=1, colour=0))) is None


def test_a_jpeg_may_be_larger() -> None:
    assert (256, 164) == small(picture("JPEG", (10_000, 6_400), "L")).size
    progressive = picture("JPEG", (6_400, 4_000), "L", progressive=True)
    assert small_picture(io.BytesIO(progressive)) is None


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"<svg/>", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n"])
def test_what_is_none_has_none(data: bytes) -> None:
    assert small_picture(io.BytesIO(data)) is None


@pytest.mark.parametrize(
    "form", ["TIFF", "BMP", "ICO", "PPM", "TGA", "PCX", "PDF", "EPS", "JPEG2000", "AVIF"]
)
def test_other_forms_are_not_decoded(form: str) -> None:
    assert small_picture(io.BytesIO(picture(form))) is None


def test_a_picture_that_breaks_off_has_none() -> None:
    for form in ("JPEG", "PNG", "WEBP"):
        data = picture(form, (300, 300))
        assert small_picture(io.BytesIO(data[: len(data) * 2 // 3])) is None, form


def test_the_node_itself_does_not_load_what_looks_into_files() -> None:
    """The worker does; commands do not wait for it, and the node's idle memory has nothing of it."""
    rooms = "node.app.running, node.api, node.cli.main, node.letters.mailbox, node.letters.reader"
    code = f"import sys, {rooms}; print(sorted({{'PIL', 'filetype'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "[]\n" == done.stdout
