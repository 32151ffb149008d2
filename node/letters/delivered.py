"""A letter as a mail server delivers it: Return-Path, what was found out of its author, and our own Received
on top (RFC 5321 §4.4, RFC 8601). What is kept has none of them, so that it is what came, byte for byte.
"""

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

from node.letters import render
from node.letters.limits import MAX_HEADER_BYTES

NOBODY: Final = "localhost"
"""Who took it, in rows that do not say."""

_RETURN_PATH: Final = re.compile(
    rb"^return-path[ \t]*:[^\r\n]*(?:(?:\r\n|\r(?!\n)|\n)[ \t][^\r\n]*)*(?:\r\n|\r(?!\n)|\n|\Z)",
    re.IGNORECASE | re.MULTILINE,
)
_BLANK: Final = re.compile(rb"\A[\r\n]|\r\n\r\n|\n\n|\r\r|\n\r")
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9._:\[\]-]")
"""What a client may not call itself in a field of ours."""


async def delivered(
    pieces: AsyncGenerator[bytes, None],
    smtp: Mapping[str, Any] | None,
    arrived: int,
    name: str,
    strip: Callable[[bytes], bytes],
) -> AsyncGenerator[bytes, None]:
    """The message in `pieces` as it is delivered. `smtp` is how it came as Transport.stored said it (None:
    not by SMTP), `arrived` in Unix ms, `name` an id of ours for it; `strip` takes others'
    Authentication-Results out of a header. Raises as `pieces` does.
    """
    async with aclosing(pieces):
        head = b""
        async for piece in pieces:
            head += piece
            if (end := _BLANK.search(head)) or len(head) > MAX_HEADER_BYTES:
                break
        else:
            end = None
        cut = end.end() if end else len(head)
        yield trace(smtp, arrived, name) + strip(_without_path(head[:cut])) + head[cut:]
        async for piece in pieces:
            yield piece


def trace(smtp: Mapping[str, Any] | None, arrived: int, name: str) -> bytes:
    """The fields on top, each folded, with CRLF; none for a letter that did not come by SMTP."""
    if smtp is None:
        return b""
    path = f"Return-Path: <{smtp['sender']}>\r\n".encode()
    authentication: bytes = smtp.get("authentication", b"")
    return path + authentication + _received(smtp, arrived, name)


def _received(smtp: Mapping[str, Any], arrived: int, name: str) -> bytes:
    """RFC 5321 §4.4. Recipients are named where that tells nobody of another (§7.6)."""
    client, recipients = smtp["client"], smtp["recipients"]
    if not smtp["helo"]:
        return b""  # fetched from a mailbox elsewhere, whose server has put its own there
    literal = f"[IPv6:{client}]" if ":" in client else f"[{client}]"
    lines = [
        f"Received: from {_NOT_A_NAME.sub('?', smtp['helo']) or 'unknown'} ({literal})",
        f" by {smtp.get('by') or NOBODY} with {'ESMTPS' if smtp['tls'] else 'ESMTP'} id {name}",
    ]
    lines += [f" for <{recipients[0]}>"] if len(recipients) == 1 else []
    return ("\r\n".join(lines) + ";\r\n " + " ".join(render.date_tokens(arrived)) + "\r\n").encode()


def _without_path(header: bytes) -> bytes:
    """Return-Path is the last server's to say, and that is us."""
    return _RETURN_PATH.sub(b"", header) if b"eturn-" in header.lower() else header
