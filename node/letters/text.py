"""Text out of hostile bytes: charsets, encoded words, and what may be shown to a person. All of it is linear
in its input and never raises.
"""

import binascii
import codecs
import re
import unicodedata
from typing import Final

from node.letters.limits import MAX_FILENAME_BYTES

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

_CHARSETS: Final = re.compile(
    r"utf-8|utf-16(-le|-be)?|iso8859-\d+|cp(125\d|437|850|852|866|874|932|949|950)|koi8-[ru]|mac-roman"
    r"|tis-620|gb2312|gbk|gb18030|hz|big5|big5hkscs|shift_jis|euc_jp|euc_kr|iso2022_jp|iso2022_kr|johab"
)
"""What mail is written in. Python knows more, some of it slow (punycode, idna) or no text (zlib)."""

_UNSEEN: Final = frozenset(
    [
        *(0x061C, 0x180E, 0xFEFF),
        *range(0x200B, 0x200D),
        *range(0x200E, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),
    ]
)
"""Marks that turn text around, hide it or break its line; the joiners that scripts and emoji need stay."""

_CONTROLS: Final = [*range(0x20), *range(0x7F, 0xA0)]
_SURROGATES: Final = range(0xD800, 0xE000)

_LINE_TABLE: Final = (
    dict.fromkeys(_CONTROLS, " ") | dict.fromkeys(_UNSEEN) | dict.fromkeys(_SURROGATES, REPLACEMENT)
)
_BODY_TABLE: Final = (
    dict.fromkeys([*_CONTROLS, *_SURROGATES], REPLACEMENT)
    | {0x09: "\t", 0x0A: "\n", 0x0C: "\n"}
    | dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080)])
)

_WORD: Final = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
"""An encoded word (RFC 2047 §2); a space inside is wrong and common."""

_NEWLINE: Final = re.compile(r"\r\n?")
_SPACES: Final = re.compile(r"\s+")
_HEX: Final = re.compile(rb"=([0-9A-Fa-f]{2})")


def decode_charset(data: bytes, charset: str) -> str:
    """Text in a charset that may be a lie; what does not fit shows as replacement characters."""
    try:
        name = codecs.lookup(charset.split("*", 1)[0]).name
    except (LookupError, ValueError, UnicodeError):
        name = "utf-8"
    if not _CHARSETS.fullmatch(name):
        name = "utf-8"
    try:
        return data.decode(name, "replace")
    except UnicodeError:  # a multibyte decoder that gives up all the same
        return data.decode("utf-8", "replace")


def raw_text(value: str) -> str:
    """A header's value as the standard parser keeps it (8-bit bytes as surrogates), as UTF-8 (RFC 6532)."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def decode_base64(data: bytes) -> bytes:
    """As much of it as can be decoded."""
    data = data.translate(None, _NOT_BASE64)
    data = data[: len(data) - (len(data) % 4 == 1)]
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4))


_NOT_BASE64: Final = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


def decode_words(value: str) -> str:
    """Encoded words decoded; neighbours of one charset are joined before, as a character may span them."""
    pieces: list[tuple[str, bytes | str]] = []  # (charset or "", …)
    end = 0
    for match in _WORD.finditer(value):
        between = value[end : match.start()]
        if between and not (between.isspace() and pieces):  # space between two words counts for nothing
            pieces.append(("", between))
        charset, encoding, text = match.groups()
        data = text.encode("utf-8", "replace")
        data = decode_base64(data) if encoding in "bB" else _decode_q(data)
        if pieces and pieces[-1][0] == charset.lower() and isinstance(pieces[-1][1], bytes):
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + data)
        else:
            pieces.append((charset.lower(), data))
        end = match.end()
    if not pieces:
        return value
    pieces.append(("", value[end:]))
    return "".join(part if isinstance(part, str) else decode_charset(part, name) for name, part in pieces)


def _decode_q(data: bytes) -> bytes:
    return _HEX.sub(lambda found: bytes([int(found[1], 16)]), data.replace(b"_", b" "))


def clean_line(text: str, limit: int) -> str:
    """One line to show: no control characters, nothing that turns or hides text, `limit` characters."""
    text = _SPACES.sub(" ", text[: 4 * limit].translate(_LINE_TABLE)).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_body(text: str) -> str:
    """A body to show: lines end in a newline; no control characters (a terminal obeys them), no overrides."""
    return _NEWLINE.sub("\n", text).translate(_BODY_TABLE)


_RESERVED: Final = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10))]
)
"""What Windows takes for devices, whatever ending follows: the file may be carried there."""


def clean_filename(text: str, fallback: str) -> str:
    """A name that is safe to show and to create: no directories, no leading dot, 255 bytes, never empty."""
    text = unicodedata.normalize("NFC", clean_line(text, 4 * MAX_FILENAME_BYTES))
    text = re.split(r"[/\\]", text)[-1].translate({ord(char): "_" for char in '<>:"|?*'}).strip(" .")
    if text.partition(".")[0].strip().upper() in _RESERVED:
        text = "_" + text
    stem, dot, ending = text.rpartition(".")
    ending = dot + ending if dot and len(ending.encode()) <= 16 else ""
    stem = text[: len(text) - len(ending)]
    room = MAX_FILENAME_BYTES - len(ending.encode())
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(" .")
    return stem + ending if stem else fallback
