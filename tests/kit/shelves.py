"""What a counterpart made by hand serves, and the letters in which it refers to that, truly or not."""

from __future__ import annotations

import hashlib
import random
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final

import trio

from protocol.letter import Inner
from protocol.offer import Result
from protocol.place import Place
from protocol.stream import ContentRef, chunk_size, encrypt_chunk, padded_size, sealed_size
from protocol.unixfs import Shape, reference_of
from tests.kit.client import Client
from tests.kit.houses import House, Street

KEY: Final = bytes(range(32))
SIZE: Final = 600_000
DATA: Final = random.Random(7).randbytes(SIZE)


@dataclass
class Shelf:
    """What a client serves: blocks by CID; `stalls` says nothing to those."""

    blocks: dict[bytes, bytes] = field(default_factory=dict)
    stalls: set[bytes] = field(default_factory=set)
    asked: list[bytes] = field(default_factory=list)

    async def size(self, cid: bytes) -> int | None:
        block = await self.read(cid)
        return None if block is None else len(block)

    async def read(self, cid: bytes) -> bytes | None:
        await trio.lowlevel.checkpoint()
        self.asked.append(cid)
        if cid in self.stalls:
            await trio.sleep_forever()
        return self.blocks.get(cid)


def tree(data: bytes, key: bytes = KEY) -> tuple[dict[bytes, bytes], bytes]:
    """The blocks of a file as protocol.md §7 has them, and its root."""
    padded = padded_size(len(data))
    shape, plain = Shape(sealed_size(padded)), data + bytes(padded - len(data))
    cids: list[bytes] = []
    blocks = {}
    position = 0
    for number in range(shape.blocks):
        if shape.is_leaf(number):
            length = chunk_size(number, padded)
            block = encrypt_chunk(key, number, padded, plain[position : position + length])
            position += length
        else:
            block = shape.encode(number, [cids[child] for child in shape[number].children])
        cids.append(shape.cid(number, block))
        blocks[cids[-1]] = block
    return blocks, cids[-1]


def blake2b(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def ref(data: bytes, root: bytes, **changes: Any) -> ContentRef:
    """A reference that is true but for the changes."""
    true = ContentRef(
        "x.bin", "application/octet-stream", len(data), blake2b(data), reference_of(root), Place(0), KEY
    )
    return replace(true, **changes)


@dataclass
class Scene:
    """Bob has accepted carol, who is made by hand and serves what is on her shelf."""

    street: Street
    bob: House
    carol: Client
    shelf: Shelf

    async def send(self, *refs: ContentRef, message: bytes = b"", whole: bytes | None = None) -> str:
        """A letter with these references; its last answer. `whole` is the message it is said to be."""
        head = f"From: {self.carol.mailbox}\r\nSubject: bad\r\nContent-Disposition: attachment\r\n\r\n"
        raw = message or head.encode()
        placed = [replace(one, place=Place(len(raw))) if one.place == Place(0) else one for one in refs]
        inner = self.carol.inner(
            self.bob.record,
            raw,
            refs=tuple(placed),
            message_hash=blake2b(raw + DATA if whole is None else whole),
        )
        return await self.deliver(inner)

    async def deliver(self, inner: Inner) -> str:
        key = self.carol.delivery_key(self.bob.record, self.bob.wire.peer_id)
        envelope = self.carol.seal(self.carol.sign(inner), self.bob.record)
        answer = (await self.carol.deliver(self.bob.peer, envelope, key=key))[-1]
        await self.street.quiet()
        assert isinstance(answer, Result)
        return answer.status.code

    async def shown(self, subject: str = "bad") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.bob.read(subject))["attachments"]
        return found

    async def saved(self, n: int = 1) -> bytes:
        (row, *_) = self.bob.owner.mailbox.list()
        found = await self.bob.owner.mailbox.attachment(bytes.fromhex(row["id"]), n)
        async with aclosing(found.source) as pieces:
            return b"".join([piece async for piece in pieces])


async def set_scene(street: Street, bob: House) -> Scene:
    carol = street.client()
    await bob.owner.handshakes.accept(carol.address)
    await street.quiet()
    shelf = Shelf()
    wire: Any = carol.network
    wire.bitswap.serve(shelf)
    return Scene(street, bob, carol, shelf)
