"""IPFS daemons for tests: none at all; one in memory that does what is asked for at once, fails when told to,
and collects its garbage when told to; and a real one's, as jsipfs.py starts it, in the same words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import requests
import trio

from node.files.daemon import Adding
from node.files.errors import KuboAway, KuboLacks
from node.files.kubo import PATIENCE_S, Kubo
from node.files.kubo_words import Health, any_cid
from node.runtime.settings_files import parse_kubo_api
from protocol.unixfs import LEAF_BYTES, Shape, cid_text
from tests.kit.dags import planted


class NoDaemon:
    """Where none is set up."""

    api = "nowhere"

    def adding(self) -> AbstractAsyncContextManager[Adding]:
        raise _none()

    async def read(self, cid: bytes, start: int, length: int) -> bytes:
        raise _none()

    async def block(self, cid: bytes) -> bytes:
        raise _none()

    async def pin(self, cid: bytes, size: int = 0) -> None:
        raise _none()

    async def unpin(self, cid: bytes) -> None:
        raise _none()

    async def pinned(self, cid: bytes) -> bool:
        raise _none()

    async def health(self) -> Health:
        raise _none()


def _none() -> KuboAway:
    return KuboAway("nowhere", "is not there")


@dataclass
class MemoryDaemon:
    """Files by the CID of their root. `before` sees each question and may raise; `away`: nobody answers."""

    files: dict[bytes, bytes] = field(default_factory=dict)
    blocks: dict[bytes, bytes] = field(default_factory=dict)
    pins: set[bytes] = field(default_factory=set)
    away: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    before: Callable[[str], None] = lambda _: None
    api: str = "memory"

    @asynccontextmanager
    async def adding(self) -> AsyncIterator[_Adding]:
        await self._ask("adding")
        yield _Adding(self)

    async def read(self, cid: bytes, start: int, length: int) -> bytes:
        await self._ask("read")
        data = self._of(cid)[start : start + length]
        if len(data) != length:
            raise KuboAway(self.api, "gave less than the file has")
        return data

    async def block(self, cid: bytes) -> bytes:
        await self._ask("block")
        if cid not in self.blocks:
            raise KuboLacks(self.api)
        return self.blocks[cid]

    async def pin(self, cid: bytes, size: int = 0) -> None:
        await self._ask("pin")
        self._of(cid)
        self.pins.add(cid)

    async def unpin(self, cid: bytes) -> None:
        await self._ask("unpin")
        self.pins.discard(cid)

    async def pinned(self, cid: bytes) -> bool:
        await self._ask("pinned")
        return cid in self.pins

    async def health(self) -> Health:
        await self._ask("health")
        return Health("0.1")

    def collect(self) -> None:
        """Its garbage collection: what has no pin is gone."""
        for cid in set(self.files) - self.pins:
            self.lose(cid)

    def lose(self, cid: bytes) -> None:
        """This file, with its blocks."""
        for block, _ in _tree(self.files.pop(cid)):
            self.blocks.pop(block, None)

    def add(self, data: bytes) -> bytes:
        """Take a file in; its CID."""
        tree = _tree(data)
        self.blocks.update(tree)
        self.files[tree[-1][0]] = data
        return tree[-1][0]

    async def _ask(self, what: str) -> None:
        await trio.lowlevel.checkpoint()
        self.asked[what] += 1
        self.before(what)
        if self.away:
            raise KuboAway(self.api, "does not answer")

    def _of(self, cid: bytes) -> bytes:
        if cid not in self.files:
            raise KuboLacks(self.api)
        return self.files[cid]


class _Adding:
    def __init__(self, daemon: MemoryDaemon) -> None:
        self._daemon = daemon
        self._data = bytearray()

    async def write(self, data: bytes) -> None:
        await self._daemon._ask("write")
        self._data += data

    async def finish(self) -> bytes:
        await self._daemon._ask("finish")
        return self._daemon.add(bytes(self._data))


def _tree(data: bytes) -> list[tuple[bytes, bytes]]:
    """All blocks of a file with their CIDs, the root last."""
    shape = Shape(len(data))
    leaves = [data[start : start + LEAF_BYTES] for start in range(0, len(data), LEAF_BYTES)] or [b""]
    cids = [shape.cid(number, leaf) for number, leaf in enumerate(leaves)]
    nodes, _ = planted(shape, cids)
    inner = [(shape.cid(shape.leaves + number, node), node) for number, node in enumerate(nodes)]
    return [*zip(cids, leaves, strict=True), *inner]


class RealDaemon(Kubo):
    """A real one, and what only tests ask it for."""

    def __init__(self, api: str) -> None:
        super().__init__(api)
        where = parse_kubo_api(api)
        self._url = f"http://{where.host}:{where.port}/api/v0"

    @property
    def pins(self) -> set[bytes]:
        return {any_cid(cid) for cid in self._post("pin/ls", type="recursive").json()["Keys"]}

    def collect(self) -> None:
        self._post("repo/gc")

    def lose(self, cid: bytes) -> None:
        self._post("pin/rm", arg=cid_text(cid))
        self.collect()

    def clear(self) -> None:
        """Nothing is pinned and nothing is there."""
        for cid in self.pins:
            self.lose(cid)

    def _post(self, what: str, **params: str) -> requests.Response:
        answer = requests.post(f"{self._url}/{what}", params=params, timeout=PATIENCE_S)
        answer.raise_for_status()
        return answer
