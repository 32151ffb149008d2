"""Folders' numbers and names: what is a system folder, and what an own one may be called. No store here."""

import unicodedata
from typing import Final

from node.letters.errors import FolderError
from node.letters.text import clean_line
from protocol.folder import ARCHIVE, DRAFTS, GOODREADS, HANDSHAKE, INBOX, OTHER, REFUSED, SENT, SPAM, TRASH

NUMBERS: Final = {
    INBOX: 1,
    GOODREADS: 2,
    OTHER: 3,
    HANDSHAKE: 4,
    SENT: 5,
    DRAFTS: 6,
    ARCHIVE: 7,
    TRASH: 8,
    SPAM: 9,
}
"""System folders' numbers in the store's keys; never changed, never used for another."""

NAMES: Final = {number: name for name, number in NUMBERS.items()}

FIRST_OWN: Final = 100
"""Number of the owner's first own folder."""

MAX_OWN: Final = 1_000
"""Own folders; all of their records are read for a listing."""

MAX_NAME: Final = 100
"""Characters of a folder's name (MIR-8 names none; what a list can show)."""


def check_name(name: str) -> str:
    """The name as it is kept. Raises FolderError for one that no folder may have."""
    kept = unicodedata.normalize("NFC", name).strip()
    if not kept or len(kept) > MAX_NAME:
        raise FolderError("folder-name", f"a folder's name has 1 to {MAX_NAME} characters", "choose another")
    if clean_line(kept, MAX_NAME) != kept:
        raise FolderError(
            "folder-name",
            "the name has control characters, hidden marks or double spaces in it",
            "choose another",
        )
    if fold(kept) in NUMBERS or fold(kept) == REFUSED:
        raise FolderError("folder-system", f'"{kept}" is the name of a system folder', "choose another")
    return kept


def fold(name: str) -> str:
    """What two names have in common that a person takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).strip().casefold())


def folder_id(number: int) -> str:
    """A folder's id in JSON (MIR-8): hexadecimal."""
    return f"{number:04x}"
