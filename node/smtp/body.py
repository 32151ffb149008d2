"""The data of one letter as it comes in, in whatever pieces: its end, its dots, its size. No sockets."""

from typing import Final

from node.smtp.limits import DISCARD

END: Final = b"\r\n.\r\n"
"""Exactly this (RFC 5321 §4.1.1.4): who takes less can be told a second letter inside the first."""

_LINE_END: Final = b"\r\n"


class Body:
    """Fed until it has its end; memory is bounded by 4/3 of `max_size` (each line may begin with a dot)."""

    def __init__(self, max_size: int) -> None:
        self.received = 0  # bytes as they came
        self.too_large = False
        self._max = max_size
        self._most = max_size * 4 // 3 + len(END)
        # The line end of DATA itself is the first half of an empty body's end (§4.1.1.4).
        self._data = bytearray(_LINE_END)

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._data)

    @property
    def is_hopeless(self) -> bool:
        """Whether so much too much came that the sender need not be heard out."""
        return self.received > DISCARD * self._max

    def feed(self, chunk: bytes | bytearray) -> bytes | None:
        """Take what came; None until the end was in it, then what came after the end."""
        data = self._data
        seen = max(0, len(data) - len(END) + 1)
        data += chunk
        self.received += len(chunk)
        at = data.find(END, seen)
        if at < 0:
            if self.too_large or len(data) > self._most:
                self.too_large = True
                del data[: 1 - len(END)]
            return None
        rest = bytes(memoryview(data)[at + len(END) :])
        del data[at + len(_LINE_END) :]
        self.received -= len(rest)
        return rest

    def content(self) -> bytes:
        """The letter, after its end: without the dots that were put before dots (§4.5.2)."""
        data, self._data = self._data, bytearray()
        if b"\r\n." in data:
            data = data.replace(b"\r\n.", _LINE_END)
        content = bytes(memoryview(data)[len(_LINE_END) :])
        self.too_large = self.too_large or len(content) > self._max
        return content


def has_bare_line_ends(content: bytes) -> bool:
    """A CR or LF alone: what other servers may take for an end of line or letter (SMTP smuggling)."""
    pairs = content.count(b"\r\n")
    return not pairs == content.count(b"\n") == content.count(b"\r")
