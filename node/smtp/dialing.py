"""Connected sockets for the asyncio thread, made in trio: by name, or to one of several addresses.

What is said over them is transport.py's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Final

import trio

from node.runtime.dialing import CONNECT_S, dial, handed_over
from node.smtp.answer import Way, WayFault

HEAD_START_S: Final = 0.25
"""Seconds that each address has for itself before the next is tried beside it (RFC 8305 §5)."""


async def dial_name(host: str, port: int) -> socket.socket:
    """To any of its addresses, within CONNECT_S. Raises WayFault."""
    try:
        return await dial(host, port)
    except socket.gaierror as fault:
        raise WayFault(Way.NO_HOST, fault.strerror or "") from fault
    except OSError as fault:
        raise WayFault(Way.UNREACHABLE, _reason(fault)) from fault


async def dial_one_of(addresses: Sequence[str], port: int) -> socket.socket:
    """To the first of these IP addresses that answers within CONNECT_S, in their order of preference. Raises
    WayFault.
    """
    found: list[trio.SocketStream] = []
    faults: list[OSError] = []

    async def attempt(address: str, scope: trio.CancelScope, failed: trio.Event) -> None:
        try:
            stream = await trio.open_tcp_stream(address, port)
        except OSError as fault:
            faults.append(fault)
            failed.set()
        else:
            found.append(stream)
            scope.cancel()

    try:
        with trio.move_on_after(CONNECT_S):
            async with trio.open_nursery() as nursery:
                for address in addresses:
                    failed = trio.Event()
                    nursery.start_soon(attempt, address, nursery.cancel_scope, failed)
                    with trio.move_on_after(HEAD_START_S):
                        await failed.wait()
    except BaseException:
        _close(found)
        raise
    if not found:
        raise WayFault(Way.UNREACHABLE, _reason(faults[0]) if faults else "")
    _close(found[1:])
    return handed_over(found[0])


def _close(streams: Sequence[trio.SocketStream]) -> None:
    for stream in streams:
        stream.socket.close()


def _reason(fault: OSError) -> str:
    """What the system says of one of the addresses tried."""
    inner: BaseException | None = fault.__cause__
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    found = inner if isinstance(inner, OSError) else fault
    return os.strerror(found.errno) if found.errno else ""
