"""Compound files (MS-CFB): documents of office suites before 2007, Outlook's messages, installers for
Windows. Their macros may be anywhere in them; so it is said of all that they may have some.
"""

from __future__ import annotations

from typing import Final

from node.kinds.programs import PACKAGE
from node.kinds.sample import Sample
from node.kinds.sort import COMPOUND, Sort

_SIGNATURE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEADER: Final = 512
_ENTRY: Final = 128
"""Bytes of an entry of the directory (MS-CFB §2.6.1)."""

_ENTRIES: Final = 32
"""Entries that are looked at: documents have their main stream among them."""

_INSTALLER: Final = bytes.fromhex("84100c0000000000c000000000000046")
"""Class of an installer's root, as MSI has it."""

_STREAMS: Final = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "VisioDocument": "application/vnd.visio",
    "__properties_version1.0": "application/vnd.ms-outlook",
}
"""Streams by which the document is told."""


def is_compound(head: bytes) -> bool:
    """Whether a file that begins so is one."""
    return head.startswith(_SIGNATURE) and len(head) >= _HEADER


def compound(sample: Sample) -> Sort | None:
    """What this compound file is; None for what is none. Raises Missing."""
    head = sample.head
    if not is_compound(head):
        return None
    directory = _directory(sample)
    if directory[80:96] == _INSTALLER:
        return Sort("application/x-msi", "program", PACKAGE)
    names = {_name(directory[at : at + _ENTRY]) for at in range(0, len(directory), _ENTRY)}
    media_type = next((known for stream, known in _STREAMS.items() if stream in names), COMPOUND)
    if media_type == "application/vnd.ms-outlook":
        return Sort(media_type, "message")
    return Sort(media_type, "document", macros=True)


def _directory(sample: Sample) -> bytes:
    """The beginning of its directory, as far as it lies together; empty where it is not in the file."""
    head = sample.head
    shift = int.from_bytes(head[30:32], "little")
    start = (int.from_bytes(head[48:52], "little") + 1) << shift if shift in (9, 12) else sample.size
    stop = min(sample.size, start + _ENTRIES * _ENTRY)
    return sample.part(start, stop) if start < stop else b""


def _name(entry: bytes) -> str:
    """An entry's name."""
    length = int.from_bytes(entry[64:66], "little")
    return entry[: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
