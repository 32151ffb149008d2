"""A mailbox of the owner's at a provider: what is asked for, checked, as it is kept. No store, no sockets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from node.pickup.errors import bad_address, bad_folder, bad_server, no_passwords, no_servers
from node.pickup.known import NAME, Known, known_of
from node.runtime.settings_mail import IMAP_PORTS, PORTS, MailServer, parse_smarthost
from protocol.cbor import Value
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields

INBOX: Final = "INBOX"
"""RFC 3501 §5.1: where new mail comes at every server."""

MAX_FOLDERS: Final = 20
"""Of one mailbox; each costs a look every few minutes."""

MAX_FOLDER: Final = 250
"""Characters of a folder's name."""

UNKNOWN: Final = {"state": "unknown", "text": ""}
"""How a provider stands while nothing is fetched from it."""

MAX_URL: Final = 1_200
"""Bytes of a server's address: a host's name has 253, a user's may be an e-mail address of 254, each byte of
it written as three.
"""


@dataclass(frozen=True, slots=True)
class Provider:
    """One mailbox. `imap` and `smtp` as settings have servers (`smtp` "" where nothing is sent through it);
    `since`: old letters are fetched from then on (Unix ms; 0: all, None: none of them); `delete_after`: ms
    after which what was fetched is deleted there (None: never). `changed`, Unix ms: when the owner said so.
    """

    address: str
    imap: str
    smtp: str
    folders: tuple[str, ...] = (INBOX,)
    since: int | None = None
    delete_after: int | None = None
    created: int = 0
    changed: int = 0

    @property
    def known(self) -> Known | None:
        """What the table has of it; only while its mail comes from where the table says."""
        found = known_of(self.address.rpartition("@")[2])
        return found if found and found.imap and self.imap == _filled(found.imap, self.address) else None

    @property
    def authserv_ids(self) -> frozenset[str]:
        """Whose Authentication-Results on its letters are its own."""
        return self.known.authserv_ids if self.known else frozenset()

    @property
    def note(self) -> str:
        return self.known.note if self.known else ""

    @property
    def server(self) -> MailServer:
        return parse_smarthost(self.imap, IMAP_PORTS)

    @property
    def smarthost(self) -> MailServer | None:
        return parse_smarthost(self.smtp) if self.smtp else None

    def value(self) -> dict[str, Value]:
        """As it is kept."""
        kept: dict[str, Value] = {
            "address": self.address,
            "imap": self.imap,
            "smtp": self.smtp,
            "folders": list(self.folders),
            "created": self.created,
            "changed": self.changed,
        }
        if self.since is not None:
            kept["since"] = self.since
        return kept if self.delete_after is None else kept | {"deleteAfter": self.delete_after}

    @classmethod
    def read(cls, value: Value) -> Provider:
        fields = Fields(value, "provider")
        return cls(
            fields.text("address", MAX_URL),
            fields.text("imap", MAX_URL),
            fields.text("smtp", MAX_URL),
            fields.texts("folders", MAX_FOLDERS, 4 * MAX_FOLDER),
            fields.optional_int("since"),
            fields.optional_int("deleteAfter"),
            fields.int("created"),
            fields.int("changed"),
        )

    def document(self) -> dict[str, Any]:
        """For --json."""
        return {
            "address": self.address,
            "imap": self.imap,
            "smtp": self.smtp or None,
            "folders": list(self.folders),
            "since": self.since,
            "deleteAfter": self.delete_after,
            "created": self.created,
            "note": self.note,
        }


def address_of(text: str) -> str:
    """The normal form. Raises ProviderError."""
    try:
        return normal_email(text.strip())
    except RemoteProtocolError:
        raise bad_address(text) from None


def servers_of(address: str, imap: str, smtp: str) -> tuple[str, str]:
    """Both servers of a mailbox: what is given, else what is known of its provider. Raises ProviderError
    where neither says it.
    """
    known = known_of(address.rpartition("@")[2])
    if not imap:
        if known is None:
            raise no_servers(address)
        if not known.imap:
            raise no_passwords(address, known.note)
        imap = _filled(known.imap, address)
    if not smtp and known is not None and imap == _filled(known.imap, address):
        smtp = known.smtp
    return _server(imap, address, "--imap"), _server(smtp, address, "--smtp") if smtp else ""


def folders_of(names: Sequence[str]) -> tuple[str, ...]:
    """INBOX, then the others that are named. Raises ProviderError."""
    found = dict.fromkeys([INBOX, *(INBOX if name.upper() == INBOX else name for name in names)])
    if len(found) > MAX_FOLDERS:
        raise bad_folder(f"{MAX_FOLDERS} folders are fetched at most")
    for name in found:
        if not (0 < len(name) <= MAX_FOLDER and name.isprintable()):
            raise bad_folder("a folder's name is a line of visible characters")
    return tuple(found)


def _server(text: str, address: str, option: str) -> str:
    """As it is kept: with the name to log in with."""
    ports = IMAP_PORTS if option == "--imap" else PORTS
    text = _filled(text, address)
    try:
        if len(text.encode("utf-8", "replace")) > MAX_URL:
            raise ValueError("longer than any server's address")
        found = parse_smarthost(text, ports)
    except ValueError as fault:
        raise bad_server(option, str(fault)) from None
    if not found.user:
        raise bad_server(option, "nobody is named who logs in")
    return text


def _filled(server: str, address: str) -> str:
    """With who logs in, as it is kept."""
    scheme, _, rest = server.partition("://")
    user, _, place = rest.rpartition("@")
    if user == NAME:
        user = quote(address.rpartition("@")[0], safe="")
    return f"{scheme}://{user or quote(address, safe='')}@{place}" if server else ""
