"""One login at a provider: everything that is asked of it over IMAP (RFC 3501), each with its bounds.

Runs in the room's threads and blocks. When to ask what is fetching.py's.
"""

from __future__ import annotations

import base64
import imaplib
import socket
import ssl
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from imapclient.exceptions import LoginError, ProtocolError

from node.pickup.trouble import Trouble, Way
from node.pickup.wire import MAX_LINE, Client
from node.runtime.settings_mail import MailServer

LETTERS: Final = 10
"""Times as long as another answer may an answer with letters take: 32 MB in ten minutes are 55 KB/s."""

WINDOW: Final = 5_000
"""UIDs that one search looks at: names of all fit into a line of MAX_LINE bytes."""

OVERHEAD: Final = 1_000_000
"""Bytes that an answer may have beside the letters in it."""

MAX_UID: Final = 2**32 - 1
"""RFC 3501 §9: nz-number."""


class Refusal(Exception):  # noqa: N818 - what it is
    """The server said no to this one command; the connection is good."""


@dataclass(frozen=True, slots=True)
class Selected:
    """An opened folder: which numbering of its letters holds, and the next number."""

    validity: int
    next: int


class Session:
    """A connection that is logged in. One user at a time; broken once Trouble was raised."""

    def __init__(self, client: Client, patience: float) -> None:
        self._client = client
        self._patience = patience
        self._exists = 0
        self.can_idle = bool(client.has_capability("IDLE"))
        """Whether the server tells what is new by itself (RFC 2177)."""
        self.can_expunge = bool(client.has_capability("UIDPLUS"))
        """Whether letters can be deleted without those that others have marked (RFC 4315)."""

    @classmethod
    def open(cls, sock: socket.socket, server: MailServer, password: str, patience: float) -> Session:
        """Greet, begin TLS, log in on a connected socket, which is ours from here. `patience`: seconds for a
        whole answer without letters. Raises Trouble.
        """
        opened = sock
        try:
            with _faults():
                tls = ssl.create_default_context() if server.implicit_tls else None
                client = Client(sock, server.host, tls)
                opened = client.wire.sock
                _secure(client, server)
                opened = client.wire.sock
                client.wire.allow(seconds=patience)
                _log_in(client, server.user, password)
                client.wire.allow(seconds=patience)
                return cls(client, patience)
        except Refusal as no:  # before there is a login, no is the end
            opened.close()
            raise Trouble(Way.REFUSED, str(no)) from no
        except BaseException:
            opened.close()
            raise

    @property
    def socket(self) -> socket.socket:
        return self._client.wire.sock

    def select(self, folder: str, *, change: bool) -> Selected:
        """Open a folder; without `change` nothing in it can be altered. Raises Refusal, Trouble."""
        with self._asking():
            self._client.wire.exists = None
            told = self._client.select_folder(folder, readonly=not change)
            self._exists = told[b"EXISTS"]
            validity, upcoming = told[b"UIDVALIDITY"], told.get(b"UIDNEXT")
        if upcoming is None:
            upcoming = self._after_last()
        if not (0 < validity <= MAX_UID and 0 < upcoming <= MAX_UID + 1):
            raise Trouble(Way.GARBAGE)
        return Selected(validity, upcoming)

    def search(self, first: int, last: int, since: int) -> list[int]:
        """The UIDs of letters from `first` to `last`, ascending, of those that came since (Unix ms, 0: ever),
        or the day before: servers go by days of their own.
        """
        criteria: list[str] = ["UID", f"{first}:{last}"]
        if since:
            criteria += ["SINCE", _day(since - 86_400_000)]
        with self._asking():
            found = self._client.search(criteria)
        return sorted({uid for uid in found if first <= uid <= last})

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """Bytes of these letters as the server has them; who is gone is left out."""
        with self._asking():
            found = self._client.fetch(uids, ["RFC822.SIZE"])
            return {uid: int(one[b"RFC822.SIZE"]) for uid, one in found.items() if b"RFC822.SIZE" in one}

    def letters(self, uids: Sequence[int], limit: int) -> dict[int, bytes]:
        """These letters, cut after `limit` bytes, and not marked as read by it. Who is gone is left out."""
        largest = max(limit, MAX_LINE)
        with self._asking(LETTERS, limit * len(uids) + OVERHEAD, largest):
            found = self._client.fetch(uids, [f"BODY.PEEK[]<0.{limit}>"])
            bodies = {uid: one.get(b"BODY[]<0>", one.get(b"BODY[]")) for uid, one in found.items()}
            return {uid: body for uid, body in bodies.items() if isinstance(body, bytes)}

    def delete(self, uids: Collection[int]) -> None:
        """Delete these letters, or only mark them where the server can't delete some alone."""
        with self._asking():
            self._client.add_flags(list(uids), [rb"\Deleted"], silent=True)
        if self.can_expunge:
            with self._asking():
                self._client.uid_expunge(list(uids))

    # ---- waiting

    @property
    def changed(self) -> bool:
        """Whether the folder has got more letters or fewer since it was opened. Raises Trouble."""
        wire = self._client.wire
        with _faults():
            wire.look()
        return wire.exists is not None and wire.exists != self._exists

    def idle(self) -> bool:
        """Have the server tell what is new; whether it has said something already."""
        with self._asking():
            self._client.idle()
        return self._client.wire.waiting

    def stir(self) -> bool:
        """Read what has come while idle, at least a line; whether the folder has changed by it."""
        with self._asking():
            wire = self._client.wire
            while True:
                wire._get_response()
                wire._check_bye()
                if not wire.waiting:
                    return self.changed

    def done(self) -> None:
        """End being idle."""
        with self._asking():
            self._client.idle_done()

    def _after_last(self) -> int:
        """The next UID where the server does not say it with the folder."""
        if not self._exists:
            return 1
        with self._asking():
            return int(max(self._client.search(["UID", "*"]), default=0)) + 1

    @contextmanager
    def _asking(self, times: int = 1, total: int = 0, literal: int = 0) -> Iterator[None]:
        bounds = {"total": total, "literal": literal} if total else {}
        with _faults():
            self._client.wire.allow(seconds=times * self._patience, **bounds)
            yield


