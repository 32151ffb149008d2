"""What a mail server says, and what can be wrong with the way to it: values, and words for a person.

No sockets here.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPResponseException,
    SMTPTimeoutError,
)

from node.letters.text import clean_line

MAX_SAID: Final = 200
"""Characters of what a server said that are shown; an honest one needs a line."""

_STATUS: Final = re.compile(r"([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})(?:[ -]|$)", re.ASCII)
_SET: Final = "mailio config set smtp.smarthost"
_SECRET: Final = "mailio config set --secret smtp.smarthost"  # noqa: S105 - a command, not a secret


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a letter for one recipient: SMTP's code, an RFC 3463 status of its class, clean words."""

    code: int
    status: str
    text: str

    @classmethod
    def of(cls, host: str, code: int, message: str) -> Answer:
        """A server's reply; its enhanced status counts if it is of the reply's class (RFC 2034 §4)."""
        said = message.replace("\n", " ")
        found, kind = _STATUS.match(said), code // 100
        fits = found is not None and int(found[1]) == kind
        status = ".".join(found.groups()) if found is not None and fits else f"{kind}.0.0"
        return cls(code, status, clean_line(f"{host} says: {code} {said}", MAX_SAID))

    @property
    def ok(self) -> bool:
        return self.code // 100 == 2

    def later(self) -> Answer:
        """The same as no refusal for good."""
        return replace(self, code=452, status="4.5.3")


def refused(status: str, text: str) -> Answer:
    """What we know the server would refuse; `text` is for a person."""
    return Answer(554, status, clean_line(text, MAX_SAID))


class Way(Enum):
    """What is wrong with the way."""

    NONE = "none"
    NO_HOST = "no-host"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    CONNECT = "connect"
    LOST = "lost"
    GARBAGE = "garbage"
    REFUSED = "refused"
    TLS = "tls"
    CERTIFICATE = "certificate"
    NO_TLS = "no-tls"
    PASSWORD = "password"  # noqa: S105 - a kind of fault
    NO_PASSWORD = "no-password"  # noqa: S105 - a kind of fault
    NO_AUTH = "no-auth"
    AUTH_WANTED = "auth-wanted"
    OURSELVES = "ourselves"
    NAMES = "names"
    POLICY = "policy"


_STATUSES: Final = {
    Way.CERTIFICATE: "4.7.5",
    Way.TLS: "4.7.5",
    Way.NO_TLS: "4.7.5",
    Way.PASSWORD: "4.7.8",
    Way.NO_PASSWORD: "4.7.8",
    Way.NO_AUTH: "4.7.8",
    Way.AUTH_WANTED: "4.7.8",
    Way.LOST: "4.4.2",
    Way.REFUSED: "4.3.2",
    Way.OURSELVES: "4.4.6",
    Way.NAMES: "4.4.3",
    Way.POLICY: "4.7.5",
}
"""RFC 3463 and 4954 for each; 4.4.1 for the rest."""

SAYINGS: Final = {
    Way.NONE: ("no mail server is set that takes your mail to others", f"{_SET} smtp://USER@HOST:587"),
    Way.NO_HOST: ("there is no mail server called {host}", f"check its name: {_SET} smtp://USER@HOST:587"),
    Way.UNREACHABLE: ("{host} can't be reached on port {port}", "check the network, and smtp.smarthost"),
    Way.SILENT: ("{host} does not answer", "ask who runs it, or wait: your letters are kept"),
    Way.CONNECT: ("{host} ended the connection at once", "check the port in smtp.smarthost"),
    Way.LOST: ("{host} ended the connection in the middle", "wait: your letters are kept and tried again"),
    Way.GARBAGE: ("{host} does not answer as a mail server does", "check host and port in smtp.smarthost"),
    Way.REFUSED: ("{host} takes no mail now", "wait, or ask who runs it: your letters are kept"),
    Way.TLS: (
        "{host} and this node can't agree on TLS",
        "check the port: smtps:// has TLS at once, smtp:// later",
    ),
    Way.CERTIFICATE: (
        "the certificate of {host} can't be trusted",
        "set smtp.smarthost to the name in its certificate, or SSL_CERT_FILE to who signed it",
    ),
    Way.NO_TLS: (
        "{host} offers no encryption, so nothing is sent",
        f"use its port with TLS: {_SET} smtps://USER@HOST:465",
    ),
    Way.PASSWORD: ("{host} refuses your name or password", f"set the password again: {_SECRET}"),
    Way.NO_PASSWORD: ("no password for {host} is set", _SECRET),
    Way.NO_AUTH: (
        "{host} takes no password in a way that this node knows",
        "leave USER@ out of smtp.smarthost, or use its port for mail programs, often 587 or 465",
    ),
    Way.AUTH_WANTED: ("{host} wants your name and password", f"{_SET} smtp://USER@HOST:587, then {_SECRET}"),
    Way.OURSELVES: ("{host} is this node itself", f"name the server that takes your mail: {_SET} …"),
    Way.NAMES: ("the mail servers of {host} can't be looked up", "wait, or check dns.nameservers"),
    Way.POLICY: ("{host} is none of the mail servers that its domain's policy names", ""),
}
"""What a person reads of each, and what can be done where the server is the owner's own."""


class WayFault(Exception):  # noqa: N818 - what it is: of the way, not of a letter
    """Nothing can go this way now. `sent`: the body's end was on its way, so it may have arrived."""

    def __init__(self, way: Way, said: str = "", *, sent: bool = False, host: str = "") -> None:
        super().__init__(way, said)
        self.way = way
        self.said = clean_line(said.replace("\n", " "), MAX_SAID)
        self.sent = sent
        self.host = host
        """The server that it is about, where there are several."""

    @classmethod
    def of(cls, way: Way, fault: Exception, *, sent: bool = False) -> WayFault:
        """From what the library or the system raised while `way` was looked after."""
        cause = fault if isinstance(fault, ssl.SSLError) else fault.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cls(Way.CERTIFICATE, cause.verify_message, sent=sent)
        if isinstance(cause, ssl.SSLError):
            return cls(Way.TLS, cause.reason or "", sent=sent)
        if isinstance(fault, SMTPTimeoutError | TimeoutError):
            return cls(Way.SILENT, sent=sent)
        if isinstance(fault, SMTPResponseException):
            return cls(_kind(way, fault), _words(fault), sent=sent)
        if isinstance(fault, socket.gaierror):
            return cls(Way.NO_HOST, sent=sent)
        if way is Way.TLS or isinstance(fault, SMTPConnectError):
            return cls(way, sent=sent)
        return cls(Way.LOST if way is Way.PASSWORD else way, sent=sent)

    @property
    def status(self) -> str:
        return _STATUSES.get(self.way, "4.4.1")

    def words(self, host: str, port: int) -> str:
        """What is wrong in plain words."""
        said = f" ({self.said})" if self.said else ""
        return SAYINGS[self.way][0].format(host=self.host or host, port=port) + said


class NoWay(Exception):  # noqa: N818 - what it is: there is none, and never will be
    """A destination that no letter can go to: `answer` is what its author is told."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.answer = refused(status, text)


def _kind(way: Way, fault: SMTPResponseException) -> Way:
    if not 200 <= fault.code < 600:
        return Way.GARBAGE
    if fault.code == 421 or fault.code // 100 == 4 or way is Way.CONNECT:
        return Way.REFUSED
    if isinstance(fault, SMTPAuthenticationError):
        return Way.PASSWORD
    return way


def _words(fault: SMTPResponseException) -> str:
    return f"{fault.code} {fault.message}".strip() if fault.code > 0 else fault.message
