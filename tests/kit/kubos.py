"""Every way to ask an IPFS daemon, a good answer to each, and what is looked at in a fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from node.files.errors import ContentDamaged, KuboAway
from node.files.kubo import PATIENCE_S, Kubo
from node.runtime.errors import NodeError
from protocol.unixfs import cid_text, raw_cid
from tests.kit.badrpc import Answer, BadRpc, Request, a_bad_rpc, always, says, says_json

BLOCK: Final = b"a block"
CID: Final = raw_cid(BLOCK)
TEXT: Final = cid_text(CID)
SECRET: Final = "bearer:hunter2"
HTML: Final = b"<html><body>" + b"<p>go away</p>" * 100_000

Ask = Callable[[Kubo], Awaitable[Any]]


async def add(kubo: Kubo) -> bytes:
    async with kubo.adding() as adding:
        await adding.write(BLOCK)
        return await adding.finish()


ASKS: Final[Mapping[str, Ask]] = {
    "add": add,
    "read": lambda kubo: kubo.read(CID, 2, 5),
    "block": lambda kubo: kubo.block(CID),
    "pin": lambda kubo: kubo.pin(CID),
    "unpin": lambda kubo: kubo.unpin(CID),
    "pinned": lambda kubo: kubo.pinned(CID),
    "health": lambda kubo: kubo.health(),
}
GOOD: Final[Mapping[str, bytes]] = {
    "/add": says_json({"Name": "bytes", "Hash": TEXT, "Size": "7"}),
    "/cat": says(200, BLOCK[2:], "X-Stream-Output: 1", chunked=True),
    "/block/get": says(200, BLOCK, chunked=True),
    "/pin/add": says_json({"Pins": [TEXT]}),
    "/pin/rm": says_json({"Pins": [TEXT]}),
    "/pin/ls": says_json({"Keys": {TEXT: {"Type": "recursive", "Name": ""}}}),
    "/version": says_json({"Version": "0.35.0", "Commit": "", "Repo": "16"}),
    "/id": says_json({"ID": "12D3KooW", "AgentVersion": "kubo/0.35.0/", "Addresses": None}),
}

every: Final = pytest.mark.parametrize("name", ASKS)
"""The mark of tests of each."""


async def good(request: Request) -> None:
    """Answers what is asked."""
    await always(GOOD[request.path])(request)


async def fault_of(answer: Answer, ask: Ask, secret: str | None = SECRET) -> NodeError:
    """What a person is told."""
    async with a_bad_rpc(answer) as rpc:
        with pytest.raises(NodeError) as caught:
            await ask(Kubo(rpc.api, lambda: secret or ""))
    fault = caught.value
    assert "hunter2" not in str(fault)
    assert rpc.api in fault.text or isinstance(fault, ContentDamaged)
    assert len(fault.text) < 400
    assert fault.text.isprintable()
    assert fault.remedy
    return fault


async def time_passes(clock: MockClock, rpc: BadRpc) -> None:
    """More than anybody waits, again and again, until the line is cut."""
    while not rpc.left.is_set():
        await wait_all_tasks_blocked(0.01)
        clock.jump(PATIENCE_S + 1)


async def expect(words: str, ask: Callable[[], Awaitable[Any]]) -> None:
    """That asking raises KuboAway with these words."""
    with pytest.raises(KuboAway, match=words):
        await ask()
