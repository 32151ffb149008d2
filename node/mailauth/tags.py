"""Lists of tag=value, as signatures and keys are written (RFC 6376 §3.2). What a tag means is not here."""

import base64
import binascii
import re
from typing import Final

from protocol.errors import RemoteProtocolError

MAX_TAGS: Final = 64
"""Tags in a list; the RFC knows a dozen."""

MAX_NUMBER: Final = 12
"""Digits of a time: enough for the year 33,000 (RFC 6376 §3.5 lets a reader stop there)."""

_SOUND: Final = re.compile(rb"(?:[^\x00-\x1f\x7f]|\t|\r\n(?=[ \t]))*")
_TAG: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_SPACE: Final = " \t"
_LONG_SPACE: Final = re.compile(rb"[ \t]{100}|\r\n[ \t]+\r\n")


def parse_tags(data: bytes) -> dict[str, str]:
    """In the order they stand, values without the white space around them, unfolded.

    Raises RemoteProtocolError. Long runs of white space are refused: the library that hashes a
    signature's field looks at them in quadratic time.
    """
    if not _SOUND.fullmatch(data) or _LONG_SPACE.search(data):
        raise RemoteProtocolError("control characters or empty lines in a tag list")
    try:
        text = data.replace(b"\r\n", b"").decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("a tag list is not UTF-8") from None  # RFC 8616 §3
    specs = text.strip(_SPACE).removesuffix(";").split(";")
    if len(specs) > MAX_TAGS:
        raise RemoteProtocolError(f"more than {MAX_TAGS} tags")
    tags: dict[str, str] = {}
    for spec in specs:
        name, equals, value = spec.partition("=")
        name = name.strip(_SPACE)
        if not equals or not _TAG.fullmatch(name) or name in tags:
            raise RemoteProtocolError("not a list of tag=value, each tag once")
        tags[name] = value.strip(_SPACE)
    return tags


def parse_list(value: str) -> tuple[str, ...]:
    """`a : b` → a, b; what stands between colons, without the white space around it."""
    return tuple(item.strip(_SPACE) for item in value.split(":"))


def parse_base64(value: str, tag: str) -> bytes:
    """White space anywhere in it is passed over (RFC 6376 §2.10). Raises RemoteProtocolError."""
    try:
        return base64.b64decode(re.sub(r"[ \t]+", "", value), validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError(f"{tag}= is not base64") from None


def parse_number(tags: dict[str, str], tag: str) -> int | None:
    """None where the tag is not there. Raises RemoteProtocolError."""
    value = tags.get(tag)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_NUMBER):
        raise RemoteProtocolError(f"{tag}= is no number")
    return int(value)
