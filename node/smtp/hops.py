"""Who brought a letter to us or to a relay of ours, as far as it can be believed: the client that SPF and
budgets judge. No look-ups, no sockets.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from node.mailauth import Hop
from node.runtime.ip import block_of, unmapped
from node.smtp.reply import Envelope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_RELAYS: Final = 5
"""Relays of ours in a row that are looked through; nobody has more."""

MAX_LOOKED_AT: Final = 131_072
"""Bytes of a header: as many as one may have that is taken (letters/limits.py)."""

MAX_REMEMBERED: Final = 1_024
"""Addresses of which it is remembered whether they are near: each is asked about five times a letter."""

NEAR: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
"""This machine and its own network (RFC 1918, 4193, 6598, loopback, link-local): nobody's mail server on the
Internet comes from there, but a relay in front of us may.
"""

_RECEIVED: Final = re.compile(
    rb"^received[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", re.IGNORECASE | re.MULTILINE
)
_BLANK: Final = re.compile(rb"\A\r\n|\r\n\r\n")
_FOLD: Final = re.compile(r"[\r\n\t ]+")

# What the relay itself writes, not what its client says: a name that the client gave holds no space or
# bracket that could end it. Postfix, Sendmail, OpenSMTPD: `from HELO (NAME [IP])`; Exim: `from NAME ([IP]
# helo=HELO)`.
_FROM: Final = re.compile(
    r"from (?P<first>[^\s()]{1,255}) \((?:[^\s()\[\]]{1,255} )?\[(?:IPv6:)?(?P<ip>[0-9A-Fa-f.:]{2,45})\]"
    r"(?::[0-9]{1,5})?(?: helo=(?P<helo>[^\s()]{1,255}))?(?: ident=[^\s()]{1,255})?(?: \(may be forged\))?\) "
)
# Exim, of a client without a name: `from [IP] (helo=HELO)`.
_FROM_NAMELESS: Final = re.compile(
    r"from \[(?P<ip>[0-9A-Fa-f.:]{2,45})\](?::[0-9]{1,5})?"
    r" \(helo=(?P<helo>[^\s()]{1,255})(?: ident=[^\s()]{1,255})?\) "
)


@dataclass(frozen=True, slots=True)
class Networks:
    """Some networks."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Networks:
        """From addresses and networks as text. Raises ValueError."""
        return cls(tuple(ipaddress.ip_network(text) for text in texts))

    def __contains__(self, address: object) -> bool:
        """Whether an address as text is in one of them; what is none is in none."""
        if not isinstance(address, str):
            return False
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.networks)


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _is_near(address: str) -> bool:
    return address in Networks(NEAR)


class Hops:
    """Tells clients apart. `trusted` are the relays in front of us, whose client is judged instead."""

    def __init__(self, trusted: Networks = Networks()) -> None:
        self._trusted = trusted

    def block(self, address: str) -> str:
        """The address block of a client that is to share its bounds with its neighbours; "" for one that is
        not: a relay of ours brings what many send.
        """
        return "" if address in self._trusted or _is_near(address) else block_of(address)

    def hop(self, envelope: Envelope, raw: bytes) -> Hop:
        """Who brought this letter. A client near us that says it passed the letter on is a relay that nobody
        has named: then nobody knows.
        """
        client = envelope.client
        if client.address in self._trusted:
            return self._before(envelope, raw)
        if _is_near(client.address) and next(_received(raw), None) is not None:
            return Hop("", "", envelope.sender)
        return Hop(client.address, client.helo, envelope.sender)

    def _before(self, envelope: Envelope, raw: bytes) -> Hop:
        """What the relay's own field says, the topmost; the next one where that names a relay of ours too."""
        for number, field in enumerate(_received(raw)):
            address, helo = _client(field)
            if not address or number == MAX_RELAYS:
                break
            if address not in self._trusted:
                return Hop(address, helo, envelope.sender)
        return Hop("", "", envelope.sender)


def _received(raw: bytes) -> Iterator[str]:
    """The values of its Received fields, topmost first, unfolded."""
    head = raw[:MAX_LOOKED_AT]
    end = _BLANK.search(head)
    for found in _RECEIVED.finditer(head, 0, end.start() if end else len(head)):
        yield _FOLD.sub(" ", found[1].decode("utf-8", "replace")).strip() + " "


def _client(field: str) -> tuple[str, str]:
    """Address and greeting of whom a relay had the letter from; "" where it does not say so clearly."""
    found = _FROM.match(field) or _FROM_NAMELESS.match(field)
    if found is None or " by " not in field[found.end() - 1 :]:
        return "", ""
    try:
        address = ipaddress.ip_address(found["ip"])
    except ValueError:
        return "", ""
    said = found.groupdict()
    return str(unmapped(address)), said["helo"] or said["first"]
