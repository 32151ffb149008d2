"""How long an attempt waits for one node while there are other ways for the letter (protocol.md §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import trio

ANSWER_S: Final = 7.0
"""Seconds for an answer to an envelope that was sent: it is opened, read and synced."""

SLOW: Final = 32_000
"""Bytes a second of the slowest uplink that is waited for: 256 kbit/s."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The time that is left to `scope`; with `bounded` False there is no other way, and each frame has its
    own deadline alone.
    """

    scope: trio.CancelScope
    bounded: bool = True

    def heard(self, size: int = 0) -> None:
        """The other side has answered; it has time for so many bytes more, and another answer."""
        if self.bounded:
            self.scope.deadline = trio.current_time() + ANSWER_S + size / SLOW

    def working(self) -> None:
        """We are at work ourselves."""
        self.scope.deadline = float("inf")
