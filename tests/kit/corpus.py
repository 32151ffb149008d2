"""The real mails of tests/corpus as SMTP carries them. What they are and whose is told in its README."""

import re
from functools import cache
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parents[1] / "corpus"

_NO_MAILS: Final = frozenset({"licences"})

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


@cache
def mails() -> list[tuple[str, bytes]]:
    """Every mail as (folder/file, bytes), with CRLF at each line's end and at its own, in one fixed order.

    Files keep LF where their project does; a mail program turns those into CRLF when it sends, and so it is
    these bytes that have to come back.
    """
    files = sorted(path for path in CORPUS.glob("*/*") if path.parent.name not in _NO_MAILS)
    return [(path.relative_to(CORPUS).as_posix(), with_crlf(path.read_bytes())) for path in files]


def with_crlf(raw: bytes) -> bytes:
    """The lines of a mail as they go over SMTP (RFC 5321 §2.3.7)."""
    told = _LINE_END.sub(b"\r\n", raw)
    return told if told.endswith(b"\r\n") else told + b"\r\n"
