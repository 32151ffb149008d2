"""Everything else by its first bytes: what the library `filetype` knows, by kinds, and what it lacks."""

from __future__ import annotations

from typing import Final

from node.kinds.sort import UNKNOWN, Kind, Sort

_HEAD: Final = 8_192
"""Bytes that the library looks at."""

_RENAMED: Final = {
    "application/font-sfnt": "font/sfnt",
    "application/font-woff": "font/woff",
    "application/x-rar-compressed": "application/vnd.rar",
    "audio/x-flac": "audio/flac",
    "image/jpx": "image/jp2",
    "image/x-icon": "image/vnd.microsoft.icon",
}
"""What the library calls otherwise than IANA does, or than is usual."""

_ARCHIVES: Final = frozenset(
    f"application/{name}"
    for name in (
        "gzip", "vnd.ms-cab-compressed", "vnd.rar", "x-7z-compressed", "x-brotli", "x-bzip2", "x-compress",
        "x-iso9660-image", "x-lz4", "x-lzip", "x-lzop", "x-tar", "x-unix-archive", "x-xz", "zip", "zstd",
    )
)  # fmt: skip
_DOCUMENTS: Final = frozenset({"application/pdf", "application/postscript", "application/rtf"})
_PROGRAMS: Final = {"application/x-shockwave-flash": "a program for Flash"}
_KINDS: Final[dict[str, Kind]] = {"image": "image", "audio": "audio", "video": "video", "font": "font"}

_PDF_WITHIN: Final = 1_024
"""Bytes within which readers look for the beginning of a PDF."""

_DISC: Final = (32_769, b"CD001")
_FTYP: Final = (4, b"ftyp")
_PICTURES: Final = {b"hei": "image/heic", b"hev": "image/heic", b"mif": "image/heif", b"avi": "image/avif"}
"""Beginnings of brands by which a picture is told from a film in the same container."""


def by_signature(head: bytes) -> Sort | None:
    """What a file is that begins so; None where nobody knows."""
    media_type = _known(head) or _more(head)
    if media_type is None:
        return None
    if media_type in _PROGRAMS:
        return Sort(media_type, "program", _PROGRAMS[media_type])
    what = {"application/pdf": "a PDF document", "application/x-iso9660-image": "a disc image"}.get(
        media_type, ""
    )
    return Sort(media_type, kind_of(media_type), what)


def kind_of(media_type: str) -> Kind:
    """The kind that a media type is of."""
    if media_type in _ARCHIVES:
        return "archive"
    if media_type in _DOCUMENTS:
        return "document"
    if media_type == "application/dicom":
        return "image"
    return _KINDS.get(media_type.partition("/")[0], "data")


def _known(head: bytes) -> str | None:
    import filetype  # in the worker only

    found = filetype.guess(head[:_HEAD])
    if found is None or found.mime == UNKNOWN:
        return None
    if found.extension == "woff2":
        return "font/woff2"
    return _RENAMED.get(found.mime, str(found.mime))


def _more(head: bytes) -> str | None:
    if b"%PDF-" in head[:_PDF_WITHIN]:
        return "application/pdf"
    at, mark = _FTYP
    if head[at : at + len(mark)] == mark:
        return _PICTURES.get(head[8:11], "video/mp4")
    at, mark = _DISC
    return "application/x-iso9660-image" if head[at : at + len(mark)] == mark else None
