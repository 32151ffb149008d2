"""The messages of Bitswap 1.2.0 (specs.ipfs.tech/bitswap-protocol): bytes to records and back. No
blocks are kept or hashed here, and nothing is sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from libp2p.bitswap.pb.bitswap_pb2 import Message

from node.network.limits import MAX_BLOCK, MAX_CID, MAX_PARTS, MAX_WANTS_FRAME, MAX_WANTS_PER_PEER
from protocol.errors import RemoteProtocolError
from protocol.status import TOO_LARGE
from protocol.unixfs import PREFIX_BYTES
from protocol.varint import encode_varint

WANT_BLOCK: Final = Message.Wantlist.Block
WANT_HAVE: Final = Message.Wantlist.Have
HAVE: Final = Message.Have
DONT_HAVE: Final = Message.DontHave
"""Protobuf's names, which are slow to look up: once is enough."""
PAYLOAD: Final = 3 << 3 | 2
"""The protobuf tag of a block in a message."""
PREFIX: Final = 1 << 3 | 2
DATA: Final = 2 << 3 | 2
"""Those of its parts."""
VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
"""Protobuf's wire types."""
MAX_VARINT: Final = 10
"""Bytes of a varint of 64 bits."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a peer wants to have: the block itself, or to know that it is here. `tell` if it wants to hear
    of one that is not here.
    """

    cid: bytes
    block: bool
    tell: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """One message. `full` says that `wants` are all there are; `blocks` are (prefix of the CID, data);
    `lacks` is what the peer says that it has not; `dropped` counts wants beyond MAX_WANTS_PER_PEER.
    """

    wants: tuple[Want, ...] = ()
    cancels: tuple[bytes, ...] = ()
    full: bool = False
    blocks: tuple[tuple[bytes, bytes], ...] = ()
    lacks: tuple[bytes, ...] = ()
    dropped: int = 0


def encode_wants(cids: Iterable[bytes]) -> bytes:
    """Ask for blocks, and to be told of each that is not there."""
    message = Message()
    for cid in cids:
        message.wantlist.entries.add(block=cid, priority=1, sendDontHave=True)
    return message.SerializeToString()


def encode_cancels(cids: Iterable[bytes]) -> bytes:
    """Say that these are wanted no longer."""
    message = Message()
    for cid in cids:
        message.wantlist.entries.add(block=cid, cancel=True)
    return message.SerializeToString()


def encode_block(cid: bytes, block: bytes) -> bytes:
    """One block. Put together by hand: protobuf copies it three times."""
    prefix, size = bytes((PREFIX, PREFIX_BYTES)) + cid[:PREFIX_BYTES], encode_varint(len(block))
    part = (encode_varint(len(prefix) + 1 + len(size) + len(block)), prefix, bytes((DATA,)), size, block)
    return b"".join((bytes((PAYLOAD,)), *part))


def encode_presences(presences: Iterable[tuple[bytes, bool]]) -> bytes:
    """What is here, and what is not."""
    message = Message()
    for cid, here in presences:
        message.blockPresences.add(cid=cid, type=HAVE if here else DONT_HAVE)
    return message.SerializeToString()


def parse(data: bytes) -> Heard:
    """A message from a stranger. Raises RemoteProtocolError."""
    _bound(data)
    message = Message()
    try:
        message.ParseFromString(data)
    except (DecodeError, ValueError) as error:
        raise RemoteProtocolError("malformed Bitswap message") from error
    entries = message.wantlist.entries[:MAX_WANTS_PER_PEER]
    return Heard(
        tuple(
            Want(_cid(entry.block), entry.wantType == WANT_BLOCK, entry.sendDontHave)
            for entry in entries
            if not entry.cancel and entry.wantType in (WANT_BLOCK, WANT_HAVE)
        ),
        tuple(_cid(entry.block) for entry in entries if entry.cancel),
        message.wantlist.full,
        tuple((block.prefix, _data(block.data)) for block in message.payload),
        tuple(_cid(told.cid) for told in message.blockPresences if told.type == DONT_HAVE),
        len(message.wantlist.entries) - len(entries),
    )


def _cid(cid: bytes) -> bytes:
    if not 0 < len(cid) <= MAX_CID:
        raise RemoteProtocolError("a CID of no possible length")
    return cid


def _data(block: bytes) -> bytes:
    if len(block) > MAX_BLOCK:
        raise RemoteProtocolError("a block over 2 MiB", TOO_LARGE)
    return block


def _bound(data: bytes) -> None:
    """Refuse a message of too many parts, or a large one that is not mostly blocks: two million empty
    parts fit in 4 MiB, for which protobuf takes 0.2 s and 150 MB.
    """
    at = parts = others = 0
    while at < len(data):
        begun = at
        tag, at = _varint(data, at)
        at = _skip(data, tag, at)
        parts += 1
        others += at - begun if tag != PAYLOAD else 0
        if parts > MAX_PARTS or others > MAX_WANTS_FRAME:
            raise RemoteProtocolError("a Bitswap message of too many parts", TOO_LARGE)


def _skip(data: bytes, tag: int, at: int) -> int:
    """Where the field ends whose value begins at `at`."""
    kind = tag & 7
    if kind == BYTES:
        length, at = _varint(data, at)
        return at + length
    if kind == VARINT:
        return _varint(data, at)[1]
    if kind in (FIXED32, FIXED64):
        return at + (4 if kind == FIXED32 else 8)
    raise RemoteProtocolError("malformed Bitswap message")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint and where it ends."""
    value = 0
    for place, byte in enumerate(data[at : at + MAX_VARINT]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise RemoteProtocolError("malformed Bitswap message")
