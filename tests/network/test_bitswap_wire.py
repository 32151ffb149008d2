"""What strangers send as Bitswap parses or raises our typed fault, and takes neither long nor much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.bitswap.pb.bitswap_pb2 import Message

from node.network import limits
from node.network.bitswap_wire import (
    Heard,
    Want,
    encode_block,
    encode_cancels,
    encode_presences,
    encode_wants,
    parse,
)
from protocol.errors import RemoteProtocolError
from protocol.unixfs import DAG_PB, RAW, node_cid, raw_cid
from tests.kit.hostile import damaged, parses_or_refuses

BLOCK = b"some bytes"
CIDS = (raw_cid(BLOCK), node_cid(BLOCK))
LARGE = encode_block(CIDS[0], bytes(limits.MAX_WANTS_FRAME))


def mixed() -> bytes:
    """A message with some of everything."""
    message = Message(blocks=[b"of 1.0.0"], pendingBytes=7)
    message.wantlist.entries.add(block=CIDS[0], priority=5, wantType="Have", sendDontHave=True)
    message.wantlist.entries.add(block=CIDS[1], priority=-1)
    message.wantlist.entries.add(block=b"\x12\x20" + bytes(32), cancel=True)
    message.wantlist.full = True
    message.payload.add(prefix=RAW, data=BLOCK)
    message.payload.add(prefix=b"", data=b"")
    message.blockPresences.add(cid=CIDS[0], type="Have")
    message.blockPresences.add(cid=CIDS[1], type="DontHave")
    return message.SerializeToString()


@given(st.binary(max_size=600) | damaged(mixed()) | st.binary(max_size=60).map(lambda tail: LARGE + tail))
def test_any_message_parses_or_is_a_remote_fault(data: bytes) -> None:
    parses_or_refuses(parse, data)


@given(damaged(LARGE))
def test_any_large_message_parses_or_is_a_remote_fault(data: bytes) -> None:
    parses_or_refuses(parse, data)


def test_all_parts_of_a_message_are_read() -> None:
    expected = Heard(
        (Want(CIDS[0], block=False, tell=True), Want(CIDS[1], block=True, tell=False)),
        (b"\x12\x20" + bytes(32),),
        True,
        ((RAW, BLOCK), (b"", b"")),
        (CIDS[1],),
    )
    assert parse(mixed()) == expected


def test_what_we_send_parses_back() -> None:
    asked = Heard(tuple(Want(cid, block=True, tell=True) for cid in CIDS))
    assert parse(encode_wants(CIDS)) == asked
    assert parse(encode_cancels(CIDS)) == Heard(cancels=CIDS)
    assert parse(encode_block(CIDS[1], BLOCK)) == Heard(blocks=((DAG_PB, BLOCK),))
    for size in (0, 1, 100, 127, 128, 16_383, 16_384, limits.MAX_BLOCK):
        by_protobuf = Message(payload=[Message.Block(prefix=DAG_PB, data=bytes(size))])
        assert Message.FromString(encode_block(CIDS[1], bytes(size))) == by_protobuf
    assert parse(encode_presences([(CIDS[0], True), (CIDS[1], False)])) == Heard(lacks=(CIDS[1],))


def test_a_kind_of_want_that_is_not_known_is_passed_over() -> None:
    message = Message()
    message.wantlist.entries.add(block=CIDS[0]).ParseFromString(b"\x0a\x01x\x20\x05")
    assert parse(message.SerializeToString()) == Heard()


def test_wants_beyond_the_limit_are_counted_and_not_taken() -> None:
    cids = [number.to_bytes(2, "big") for number in range(limits.MAX_WANTS_PER_PEER + 3)]
    heard = parse(encode_wants(cids))
    assert ([want.cid for want in heard.wants], heard.dropped) == (cids[:-3], 3)


def test_a_full_wantlist_of_kubo_fits_into_a_message_of_one_that_was_asked_for_nothing() -> None:
    message = Message()
    for number in range(limits.MAX_WANTS_PER_PEER):
        cid = raw_cid(number.to_bytes(2, "big"))
        message.wantlist.entries.add(block=cid, priority=2**31 - 1 - number, sendDontHave=True)
    assert len(message.SerializeToString()) <= limits.MAX_WANTS_FRAME


@pytest.mark.parametrize(
    "message",
    [
        b"\x1a\x00" * (limits.MAX_PARTS + 1),
        b"\x22\x00" * (limits.MAX_PARTS + 1),
        b"\x12\x00" * (limits.MAX_PARTS + 1),
        b"\x28\x01" * (limits.MAX_PARTS + 1),
        b"\xfa\x01\x00" * (limits.MAX_PARTS + 1),
        LARGE + b"\x0a\x82\x80\x04" + b"\x0a\x00" * (limits.MAX_WANTS_FRAME // 2 + 1),
        LARGE + (b"\x0a\xfa\x01" + b"\x0a\x00" * 125) * (limits.MAX_WANTS_FRAME // 250),
    ],
    ids=["blocks", "presences", "old blocks", "numbers", "unknown", "wants", "wants in pieces"],
)
def test_parts_without_number_are_refused_before_protobuf_sees_them(
    message: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("node.network.bitswap_wire.Message")
    with pytest.raises(RemoteProtocolError, match="too many parts"):
        parse(message)


def test_as_many_blocks_as_are_allowed_are_read() -> None:
    assert parse(b"\x1a\x00" * limits.MAX_PARTS).blocks == ((b"", b""),) * limits.MAX_PARTS


@pytest.mark.parametrize("tail", [b"\xff" * 11, b"\x0b\x0c", b"\x0f", b"\x1a", b"\x1a\x05"])
def test_a_large_message_with_a_broken_end_is_refused(tail: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse(LARGE + tail)


def test_a_block_has_two_mebibytes_at_most() -> None:
    assert parse(encode_block(CIDS[0], bytes(limits.MAX_BLOCK))).blocks == ((RAW, bytes(limits.MAX_BLOCK)),)
    with pytest.raises(RemoteProtocolError, match="over 2 MiB"):
        parse(encode_block(CIDS[0], bytes(limits.MAX_BLOCK + 1)))


@pytest.mark.parametrize("size", [0, limits.MAX_CID + 1])
def test_a_cid_of_no_possible_length_is_refused(size: int) -> None:
    for message in (
        encode_wants([bytes(size)]),
        encode_cancels([bytes(size)]),
        encode_presences([(bytes(size), False)]),
    ):
        with pytest.raises(RemoteProtocolError, match="length"):
            parse(message)
