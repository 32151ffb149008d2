"""Zip archives, and what is one under another name: documents of office suites, books, programs for Java and
Android. Only the list of names is read; nothing is ever unpacked, so nothing in it can be a bomb.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Final

from node.kinds.endings import HOLDERS, RUNS, ending
from node.kinds.programs import ANDROID, JAVA
from node.kinds.sample import Sample
from node.kinds.sort import ZIP, Sort

_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")

_OOXML: Final = "application/vnd.openxmlformats-officedocument."
_OFFICE: Final = {
    "word/": (_OOXML + "wordprocessingml.document", "application/vnd.ms-word.document.macroenabled.12"),
    "xl/": (_OOXML + "spreadsheetml.sheet", "application/vnd.ms-excel.sheet.macroenabled.12"),
    "ppt/": (
        _OOXML + "presentationml.presentation",
        "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    ),
}
"""Directory of the document's parts → its type, and that of one with macros (ECMA-376)."""

_OFFICE_LIST: Final = "[content_types].xml"
_OFFICE_MACROS: Final = ("vbaproject.bin", "xl/macrosheets/", "activex/", "embeddings/oleobject")
"""What in such a document may run, or may hold what runs."""

_OPEN_MACROS: Final = ("basic/", "scripts/")
"""The same of an OpenDocument file (ODF 1.3 part 2, §3)."""

_NAMED: Final = b"mimetype"
_STATED: Final = re.compile(rb"application/(?:vnd\.oasis\.opendocument\.[a-z-]{4,40}|epub\+zip)")

_SHOWN: Final = 80
"""Characters of a name that are shown, its last."""

_FAULTS: Final = (
    OSError, ValueError, EOFError, KeyError, IndexError, OverflowError, RuntimeError,
    NotImplementedError, struct.error,
)  # fmt: skip
"""What the standard library raises on a list of names that is none."""


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so is an archive of this kind."""
    return head.startswith(_STARTS)


def zipped(sample: Sample) -> Sort:
    """What this archive is. Raises Missing."""
    names = _names(sample)
    low = [name.lower() for name in names]
    if (media_type := _stated(sample.head)) is not None:
        return Sort(media_type, "document", macros=any(name.startswith(_OPEN_MACROS) for name in low))
    if _OFFICE_LIST in low:
        macros = any(part in name for name in low for part in _OFFICE_MACROS)
        for start, (plain, enabled) in _OFFICE.items():
            if any(name.startswith(start) for name in low):
                vba = any(name.endswith("vbaproject.bin") for name in low)
                return Sort(enabled if vba else plain, "document", macros=macros)
    if "androidmanifest.xml" in low:
        return Sort("application/vnd.android.package-archive", "program", ANDROID)
    if "meta-inf/manifest.mf" in low and any(name.endswith(".class") for name in low):
        return Sort("application/java-archive", "program", JAVA)
    return Sort(ZIP, "archive", inside=_shown(next(filter(_runs, names), "")))


def _names(sample: Sample) -> Sequence[str]:
    """The names of what is in it; none where the list is broken. Raises Missing."""
    from zipfile import BadZipFile, ZipFile  # 10 ms that only the worker has a use for

    try:
        with ZipFile(sample) as archive:
            return archive.namelist()
    except (BadZipFile, *_FAULTS):
        return ()


def _stated(head: bytes) -> str | None:
    """The type that the first thing in the archive states, as OpenDocument and EPUB have it."""
    length, extra = struct.unpack("<HH", head[26:30]) if len(head) >= 30 else (0, 0)
    if head[30 : 30 + length] != _NAMED:
        return None
    stated = _STATED.match(head, 30 + length + extra)
    return stated[0].decode("ascii") if stated else None


def _shown(name: str) -> str:
    """It in one short line that hides nothing."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name[-_SHOWN:])


def _runs(name: str) -> bool:
    last = ending(name)
    return last in RUNS or last in HOLDERS