@contextmanager
def _faults() -> Iterator[None]:
    """Everything that a server can do to us, as Trouble; its plain no as Refusal."""
    try:
        yield
    except (Trouble, Refusal):
        raise
    except imaplib.IMAP4.error as fault:
        if isinstance(fault, imaplib.IMAP4.abort | ProtocolError):
            raise Trouble.of(fault) from fault
        raise Refusal(str(fault)) from fault
    except Exception as fault:  # what hostile bytes make of a library can't be foreseen
        raise Trouble.of(fault) from fault


def _secure(client: Client, server: MailServer) -> None:
    """TLS where there is none yet; only what stays on this machine may go without."""
    if server.implicit_tls:
        return
    if client.has_capability("STARTTLS"):
        client.starttls()
    elif not server.is_local:
        raise Trouble(Way.NO_TLS)


def _log_in(client: Client, user: str, password: str) -> None:
    """Once, with one method: a second guess with the same password only looks like an attack."""
    if client.wire.state != "NONAUTH":
        raise Trouble(Way.NO_LOGIN, "it wants no login")
    if not password:
        raise Trouble(Way.NO_PASSWORD)
    try:
        if client.has_capability("AUTH=PLAIN"):
            client.plain_login(user, password)
        elif client.has_capability("LOGINDISABLED") or not (user + password).isascii():
            raise Trouble(Way.NO_LOGIN)
        else:
            client.login(client.wire._quote(user), password)
    except LoginError as fault:
        if isinstance(fault.__context__, imaplib.IMAP4.abort):  # the library takes an end for a no
            raise Trouble(Trouble.of(fault.__context__).way) from None
        said = "" if _echoes(str(fault), user, password) else _words(str(fault))
        later = any(code in said.upper() for code in ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]"))  # RFC 5530
        raise Trouble(Way.REFUSED if later else Way.PASSWORD, said) from None


def _words(text: str) -> str:
    """What the server said, without what the library put before it."""
    return text.partition(" failed: ")[2] or text


def _echoes(text: str, user: str, password: str) -> bool:
    """Whether the password can be read in what a server said, as it is or as it was sent."""
    sent = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return password in text or sent.rstrip("=") in text


def _day(moment: int) -> str:
    """RFC 3501 §9: date; its months are English wherever we are."""
    when = datetime.fromtimestamp(max(moment, 0) / 1000, UTC)
    return f"{when.day}-{_MONTHS[when.month - 1]}-{when.year}"


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
