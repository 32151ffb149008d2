"""The TXT record with a domain's Mailio key (MIR-5; protocol.md §4), read and written; no look-up."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Final

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.kdf import KEY_BYTES

TXT_LABEL: Final = "mailio._mailiokey"  # MIR-5: the selector must be `mailio`
MAX_TXT: Final = 4_096  # bytes of one TXT record; a real one has 70
MAX_RECORDS: Final = 64  # TXT records at one name

_VERSION: Final = "MAILIO1"


def txt_name(domain: str) -> str:
    """Where a domain's Mailio key stands."""
    return f"{TXT_LABEL}.{domain}"


def format_key(public: bytes) -> str:
    """The value of the TXT record that publishes this Ed25519 key, exactly as MIR-5 has it."""
    if len(public) != KEY_BYTES:
        raise LocalProtocolError("an Ed25519 key is 32 bytes")
    return f"v={_VERSION}; k=ed25519; p={base64.b64encode(public).decode('ascii')}"


def parse_mailio_txt(strings: Sequence[bytes | str]) -> bytes:
    """The Ed25519 key in the character-strings of one TXT record; RemoteProtocolError when it has none.

    `v=MAILIO1` comes first, a tag stands once, unknown tags are passed over (MIR-5; RFC 6376 §3.2).
    """
    text = _join(strings)
    tags: dict[str, str] = {}
    for part in text.removesuffix(";").split(";"):
        name, equals, value = part.partition("=")
        name = name.strip(" \t")
        if not equals or not name or name in tags:
            raise RemoteProtocolError("TXT: not a list of tag=value, each tag once")
        tags[name] = value.strip(" \t")
    if next(iter(tags)) != "v" or tags["v"] != _VERSION:
        raise RemoteProtocolError("TXT: does not start with v=MAILIO1")
    if tags.get("k") != "ed25519":
        raise RemoteProtocolError("TXT: k is not ed25519")
    return _key(tags.get("p", ""))


def find_mailio_txt(records: Iterable[Sequence[bytes | str]]) -> bytes | None:
    """The key among all TXT records at a name, None where none is Mailio's; two keys are refused."""
    keys = set()
    for number, strings in enumerate(records):
        if number >= MAX_RECORDS:
            raise RemoteProtocolError(f"TXT: more than {MAX_RECORDS} records")
        if _is_mailio(strings):
            keys.add(parse_mailio_txt(strings))
    if len(keys) > 1:
        raise RemoteProtocolError("TXT: two different Mailio keys")
    return keys.pop() if keys else None


def _is_mailio(strings: Sequence[bytes | str]) -> bool:
    start = "".join(s if isinstance(s, str) else s.decode("latin-1") for s in strings[:2])
    return start.replace(" ", "").startswith("v=MAILIO")


def _join(strings: Sequence[bytes | str]) -> str:
    data = b"".join(s.encode("utf-8", "replace") if isinstance(s, str) else s for s in strings)
    if len(data) > MAX_TXT or not data.isascii():
        raise RemoteProtocolError(f"TXT: not ASCII of at most {MAX_TXT} bytes")
    return data.decode("ascii").strip(" \t")


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.replace(" ", "").replace("\t", ""), validate=True)
    except binascii.Error:
        raise RemoteProtocolError("TXT: p is not base64") from None
    if len(key) != KEY_BYTES:
        raise RemoteProtocolError("TXT: p is not a key of 32 bytes")
    return key
