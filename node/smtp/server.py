"""Where a connection leads, under which rule, and what goes over it: values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Tls(Enum):
    """How a connection is kept from others' eyes."""

    AT_ONCE = "TLS from the first byte, the certificate verified"
    MUST = "STARTTLS or nothing, the certificate verified"
    MAY = "STARTTLS where it is offered, the certificate verified"
    UNVERIFIED = "STARTTLS where it is offered, with whatever certificate (RFC 7435)"


@dataclass(frozen=True, slots=True)
class Server:
    """Where a connection leads, under which rule, and as whom: `user` is "" where no password is wanted.
    `stranger`: it was found in the DNS, so that who greets as we do is taken for ourselves.
    """

    host: str
    port: int
    tls: Tls
    user: str = ""
    password: str = ""
    stranger: bool = False

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port}, {self.tls.name})"


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter for the wire. `raw` has CRLF line ends only. `sender` is "" for the null path."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
