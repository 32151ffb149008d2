"""Who answers in an IPFS daemon's place too much or something else: one clear fault, and nothing believed."""

import random
from contextlib import suppress
from typing import Final

import pytest
import trio

from node.files.errors import ContentDamaged, KuboAway, KuboLacks
from node.files.kubo import Kubo
from protocol.unixfs import MAX_BLOCK_BYTES, cid_text, node_cid
from tests.kit.badrpc import Request, a_bad_rpc, always, for_ever, says, says_json
from tests.kit.kubos import ASKS, BLOCK, GOOD, every, fault_of


@every
async def test_an_endless_answer(name: str) -> None:
    sent = 0

    async def flood(request: Request) -> None:
        nonlocal sent
        await request.stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b'{"Hash": "' + b"a" * 65_526
        with suppress(trio.BrokenResourceError):
            while True:
                await request.stream.send_all(b"%x\r\n%b\r\n" % (len(piece), piece))
                sent += len(piece)

    fault = await fault_of(flood, ASKS[name])
    assert isinstance(fault, KuboAway)
    assert "does not answer as an IPFS daemon does" in fault.text
    assert sent < 20_000_000  # what the system's buffers hold, too


@pytest.mark.parametrize("size", [10**9, 10**30])
async def test_an_answer_in_one_endless_chunk(size: int) -> None:
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size
    fault = await fault_of(for_ever(start, b"{" * 65_536), ASKS["pin"])
    assert isinstance(fault, KuboAway)


@every
@pytest.mark.parametrize(
    "piece", [b"X-Header: " + b"x" * 1000 + b"\r\n", b"x" * 65_536, b"HTTP/1.1 200 OK", b"\x00" * 1000]
)
async def test_an_endless_head(name: str, piece: bytes) -> None:
    fault = await fault_of(for_ever(b"HTTP/1.1 200 OK\r\n", piece), ASKS[name])
    assert isinstance(fault, KuboAway)


async def test_a_long_answer_is_none() -> None:
    for name, path, most in (("read", "/cat", 5), ("block", "/block/get", MAX_BLOCK_BYTES)):
        whole = says(200, bytes(most + 1), chunked=True)
        assert isinstance(await fault_of(always(whole), ASKS[name]), KuboAway), path


async def test_an_error_page_of_any_length() -> None:
    start = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    fault = await fault_of(for_ever(start, b"5\r\n<br/>\r\n" * 10_000), ASKS["block"])
    assert "has a fault (500)" in fault.text


async def test_what_is_packed_is_not_unpacked() -> None:
    packed = says(200, b"\x1f\x8b\x08\x00", "Content-Encoding: gzip")
    fault = await fault_of(always(packed), ASKS["read"])
    assert "does not answer as an IPFS daemon does" in fault.text


async def test_an_answer_whose_end_could_be_a_broken_line() -> None:
    async def old(request: Request) -> None:
        await request.stream.send_all(b"HTTP/1.0 200 OK\r\n\r\n" + BLOCK[2:])

    assert isinstance(await fault_of(old, ASKS["read"]), KuboAway)


# ---- something else


@every
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"good day",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"5",
        b'"Hash"',
        b"{}",
        b'{"Hash": null, "Pins": null, "Keys": null, "Version": null}',
        b'{"Hash": 5, "Pins": 5, "Keys": 5, "Version": 5}',
        b'{"Hash": "Qm", "Pins": ["Qm"], "Keys": {"Qm": {"Type": "recursive"}}, "Version": []}',
        b'{"Type": "error"}',
        b'{"Type": "error", "Message": {"Hash": 1}}',
        b'{"Message": ["not", "there"], "Type": "error", "Code": 0}',
        b"[" * 60_000,
        b'{"Hash":' * 8_000,
        b"1" * 60_000,
        b'{"Hash": "' + b"\\ud800" * 1000 + b'"}',
        GOOD["/add"].partition(b"\r\n\r\n")[2] * 3,
    ],
    ids=lambda body: repr(body[:20]),
)
@pytest.mark.parametrize("status", [200, 500])
async def test_what_is_no_answer(name: str, body: bytes, status: int) -> None:
    fault = await fault_of(always(says(status, body)), ASKS[name])
    assert isinstance(fault, KuboAway | KuboLacks | ContentDamaged)


@pytest.mark.parametrize("path", ["/pin/add", "/pin/rm"])
async def test_another_cid_than_was_asked_for(path: str) -> None:
    other = always(says_json({"Pins": [cid_text(node_cid(BLOCK))]}))
    assert isinstance(await fault_of(other, ASKS["pin" if path == "/pin/add" else "unpin"]), KuboAway)


@pytest.mark.parametrize("block", [b"", b"another block", BLOCK + b"x", BLOCK[:-1]])
async def test_a_block_that_is_not_what_its_cid_says(block: bytes) -> None:
    fault = await fault_of(always(says(200, block, chunked=True)), ASKS["block"])
    assert isinstance(fault, ContentDamaged)


@pytest.mark.parametrize(
    "trailer", ["", "X-Stream-Error: block was not found locally (offline): ipld: x\r\n"]
)
@pytest.mark.parametrize("length", range(5))
async def test_a_short_file_is_lacking(length: int, trailer: str) -> None:
    short = says(200, BLOCK[2 : 2 + length], chunked=True, trailer=trailer)
    assert isinstance(await fault_of(always(short), ASKS["read"]), KuboLacks)


# ---- by chance


async def test_bent_answers_are_told_or_are_right() -> None:
    """Good answers with bytes changed, doubled and taken away."""
    chance = random.Random(5)

    async def bent(request: Request) -> None:
        if "transfer-encoding" in request.headers:
            await request.body()
        await request.stream.send_all(bend(chance, GOOD[request.path]))

    async with a_bad_rpc(bent) as rpc:
        kubo = Kubo(rpc.api)
        for _ in range(100):
            for name, ask in ASKS.items():
                with suppress(KuboAway, KuboLacks, ContentDamaged):
                    found = await ask(kubo)
                    assert BLOCK == found or name != "block"
                    assert name != "read" or len(found) == 5
                    assert name != "add" or len(found) == 36


BITS: Final = (b"\r\n", b"\r\n\r\n", b"0", b"{", b"\x00", b'"', b"0\r\n\r\n")


def bend(chance: random.Random, answer: bytes) -> bytes:
    data = bytearray(answer)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] = chance.randrange(256)
            case 1:
                del data[place : place + chance.randint(1, 20)]
            case 2:
                data[place:place] = data[place : place + chance.randint(1, 50)]
            case 3:
                data[place:place] = chance.choice(BITS)
    return bytes(data)
