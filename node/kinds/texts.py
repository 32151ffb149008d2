"""Text, and what among it is more than text to somebody: pages, scripts. All of it is `text/plain`: what a
browser would run is never called by its name.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from node.kinds.sort import PLAIN, Sort

_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
"""What no text has: the binary data bytes of WHATWG's MIME Sniffing Standard (§3)."""

_BINARY_TEXT: Final = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\ufffe\uffff]")
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
_LOOKED: Final = 4_096
"""Bytes of its beginning by which a text is told from a page or a script."""

_OPENING: Final = re.compile(
    r"(?:\s|<\?[^>]*>|<!--.*?-->|<!doctype (?!html)[^>\[]*(?:\[[^\]]*\]\s*)?>)*", re.DOTALL | re.IGNORECASE
)
"""What may stand before a page's first element, or what says that it is one."""

_PAGE: Final = re.compile(
    r"<(?:!doctype html|html|head|body|script|iframe|style|title|meta|link|div|table|font|h1)[\s/>]",
    re.IGNORECASE,
)
_DRAWING: Final = re.compile(r"<(?:\w{1,20}:)?svg[\s/>]", re.IGNORECASE)

_SHORTCUT: Final = re.compile(r"\s*(?:[#;].*\n\s*)*\[(?:Desktop Entry|InternetShortcut)\]", re.IGNORECASE)

_DOCUMENTS: Final = (
    ("%PDF-", "application/pdf", "a PDF document"),
    ("{\\rtf", "application/rtf", ""),
    ("%!PS", "application/postscript", ""),
)
"""Documents that are written in letters."""


def is_binary(head: bytes) -> bool:
    """Whether a file that begins so is no text, whatever the charset."""
    return _BINARY.search(head) is not None


def text(head: bytes, *, whole: bool) -> Sort | None:
    """What the text is that begins so; None for what is none. `whole`: there is no more of it."""
    if head.startswith(_WIDE):
        wide = _decoded(head, "utf-16", whole=whole)
        if wide is not None and not _BINARY_TEXT.search(wide):
            return _text(wide, "utf-16")
    if is_binary(head):
        return None
    shown = _decoded(head, "utf-8", whole=whole)
    return _text(shown or head.decode("latin-1"), "" if shown is None else "utf-8")


def _text(shown: str, charset: str) -> Sort:
    shown = shown[:_LOOKED].removeprefix("\ufeff")
    for start, media_type, what in _DOCUMENTS:
        if shown.startswith(start):
            return Sort(media_type, "document", what)
    if shown.startswith("#!"):
        return Sort(PLAIN, "program", "a script", charset)
    if _SHORTCUT.match(shown):
        return Sort(PLAIN, "program", "a shortcut, which can start any program", charset)
    opening = _OPENING.match(shown)
    start_of_page = opening.end() if opening else 0
    if _PAGE.match(shown, start_of_page):
        return Sort(PLAIN, "page", "a web page", charset)
    if _DRAWING.match(shown, start_of_page):
        return Sort(PLAIN, "page", "a drawing that can hold scripts (SVG)", charset)
    return Sort(PLAIN, "text", "", charset)


def _decoded(head: bytes, charset: str, *, whole: bool) -> str | None:
    """In this charset, but for a character that is cut off at the end of what is not whole; None where it
    does not fit.
    """
    try:
        return codecs.getincrementaldecoder(charset)().decode(head, whole)
    except UnicodeDecodeError:
        return None
