"""What both ends of `/mailio/letter/1` share: its name and its bounds (protocol.md §8)."""

from __future__ import annotations

from typing import Final

from protocol.offer import PROTOCOL_ID

LETTER: Final = PROTOCOL_ID
MAX_FRAME: Final = 1_048_576
"""1 MiB (§8): an envelope of the largest padded inner has 1,032,246 bytes."""

DEADLINE: Final = 30.0
"""Seconds for each frame of a request (§8)."""

__all__ = ["DEADLINE", "LETTER", "MAX_FRAME"]
