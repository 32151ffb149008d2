"""What can be wrong with the way to a provider: values, and words for a person. No sockets here."""

from __future__ import annotations

import imaplib
import socket
import ssl
from enum import Enum
from typing import Final

from node.letters.text import clean_line
from node.pickup.wire import TooMuch
from node.runtime.rooms import Warning_

MAX_SAID: Final = 200
"""Characters of what a server said that are shown; an honest one needs a line."""


class Way(Enum):
    """What is wrong with the way."""

    NO_HOST = "no-host"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    LOST = "lost"
    GARBAGE = "garbage"
    TOO_MUCH = "too-much"
    TLS = "tls"
    CERTIFICATE = "certificate"
    NO_TLS = "no-tls"
    PASSWORD = "password"  # noqa: S105 - a kind of fault
    NO_PASSWORD = "no-password"  # noqa: S105 - a kind of fault
    NO_LOGIN = "no-login"
    REFUSED = "refused"
    NO_FOLDER = "no-folder"
    READ_ONLY = "read-only"


OWNERS: Final = frozenset(
    {Way.PASSWORD, Way.NO_PASSWORD, Way.NO_LOGIN, Way.NO_TLS, Way.CERTIFICATE, Way.NO_FOLDER, Way.READ_ONLY}
)
"""Faults that do not go by themselves: trying often mends nothing, and locks accounts."""

_CHECK: Final = "check the address of its server: mailio provider list"
_WAIT: Final = "wait: your letters stay there, and it is tried again"
_AGAIN: Final = "mailio provider add {address}"

_TEXTS: Final = {
    Way.NO_HOST: ("there is no server called {host}", _CHECK),
    Way.UNREACHABLE: ("{host} can't be reached on port {port}", "check the network; it is tried again"),
    Way.SILENT: ("{host} does not answer", _WAIT),
    Way.LOST: ("{host} ended the connection", _WAIT),
    Way.GARBAGE: ("{host} does not answer as an IMAP server does", _CHECK),
    Way.TOO_MUCH: ("{host} sends more than was asked for", _CHECK),
    Way.TLS: (
        "{host} and this node can't agree on TLS",
        "check the port: imaps:// has TLS at once (993), imap:// later (143)",
    ),
    Way.CERTIFICATE: (
        "the certificate of {host} can't be trusted",
        "give the name in its certificate with --imap, or SSL_CERT_FILE to who signed it",
    ),
    Way.NO_TLS: ("{host} offers no encryption, so no password is sent", "use its port with TLS: imaps://"),
    Way.PASSWORD: ("{host} refuses your name or password", f"set the password again: {_AGAIN}"),
    Way.NO_PASSWORD: ("no password for {address} is kept", f"set it: {_AGAIN}"),
    Way.NO_LOGIN: ("{host} takes no password in a way that this node knows", "ask who runs it"),
    Way.REFUSED: ("{host} refuses what is asked", _WAIT),
    Way.NO_FOLDER: ("a folder can't be opened at {host}", f"name the right ones: {_AGAIN} --folder NAME"),
    Way.READ_ONLY: (
        "{host} lets nobody delete in a folder",
        f"leave your letters there: {_AGAIN}, without --delete",
    ),
}


class Trouble(Exception):  # noqa: N818 - what it is
    """The connection is of no use any more."""

    def __init__(self, way: Way, said: str = "") -> None:
        super().__init__(way, said)
        self.way = way
        self.said = clean_line(" ".join(said.split()), MAX_SAID)

    @classmethod
    def of(cls, fault: Exception) -> Trouble:
        """From what the library or the system raised."""
        if isinstance(fault, ssl.SSLCertVerificationError):
            return cls(Way.CERTIFICATE, fault.verify_message)
        if isinstance(fault, ssl.SSLError) and not isinstance(fault, ssl.SSLEOFError):
            return cls(Way.TLS, fault.reason or "")
        if isinstance(fault, imaplib.IMAP4.abort) and not isinstance(fault, imaplib.IMAP4.readonly):
            return cls(_ended(str(fault)), str(fault))
        # A library's answer to hostile bytes can be any exception.
        way = next((way for kind, way in _KINDS if isinstance(fault, kind)), Way.GARBAGE)
        return cls(way, str(fault) if way is Way.TOO_MUCH else "")

    def warning(self, address: str, host: str, port: int, note: str = "") -> Warning_:
        """What is wrong in plain words, with the way out; `note` is what this provider is known to want."""
        text, remedy = (part.format(address=address, host=host, port=port) for part in _TEXTS[self.way])
        said = f" ({self.said})" if self.said else ""
        if note and self.way is Way.PASSWORD:
            remedy = f"{note}; {remedy}"
        return Warning_(f"provider-{self.way.value}", f"{address}: {text}{said}", remedy)


_KINDS: Final = (
    (TimeoutError, Way.SILENT),
    (socket.gaierror, Way.NO_HOST),
    (OSError, Way.LOST),
    (TooMuch, Way.TOO_MUCH),
    (imaplib.IMAP4.readonly, Way.READ_ONLY),
)


def _ended(text: str) -> Way:
    """Imaplib's abort says the same of an end and of an answer to nothing."""
    return Way.GARBAGE if "unexpected" in text or "unterminated line" in text else Way.LOST
