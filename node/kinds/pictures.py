"""A picture in small. Hostile input: run it in the worker process, whose memory and time are bounded. Of the
many formats that Pillow reads it is given the four that people send each other, and of a file its first
picture. Nothing but what is seen goes into the small one.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

MAX_BYTES: Final = 30_000_000
"""Of a file that is looked at; a telephone's photographs have 3 to 15 MB."""

MAX_PIXELS: Final = 25_000_000
"""Of a picture: decoding one takes up to 12 bytes of memory for each."""

MAX_JPEG_PIXELS: Final = 120_000_000
"""Of a JPEG in one pass, which is decoded at an eighth of its size where it is large. One in several passes
is held whole, in up to six bytes for each.
"""

SIDE: Final = 256
"""Pixels of the longer side of what is made, at most."""

MEDIA_TYPE: Final = "image/webp"
"""Of what is made: the one format in which photographs and what is transparent are small."""

MAX_MADE: Final = 40_000
"""Bytes of what is made. A photograph has 5,000 to 15,000; noise that is transparent too 37,000 in the lowest
quality, so that everything fits.
"""

FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
"""What is decoded, and what Pillow calls it. Not TIFF, whose library had most of the holes."""

_QUALITIES: Final = (75, 40, 10)
_ROUGH: Final = 4 * SIDE
"""Pixels of the longer side to which a picture with a palette is brought before its colours are mixed."""

_ORIENTATION: Final = 0x0112
"""The field of EXIF that says how a camera was held."""


def small_picture(file: io.BytesIO) -> bytes | None:
    """The picture in `file` in small, None for what can't be shown so. Raises nothing."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stranger's broken file is no news for the log
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=list(FORMATS.values())) as picture:
                return _made(picture)
    except Exception:  # noqa: BLE001 - Pillow raises anything on what is broken, MemoryError too
        return None


def _made(picture: Image) -> bytes | None:
    width, height = picture.size
    scaled = picture.format in ("JPEG", "MPO") and not picture.info.get("progressive")
    most = MAX_JPEG_PIXELS if scaled else MAX_PIXELS
    if not 0 < width * height <= most:
        return None
    turn = _turn(picture)
    picture.draft(None, (2 * SIDE, 2 * SIDE))
    shown = _coloured(picture)
    shown.thumbnail((SIDE, SIDE))
    return _written(shown if turn is None else shown.transpose(turn))


def _turn(picture: Image) -> Transpose | None:
    """How it is to be turned to stand as it was seen."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        return turns.get(picture.getexif().get(_ORIENTATION, 0))
    except Exception:  # noqa: BLE001 - as above; a picture with broken EXIF is a picture
        return None


def _coloured(picture: Image) -> Image:
    """In red, green and blue, and how far it is transparent where it is."""
    from PIL.Image import Resampling

    if picture.mode in ("1", "P", "PA"):
        picture.thumbnail((_ROUGH, _ROUGH), Resampling.NEAREST)
    if picture.mode.startswith("I"):  # 16 bits of grey
        return picture.convert("I").point(lambda grey: grey * (1 / 256)).convert("L").convert("RGB")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _written(picture: Image) -> bytes | None:
    """A file of it, of less quality where it would be too large."""
    from PIL import Image

    bare = Image.frombytes(picture.mode, picture.size, picture.tobytes())  # no EXIF, no ICC, no comment
    for quality in _QUALITIES:
        file = io.BytesIO()
        bare.save(file, "WEBP", quality=quality, alpha_quality=quality)
        if file.tell() <= MAX_MADE:
            return file.getvalue()
    return None
