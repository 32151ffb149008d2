"""Which of what a sender says of a file is believed: what makes a finding more exact, and never what a
browser runs.

A text may be called by any other name of a text (`text/csv`), an archive by that of a document in one, a
container of sound and film by the other. All else is what was found.
"""

from __future__ import annotations

import re
from typing import Final

from node.kinds.sort import COMPOUND, PLAIN, ZIP, Sort

_FORM: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
"""RFC 6838 §4.2."""

_ACTIVE: Final = re.compile("html|xml|xsl|script|svg|multipart|cache-manifest|css|x-component")
"""What a browser may run, or let change a page."""

_TEXTS: Final = re.compile(
    r"text/.+|application/(?:json|[a-z0-9.-]+\+json|x-ndjson|pgp-(?:signature|keys|encrypted)|(?:x-)?yaml|toml|sql|mbox)"
    r"|message/(?:rfc822|global|delivery-status|global-delivery-status|disposition-notification|feedback-report)"
)
_ZIPS: Final = re.compile(r"application/(?:vnd\.(?!android).+|.+\+zip)")
_COMPOUNDS: Final = re.compile(r"application/(?:msword|vnd\.(?:ms-.+|visio))")
_CONTAINERS: Final = (
    frozenset(
        (
            "video/mp4",
            "audio/mp4",
            "audio/x-m4a",
            "video/x-m4v",
            "video/quicktime",
            "video/3gpp",
            "audio/3gpp",
        )
    ),
    frozenset(("audio/ogg", "video/ogg", "application/ogg", "audio/opus")),
    frozenset(("video/x-matroska", "audio/x-matroska", "video/webm", "audio/webm")),
    frozenset(("image/tiff", "image/x-adobe-dng", "image/x-canon-cr2")),
    frozenset(("image/heic", "image/heif")),
)
"""What has one form, whatever is in it."""

_REFINED: Final = {PLAIN: _TEXTS, ZIP: _ZIPS, COMPOUND: _COMPOUNDS}


_SHOWN: Final = re.compile(r"image/(?:jpeg|png|gif|webp|avif|bmp)|(?:audio|video)/.+|text/plain")


def shown_inline(media_type: str) -> bool:
    """Whether a browser may show a file of this type, which was found, by itself: nothing in it runs."""
    return _SHOWN.fullmatch(media_type) is not None


def believed(sort: Sort, claim: str) -> str:
    """The media type of a file in which `sort` was found, and of which its sender says `claim`."""
    found, claim = sort.media_type, claim.strip().lower()
    if not _FORM.fullmatch(claim) or _ACTIVE.search(claim):
        return found
    refined = _REFINED.get(found)
    if refined is not None and refined.fullmatch(claim):
        return claim
    if any(found in group and claim in group for group in _CONTAINERS):
        return claim
    return found
