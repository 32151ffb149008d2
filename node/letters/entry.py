"""What the index knows of a letter, its ids, and both as the store keeps them. No store here."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.letters.errors import NoSuchLetter

ID_BYTES: Final = 12
"""Of a letter's id: six of its arrival in ms, so that ids sort as letters came, and six of chance."""

TIME_BYTES: Final = 6
MIN_PREFIX: Final = 8
"""Hexadecimal digits that a shortened id must have."""

_HEX: Final = re.compile(rf"[0-9a-f]{{{MIN_PREFIX},{2 * ID_BYTES}}}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter in a list. `author` is the proven name (Mailio or e-mail address), "" where none is;
    `created` is what its author says, `arrived` when we took it in; `via` is "smtp" where it came so;
    `pieces` of a large message lie apart. Empty texts and ids stand for "none".
    """

    id: bytes
    folder: int
    sender: str
    to: tuple[str, ...]
    subject: str
    created: int
    arrived: int
    read: bool
    size: int
    attachments: int
    author: str = ""
    letter_id: bytes = b""
    message_id: str = ""
    thid: str = ""
    pthid: str = ""
    via: str = ""
    pieces: int = 0

    def stored(self) -> dict[str, Any]:
        """The value in the store; id and folder are its key."""
        full = {
            "from": self.sender,
            "to": list(self.to),
            "subject": self.subject,
            "created": self.created,
            "arrived": self.arrived,
            "read": self.read,
            "size": self.size,
            "attachments": self.attachments,
            "author": self.author,
            "letterId": self.letter_id,
            "messageId": self.message_id,
            "thid": self.thid,
            "pthid": self.pthid,
            "via": self.via,
            "pieces": self.pieces,
        }
        return {name: value for name, value in full.items() if value not in ("", b"", 0, False, [])}

    @classmethod
    def load(cls, folder: int, id_: bytes, value: Mapping[str, Any]) -> "Entry":
        """The entry that `stored` made a value of."""
        get = value.get
        return cls(
            id=id_,
            folder=folder,
            sender=get("from", ""),
            to=tuple(get("to", ())),
            subject=get("subject", ""),
            created=get("created", 0),
            arrived=get("arrived", 0),
            read=get("read", False),
            size=get("size", 0),
            attachments=get("attachments", 0),
            author=get("author", ""),
            letter_id=get("letterId", b""),
            message_id=get("messageId", ""),
            thid=get("thid", ""),
            pthid=get("pthid", ""),
            via=get("via", ""),
            pieces=get("pieces", 0),
        )


def new_id(arrived: int) -> bytes:
    """An id for a letter that came at `arrived` (Unix ms)."""
    return arrived.to_bytes(TIME_BYTES) + secrets.token_bytes(ID_BYTES - TIME_BYTES)


def parse_id(text: str) -> tuple[bytes, bytes]:
    """The first and the last id that a whole or shortened one stands for. Raises NoSuchLetter."""
    text = text.strip().lower()
    if not _HEX.fullmatch(text):
        raise NoSuchLetter(
            "letter-id",
            f"an id is {2 * ID_BYTES} hexadecimal digits, or its first {MIN_PREFIX} or more",
            "see: mailio list",
        )
    return bytes.fromhex(text.ljust(2 * ID_BYTES, "0")), bytes.fromhex(text.ljust(2 * ID_BYTES, "f"))
