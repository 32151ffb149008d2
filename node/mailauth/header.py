"""A message's header block cut into its fields, byte for byte as a signature covers them. What a field
says is not looked at here.
"""

import re
from dataclasses import dataclass
from typing import Final

from protocol.errors import RemoteProtocolError

MAX_HEADER_BYTES: Final = 128 * 1024
"""Of the block: as much as is read of any message."""

MAX_FIELDS: Final = 2_000
"""Fields in it: each name that a signature lists is looked for in all of them."""

_FIELD: Final = re.compile(rb"([\x21-\x39\x3b-\x7e]+):")  # RFC 5322 §2.2; no space before the colon


@dataclass(frozen=True, slots=True)
class Header:
    """Fields as (name, all after the colon up to the next field), and where the body begins."""

    fields: tuple[tuple[bytes, bytes], ...]
    body_at: int

    def named(self, name: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """Those of a name, given in lower case."""
        return tuple(field for field in self.fields if field[0].lower() == name)


def split_header(raw: bytes) -> Header:
    """In time linear in its size. Raises RemoteProtocolError for whatever two programs might read
    differently: then no signature proves what its reader will see.
    """
    header, body_at = _block(raw)
    if b"\x00" in header or re.search(rb"\r(?!\n)|(?<!\r)\n", header):
        raise RemoteProtocolError("a bare CR or LF, or NUL, in the header")
    pieces = re.split(rb"\r\n(?![ \t])", header)
    if pieces and not pieces[-1]:
        pieces.pop()
    if len(pieces) > MAX_FIELDS:
        raise RemoteProtocolError(f"more than {MAX_FIELDS} header fields")
    fields = []
    for piece in pieces:
        found = _FIELD.match(piece)
        if found is None:
            raise RemoteProtocolError("a line in the header that is no field")
        fields.append((found[1], piece[found.end() :] + b"\r\n"))
    return Header(tuple(fields), body_at)


def _block(raw: bytes) -> tuple[bytes, int]:
    if raw.startswith(b"\r\n"):
        return b"", 2
    end = raw.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES + 4)
    if end >= 0:
        return raw[: end + 2], end + 4
    if len(raw) > MAX_HEADER_BYTES:
        raise RemoteProtocolError(f"a header of more than {MAX_HEADER_BYTES} bytes")
    return raw, len(raw)
