"""What a mail session and its other side say to each other: replies, who sends, the envelope, and the
interfaces that a listener asks. No sockets, no parsing.
"""

from dataclasses import dataclass
from typing import Final, Protocol

MAX_TEXT: Final = 400
"""Characters of a reply's text: the line ends at 512 with its code, status and CRLF (RFC 5321 §4.5.3.1.5)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One line of RFC 5321 §4.2 with the status of RFC 3463, "" where none fits."""

    code: int
    status: str
    text: str

    def __str__(self) -> str:
        """One bounded line of printable ASCII, whatever the text was."""
        text = "".join(c if " " <= c <= "~" else "?" for c in self.text[:MAX_TEXT])
        return f"{self.code} {self.status} {text}" if self.status else f"{self.code} {text}"

    @property
    def is_ok(self) -> bool:
        """Whether what was asked is done, or to go on."""
        return self.code < 400


OK: Final = Reply(250, "2.0.0", "Ok")


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end. `user` is the name of the app password, on submission only."""

    address: str
    helo: str
    tls: bool
    user: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What MAIL and RCPT said. `sender` is "" for `<>`; addresses are as they were written, their form
    is looked at by whoever takes the letter.
    """

    sender: str
    recipients: tuple[str, ...]
    client: Client
    utf8: bool = False
    eight_bit: bool = False


class Reception(Protocol):
    """The other side of the listener for mail from anywhere.

    `recipient` is called in the bridge's thread and touches no store; the others run on trio, where
    `sender` only looks things up.
    """

    def sender(self, sender: str, client: Client) -> Reply | None:
        """Ask at MAIL, before anything else is sent; None to go on."""
        ...

    def recipient(self, recipient: str) -> Reply | None:
        """Ask at RCPT; None where it is one of ours."""
        ...

    async def take(self, envelope: Envelope, raw: bytes) -> Reply:
        """Take the letter; class 2 only when it is on disk. Not cancelled when the client goes."""
        ...


class Acceptance(Protocol):
    """The other side of the listener for the owner's mail programs."""

    def authenticate(self, name: str, password: str) -> bool:
        """Whether this is an app password; called in the bridge's thread, looks at memory only."""
        ...

    def sender(self, sender: str, client: Client) -> Reply | None:
        """Ask at MAIL; None to go on."""
        ...

    async def recipient(self, recipient: str, client: Client) -> Reply | None:
        """Ask at RCPT; None to go on."""
        ...

    async def take(self, envelope: Envelope, raw: bytes) -> Reply:
        """Take the letter; class 2 only when it is on disk. Not cancelled when the client goes."""
        ...
