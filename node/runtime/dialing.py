"""Connected sockets made in trio for who speaks over them elsewhere: in a thread, or on another loop.

Which addresses may be dialled, and what is said over them, is for those who ask.
"""

import socket
from typing import Final

import trio

CONNECT_S: Final = 30.0
"""Seconds to connect, all of a name's addresses together."""


async def dial(host: str, port: int) -> socket.socket:
    """By trio, which tries IPv6 and IPv4 side by side and whose look-up of the name can be left. Raises
    TimeoutError after CONNECT_S, socket.gaierror for a name that is not found, OSError.
    """
    try:
        with trio.fail_after(CONNECT_S):
            stream = await trio.open_tcp_stream(host, port)
    except trio.TooSlowError:
        raise TimeoutError from None
    return handed_over(stream)


def handed_over(stream: trio.SocketStream) -> socket.socket:
    """The stream's socket, which is nobody's from here."""
    return socket.socket(fileno=stream.socket.detach())
