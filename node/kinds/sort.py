"""What a file was found to be, as the worker process says it. Nothing is looked at here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "text", "page", "message", "image", "audio", "video", "font", "document", "archive", "program", "data",
    "empty",
]  # fmt: skip
"""`page` is what a browser may run scripts of, `data` what is not recognised."""

UNKNOWN: Final = "application/octet-stream"
PLAIN: Final = "text/plain"
ZIP: Final = "application/zip"
COMPOUND: Final = "application/x-ole-storage"
"""What a compound file (MS-CFB) is called of which no more is known."""


@dataclass(frozen=True, slots=True)
class Sort:
    """A file's own kind, whatever its name and its sender say.

    `what` is it in a word or two, as in "it is …" ("a program for Windows"), "" where the kind says enough.
    `charset` is of text, "" where it is not known. `macros`: it may hold programs that an office suite
    runs; `inside`: the name of a program in an archive, "" where none was seen.
    """

    media_type: str = UNKNOWN
    kind: Kind = "data"
    what: str = ""
    charset: str = ""
    macros: bool = False
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Want:
    """More of a file is needed to tell: its bytes `start` to `stop`."""

    start: int
    stop: int
