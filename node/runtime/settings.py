"""Kinds of settings: how a value from TOML or from text becomes one that the node believes. Which
settings there are is sections.py's.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_ITEMS: Final = 64
"""Entries of a list: more addresses than any node has, and few enough to dial."""

MAX_TEXT: Final = 1024
"""Characters of one text value: longer than any address or name."""

UNITS: Final = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}

_SIZE = re.compile(r"(\d{1,15}) ?(" + "|".join(UNITS) + r")?", re.ASCII)
DURATIONS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
"""Milliseconds."""

LEAST_PIN: Final = "1h"
MOST_PIN: Final = "520w"
"""How long attachments may be kept for their recipients: ten years at most."""

_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
_PEER_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{40,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """`wants` says what is right. `read` takes a TOML value and raises ValueError if it isn't that;
    `from_text` makes the TOML value of what stands in the environment or on a command line.
    """

    wants: str
    read: Callable[[object], object]
    from_text: Callable[[str], object] = str


def whole(least: int, most: int) -> Kind:
    """A whole number within bounds."""

    def read(raw: object) -> int:
        if not isinstance(raw, int) or isinstance(raw, bool):
            raise ValueError("not a whole number")  # noqa: TRY004 - one exception for what is not right
        return _within(raw, least, most)

    return Kind(f"a whole number from {least} to {most}", read, _number)


def size(least: int, most: int) -> Kind:
    """A number of bytes, written as a number or as `500 MB`."""

    def read(raw: object) -> int:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return _within(raw, least, most)
        match = _SIZE.fullmatch(text_of(raw).strip())
        if not match:
            raise ValueError("not a size")
        return _within(int(match[1]) * UNITS[match[2] or "B"], least, most)

    return Kind(f'a size from {in_words(least)} to {in_words(most)}, such as "500 MB"', read)


def duration(least: str, most: str) -> Kind:
    """A length of time as a person writes it; it stays text, for `duration_ms`."""

    def read(raw: object) -> str:
        text = text_of(raw).strip()
        _within(duration_ms(text), duration_ms(least), duration_ms(most))
        return text

    return Kind(f'a time from {least} to {most}, such as "30d"', read)


def duration_ms(text: str) -> int:
    """`30s`, `15m`, `12h`, `7d`, `2w` in milliseconds. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text[:40]!r} is no duration")
    return int(match[1]) * DURATIONS[match[2]]


def choice(*names: str) -> Kind:
    """One of a few words."""

    def read(raw: object) -> str:
        if text_of(raw) not in names:
            raise ValueError(f'"{raw}" is unknown')
        return str(raw)

    return Kind("one of " + ", ".join(names), read)


def listen_addresses() -> Kind:
    """Multiaddrs to listen on: an IP address and a TCP port."""
    return Kind('a list such as ["/ip4/0.0.0.0/tcp/4101"]', lambda raw: _each(raw, _listen_address), commas)


def peer_addresses() -> Kind:
    """Multiaddrs that name a peer."""
    wants = 'a list such as ["/dns4/example.org/tcp/4101/p2p/12D3Koo..."]'
    return Kind(wants, lambda raw: _each(raw, _peer_address), commas)


def in_words(count: int) -> str:
    """Bytes as a person writes them; exact or in bytes."""
    for unit in ("TB", "GB", "MB", "kB"):
        if count and count % UNITS[unit] == 0:
            return f"{count // UNITS[unit]} {unit}"
    return f"{count} B"


def _within(number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise ValueError(f"{number} is out of range")
    return number


def text_of(raw: object) -> str:
    """A text of bearable length. Raises ValueError."""
    if not isinstance(raw, str):
        raise ValueError("not a text")  # noqa: TRY004 - one exception for what is not right
    if len(raw) > MAX_TEXT:
        raise ValueError(f"longer than {MAX_TEXT} characters")
    return raw


def _number(text: str) -> object:
    return int(text) if _NUMBER.fullmatch(text.strip()) else text


def commas(text: str) -> object:
    """A list written with commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


def _each(raw: object, read: Callable[[str], str]) -> tuple[str, ...]:
    return tuple(read(text) for text in texts_of(raw))


def texts_of(raw: object) -> tuple[str, ...]:
    """A list of texts, not too many. Raises ValueError."""
    if not isinstance(raw, list):
        raise ValueError("not a list")  # noqa: TRY004 - as above
    if len(raw) > MAX_ITEMS:
        raise ValueError(f"more than {MAX_ITEMS} entries")
    return tuple(text_of(item) for item in raw)


def _listen_address(text: str) -> str:
    match text.split("/"):
        case ["", ("ip4" | "ip6") as family, address, "tcp", port] if is_port(port, least=0):
            if is_ip(family, address):
                return text
    raise ValueError(f'"{text}" is no address to listen on')


def _peer_address(text: str) -> str:
    match text.split("/"):
        case ["", protocol, address, "tcp", port, "p2p", peer] if is_port(port) and _PEER_ID.fullmatch(peer):
            if is_ip(protocol, address):
                return text
            if protocol in ("dns", "dns4", "dns6") and is_name(address):
                return text
    raise ValueError(f'"{text}" is no address of a peer')


def is_port(text: str, *, least: int = 1) -> bool:
    """Whether it is the number of a port."""
    return bool(re.fullmatch(r"[0-9]{1,5}", text)) and least <= int(text) <= 65_535


def is_name(text: str) -> bool:
    """Whether a host may be called that."""
    return len(text) < 254 and bool(_NAME.fullmatch(text))


def is_ip(protocol: str, text: str) -> bool:
    """Whether it is an IP address of the kind that a multiaddr names: `ip4` or `ip6`."""
    try:
        version = ipaddress.ip_address(text).version
    except ValueError:
        return False
    return protocol == f"ip{version}"
