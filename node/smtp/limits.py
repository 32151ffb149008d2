"""What a mail session may take: lines, bodies, seconds, company. Tests hand in smaller ones."""

from dataclasses import dataclass
from typing import Final

MAX_LINE: Final = 2_048
"""Bytes of a command with its CRLF: 512 (RFC 5321 §4.5.3.1.4) and room for all extensions that we offer,
for UTF-8 and for a long password in AUTH."""

MAX_SKIPPED: Final = 64 * 1024
"""Bytes of an endless command line that are read and dropped before the session is ended."""

MAX_BUFFERED: Final = 64 * 1024
"""Bytes that wait for us before the socket is no longer read; one more read of up to 256 KiB may follow."""

MAX_PATH: Final = 320
"""Characters of an address in MAIL or RCPT: 64, the @, 255 (RFC 5321 §4.5.3.1)."""

MAX_HELO: Final = 255
"""Characters of the name that a client gives itself (RFC 5321 §4.5.3.1.2)."""

MAX_RECIPIENTS: Final = 100
"""Recipients of a letter: what RFC 5321 §4.5.3.1.8 asks for."""

MAX_WASTED: Final = 100
"""Commands since the last letter that led nowhere: NOOP, RSET, refused recipients, junk."""

DISCARD: Final = 4
"""Times the largest size that a body is read, and dropped, for a sender to hear that it was too large."""

ACHIEVED_BYTES: Final = 64 * 1024
"""Of a body, that count as something achieved."""

MAX_AUTH_FAILURES: Final = 3
"""Wrong passwords, after which a session ends."""

LINGER_S: Final = 1.0
"""Seconds that a client gets to take our last word before the connection is cut."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one listener. All times in seconds."""

    sessions: int = 200
    """At once. One costs some 20 kB, a body not counted."""

    block: int = 40
    """Of those, from one /24 or /48: a fifth, so that it takes five such to fill the place."""

    bodies: int = 64 * 1024 * 1024
    """Bytes of all bodies that are held at once."""

    small: int = 256 * 1024
    """Bytes of a body that is never given up for another: most letters are smaller."""

    command: float = 60.0
    """Without a byte that we wait for. RFC 5321 §4.5.3.2 asks five minutes of a server that can spare them;
    who is waiting for so long is not the postman."""

    body: float = 600.0
    """From 354 to the last dot."""

    rate: float = 1_024.0
    """Bytes a second, at least, of a body after `grace`: 25 MB in its ten minutes need forty times that."""

    grace: float = 30.0
    """Of a body, before its rate counts."""

    handshake: float = 10.0
    """For STARTTLS."""

    work: float = 300.0
    """That our own side takes for an answer; then the client hears 421 and comes again."""

    fresh: float = 5.0
    """Since something was achieved, in which a session is not the first to go when there are too many."""

    auth_delay: float = 1.0
    """Before the answer to a wrong password."""

    closing: float = 1.5
    """That letters just being taken get to be answered when the listener closes."""


SUBMISSION: Final = Limits(command=300.0)
"""The owner's own programs, which may keep a connection open: RFC 5321's five minutes."""
