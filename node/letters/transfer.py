"""Transfer encodings undone piece by piece, for parts that may be larger than memory, as structure.py undoes
them at once. Nothing raises, whatever the bytes are.
"""

import binascii
import string
from typing import Final

from node.letters.text import decode_base64

_MAX_LINE: Final = 65_536
"""Bytes of quoted-printable without a line end that are held back; lines have 76 (RFC 2045 §6.7)."""

_NOT_BASE64: Final = bytes(
    set(range(256)) - set((string.ascii_letters + string.digits + "+/").encode("ascii"))
)


class Decoder:
    """Undoes `encoding`, a Content-Transfer-Encoding in lower case; what it does not know passes through."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """What the next bytes stand for, as far as they tell."""
        if self._encoding == "base64":
            text = self._rest + chunk.translate(None, _NOT_BASE64)
            end = len(text) - len(text) % 4
            self._rest = text[end:]
            return binascii.a2b_base64(text[:end])
        if self._encoding == "quoted-printable":
            text = self._rest + chunk
            end = _end_of_lines(text)
            self._rest = text[end:]
            return binascii.a2b_qp(text[:end])
        return chunk

    def end(self) -> bytes:
        """What the rest stands for."""
        text, self._rest = self._rest, b""
        return decode_base64(text) if self._encoding == "base64" else binascii.a2b_qp(text)


def _end_of_lines(text: bytes) -> int:
    """How much of it can be decoded without what follows: lines, or of one without end all but the start of
    an escape.
    """
    end = text.rfind(b"\n") + 1
    if len(text) - end <= _MAX_LINE:
        return end
    escape = text.find(b"=", len(text) - 2)
    return escape if escape >= 0 else len(text)
