"""What may reach a terminal, and how times, sizes and durations are read and written. Prints nothing."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Final

from node.runtime import settings
from node.runtime.errors import UsageError

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

MAX_DURATION_MS: Final = 10 * 366 * DAY_MS
"""Ten years; who means for ever names no end."""

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that can steer a terminal, or reorder and hide what stands on it."""

_JOINERS: Final = "\u200c\u200d"
"""Invisible and harmless: Persian and emoji are written with them."""

PLACEHOLDER: Final = "\ufffd"


def clean(text: object, *, lines: bool = False) -> str:
    """Text from others without anything that steers a terminal. `lines` keeps line ends and tabs."""
    kept = "\n\t" if lines else ""
    text = str(text)
    if lines:
        text = text.replace("\r\n", "\n")
    elif text.isascii() and text.isprintable():
        return text
    return "".join(c if c in kept or _harmless(c) else PLACEHOLDER for c in text)


def _harmless(char: str) -> bool:
    return unicodedata.category(char) not in _HIDDEN or char in _JOINERS


def duration_ms(text: str) -> int:
    """`30s`, `15m`, `12h`, `7d`, `2w` in milliseconds. Raises UsageError."""
    try:
        value = settings.duration_ms(text)
    except ValueError:
        value = 0
    if not 0 < value <= MAX_DURATION_MS:
        raise UsageError("duration", f"{text[:40]!r} is no duration", "it looks like 30s, 15m, 12h, 7d or 2w")
    return value


def duration_text(ms: int) -> str:
    """A length of time in the largest unit that says enough."""
    for unit, size in (("d", DAY_MS), ("h", HOUR_MS), ("min", MINUTE_MS)):
        if ms >= size:
            return f"{ms // size} {unit}"
    return f"{max(0, ms) // SECOND_MS} s"


def ago(then: int, now: int) -> str:
    """When something was or will be, as one says it; after a week the date."""
    away = now - then
    if abs(away) < MINUTE_MS:
        return "now"
    if abs(away) > 7 * DAY_MS:
        return date(then)
    return f"{duration_text(away)} ago" if away > 0 else f"in {duration_text(-away)}"


def date(ms: int) -> str:
    """A date and time in this machine's zone."""
    try:
        return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "?"


def size(count: int) -> str:
    """Bytes as one says them: three digits at most."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if round(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.0f} PB"


def short_ids(ids: list[str], least: int = 12) -> dict[str, str]:
    """The beginnings that tell these ids apart, all of one length."""
    length = least
    while len({one[:length] for one in ids}) < len(set(ids)):
        length += 1
    return {one: one[:length] for one in ids}
