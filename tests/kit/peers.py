"""Programs of others that tests talk to (scripts/peers gets them): where they are, the mark of tests that
need one, and how its server is waited for.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import Final

import pytest
import trio

SBIN: Final = "/usr/sbin"
"""Where Debian has daemons, and not everybody's PATH leads."""

START_S: Final = 20.0
"""Seconds that a daemon has until it greets."""

STOP_S: Final = 15.0
"""Seconds that a daemon has until it is gone."""


def needs(why_not: str) -> pytest.MarkDecorator:
    """The mark of tests that are skipped for this reason; "": they run."""
    return pytest.mark.skipif(bool(why_not), reason=why_not)


def why_no_daemon(program: str, name: str) -> str:
    """Why a daemon that changes its user can't run here; "" where it can."""
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SBIN}") is None:
        return f"there is no {name} here (scripts/peers gets one)"
    if os.geteuid() != 0:
        return f"{name} needs root to start"
    return ""


async def greeted(port: int, greeting: bytes, host: str = "127.0.0.1") -> None:
    """Until the server that was started there greets with these words."""
    with trio.fail_after(START_S):
        while not await _greets(host, port, greeting):  # noqa: ASYNC110 - a process has no event for us
            await trio.sleep(0.02)


async def _greets(host: str, port: int, greeting: bytes) -> bool:
    with suppress(OSError):
        async with await trio.open_tcp_stream(host, port) as stream:
            return (await stream.receive_some(512)).startswith(greeting)
    return False
