"""A body on its way out: dots stuffed, piece by piece, while the server may already answer (RFC 5321 §4.5.2).

Works around aiosmtplib's own way, which makes three copies of the whole and changes line ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from aiosmtplib import SMTPResponse
from aiosmtplib.protocol import SMTPProtocol

PIECE: Final = 65_536
"""Bytes of a body that are made ready and handed to the socket at a time, whatever the body's size."""


async def send_body(protocol: SMTPProtocol, raw: bytes, seconds: float) -> tuple[SMTPResponse, bool]:
    """Send the body and its end; the server's reply within `seconds`, and whether it came too soon, with the
    body not yet sent: then the connection is of no more use. Raises OSError, SMTPException.
    """
    reply = asyncio.ensure_future(protocol.read_response(timeout=seconds))
    reply.add_done_callback(_looked_at)
    try:
        await asyncio.sleep(0)  # it listens now
        async with asyncio.timeout(seconds):
            for piece in dotted(raw):
                if reply.done():
                    return await reply, True
                protocol.write(piece)
                await _room(protocol, reply)
        return await reply, False
    finally:
        reply.cancel()


def dotted(raw: bytes) -> Iterator[bytes]:
    """The body as DATA wants it, in pieces: dots stuffed, its end marked (RFC 5321 §4.5.2). Every line end
    of `raw` is CRLF.
    """
    start = 0
    while start < len(raw):
        window = min(start + PIECE, len(raw))
        end = raw.rfind(b"\n", start, window) + 1 or window
        piece = raw[start:end].replace(b"\n.", b"\n..")
        begins_line = start == 0 or raw[start - 1 : start] == b"\n"
        yield b"." + piece if begins_line and piece.startswith(b".") else piece
        start = end
    yield b".\r\n" if not raw or raw.endswith(b"\r\n") else b"\r\n.\r\n"


async def _room(protocol: SMTPProtocol, reply: asyncio.Future[SMTPResponse]) -> None:
    """Until the socket takes more, or the server answers though it has not read all."""
    # StreamWriter.drain would be the public way to the same; it ends the connection when it is collected.
    drain = asyncio.ensure_future(protocol._drain_helper())
    try:
        await asyncio.wait((drain, reply), return_when=asyncio.FIRST_COMPLETED)
        if drain.done():
            drain.result()
    finally:
        drain.cancel()


def _looked_at(reply: asyncio.Future[SMTPResponse]) -> None:
    """Its fault is told where it is awaited; where the writing failed first, that is the fault."""
    if not reply.cancelled():
        reply.exception()
