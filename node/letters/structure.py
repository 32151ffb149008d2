"""A message's tree of parts, from the standard parser, under limits. Every question whose answer costs more
than the text is long, or that calls itself, is answered here instead of by the standard library.
"""

import binascii
import email.policy
import re
from collections.abc import Iterator
from email.feedparser import BytesFeedParser
from email.message import Message
from typing import Any, Final

from node.letters import limits
from node.letters.fields import parse_parameters
from node.letters.text import decode_base64, raw_text
from protocol.errors import RemoteProtocolError

PIECE: Final = 1_048_576
"""Bytes that the parser is fed with at once."""

_EMPTY_LINE: Final = re.compile(rb"\A(?:\r\n|\r|\n)")


class Budget:
    """What one message has used up of its limits."""

    def __init__(self) -> None:
        self.parts = 0
        self.fields = 0
        self.header_bytes = 0

    def part(self) -> None:
        self.parts += 1
        if self.parts > limits.MAX_PARTS:
            raise RemoteProtocolError(f"the message has more than {limits.MAX_PARTS} parts")

    def field(self, size: int) -> None:
        self.fields += 1
        self.header_bytes += size
        if self.fields > limits.MAX_FIELDS or self.header_bytes > limits.MAX_ALL_HEADER_BYTES:
            raise RemoteProtocolError("the message has too many header fields")


class Part(Message):
    """A message or a part of one. What is `message/*` inside stays one piece: it is shown as a file, its
    bytes stay exact, and nesting through it does not exist.
    """

    _payload: Any  # set by the parser, trimmed by it too; get_payload() would decode it by its own rules

    def __init__(self, budget: Budget) -> None:
        super().__init__(policy=email.policy.compat32)
        self.budget = budget
        self.depth = 0
        self.media_type = "text/plain"
        self.parameters: dict[str, str] = {}
        self.disposition = ""
        self.disposition_parameters: dict[str, str] = {}
        self.encoding = ""
        self.texts: dict[str, list[str]] = {}
        budget.part()

    def set_raw(self, name: str, value: str) -> None:
        """The parser found a field. The first of its name counts."""
        self.budget.field(len(name) + len(value))
        name = name.rstrip(" \t").lower()
        text = raw_text(value.replace("\r", "").replace("\n", ""))
        known = self.texts.setdefault(name, [])
        known.append(text)
        if len(known) > 1:
            return
        if name == "content-type":
            main, self.parameters = parse_parameters(text)
            self.media_type = main if main.count("/") == 1 and main.isascii() else "text/plain"
        elif name == "content-disposition":
            self.disposition, self.disposition_parameters = parse_parameters(text)
        elif name == "content-transfer-encoding":
            self.encoding = text.strip().lower()

    def attach(self, payload: Any) -> None:
        """The parser found a part within this one."""
        payload.depth = self.depth + 1
        if payload.depth > limits.MAX_DEPTH:
            raise RemoteProtocolError(f"the message is nested more than {limits.MAX_DEPTH} deep")
        super().attach(payload)

    def get(self, name: str, failobj: Any = None) -> Any:
        return self.encoding if name.lower() == "content-transfer-encoding" else failobj

    def get_content_type(self) -> str:
        """What the parser is to take this for."""
        return self.media_type if self.media_type.startswith("multipart/") else "application/octet-stream"

    def get_content_maintype(self) -> str:
        return self.get_content_type().partition("/")[0]

    def get_boundary(self, failobj: Any = None) -> Any:
        boundary = self.parameters.get("boundary", "").rstrip()
        if len(boundary) > limits.MAX_BOUNDARY:
            raise RemoteProtocolError("a boundary is too long")
        # The parser compares with text in which bytes beyond ASCII are surrogates.
        return boundary.encode().decode("ascii", "surrogateescape") if boundary else failobj

    @property
    def kind(self) -> str:
        """A leaf's media type; a multipart in which no part was found is taken for the text that it is."""
        return "text/plain" if self.media_type.startswith("multipart/") else self.media_type

    def field(self, name: str) -> str:
        """The first field of that name (lower case), unfolded; "" where there is none."""
        return self.texts.get(name, [""])[0]

    def leaves(self) -> Iterator["Part"]:
        """The parts that hold something, in order."""
        if not isinstance(self._payload, list):
            yield self
            return
        for part in self._payload:
            yield from part.leaves()

    def encoded(self) -> bytes:
        """A leaf's bytes as they stand in the message."""
        text = self._payload if isinstance(self._payload, str) else ""
        return text.encode("utf-8", "surrogateescape")

    def content(self) -> bytes:
        """A leaf's bytes, transfer encoding undone as far as it goes."""
        data = self.encoded()
        if self.encoding == "base64":
            return decode_base64(data)
        if self.encoding == "quoted-printable":
            return binascii.a2b_qp(data)
        return data

    @property
    def filename(self) -> str:
        """The name that the sender gave to it, hostile as it is."""
        return self.disposition_parameters.get("filename") or self.parameters.get("name", "")


def header_end(raw: bytes) -> int:
    """Where the header block ends and its empty line begins. Raises RemoteProtocolError if that is too
    far away.
    """
    window = raw[: limits.MAX_HEADER_BYTES + 4]
    ends = [index for mark in _BLANK if (index := window.find(mark)) >= 0]
    if not ends and len(raw) > limits.MAX_HEADER_BYTES:
        raise RemoteProtocolError(f"the message's header has more than {limits.MAX_HEADER_BYTES} bytes")
    return min(ends) + 1 if ends else len(raw)


_BLANK: Final = (b"\n\r", b"\n\n", b"\r\r")


def read_structure(raw: bytes, *, header_only: bool = False) -> Part:
    """The tree of a message; with `header_only` one part, whatever its type, that is not looked into.
    Raises RemoteProtocolError beyond a limit.
    """
    limits.check_size(raw)
    end = header_end(raw)
    budget = Budget()
    parser = BytesFeedParser(lambda: Part(budget), policy=email.policy.compat32)
    # In pieces: of one, the parser makes several copies.
    for start in range(0, end if header_only else len(raw), PIECE):
        parser.feed(raw[start : min(start + PIECE, end) if header_only else start + PIECE])
    root = parser.close()
    assert isinstance(root, Part)
    if header_only:
        root.set_payload(_EMPTY_LINE.sub(b"", raw[end:], count=1).decode("ascii", "surrogateescape"))
    return root
