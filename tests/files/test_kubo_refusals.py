"""What an IPFS daemon refuses, and who is told what of it."""

import pytest

from node.files.errors import KuboAway, KuboLacks
from node.files.kubo import Kubo
from tests.kit.badrpc import Request, a_bad_rpc, always, refuses, says, says_json
from tests.kit.kubos import ASKS, CID, GOOD, HTML, SECRET, TEXT, every, fault_of, good


@every
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("secret", [SECRET, "basic:me:hunter2", None])
async def test_another_secret_is_wanted(name: str, status: int, secret: str | None) -> None:
    denied = always(says(status, b"Kubo RPC Access Denied: " + HTML, "Content-Type: text/plain"))
    fault = await fault_of(denied, ASKS[name], secret)
    assert isinstance(fault, KuboAway)
    assert f"{'refuses the' if secret else 'wants a'} secret" in fault.text
    assert "mailio config set --secret files.kubo_api" in fault.remedy
    assert "bearer:TOKEN or basic:USER:PASSWORD" in fault.remedy


@every
@pytest.mark.parametrize("status", [400, 404, 405, 429, 500, 502, 503])
async def test_other_refusals(name: str, status: int) -> None:
    fault = await fault_of(always(says(status, HTML, "Content-Type: text/html")), ASKS[name])
    assert isinstance(fault, KuboAway)
    assert f"({status})" in fault.text
    if status in (404, 405):
        assert "mailio config set files.kubo_api" in fault.remedy


@every
@pytest.mark.parametrize("code", [0, 1])
async def test_what_kubo_refuses_it_says_why(name: str, code: int) -> None:
    message = f"repo is\tfull of {TEXT} \x1b[31m" + "x " * 10_000
    fault = await fault_of(
        always(says_json({"Message": message, "Code": code, "Type": "error"}, 500)), ASKS[name]
    )
    assert "can't do it: repo is full of … [31m" in fault.text
    assert TEXT not in fault.text


@pytest.mark.parametrize("name", ["read", "block", "pin"])
async def test_what_kubo_lacks(name: str) -> None:
    message = f"pin: block was not found locally (offline): ipld: could not find {TEXT}"
    assert isinstance(await fault_of(always(refuses(message)), ASKS[name]), KuboLacks)


@pytest.mark.parametrize("message", ["not pinned or pinned indirectly", f"path '{TEXT}' is not pinned"])
async def test_what_kubo_has_not_pinned(message: str) -> None:
    async with a_bad_rpc(always(refuses(message))) as rpc:
        kubo = Kubo(rpc.api)
        assert not await kubo.pinned(CID)
        await kubo.unpin(CID)
        with pytest.raises(KuboAway):
            await kubo.pin(CID)


async def test_an_error_behind_a_good_beginning() -> None:
    late = always(says(200, b'{"Type": "error", "Message": "out of luck", "Code": 0}\n', chunked=True))
    assert "can't do it: out of luck" in (await fault_of(late, ASKS["pin"])).text


async def test_a_secret_may_be_good_for_less_than_everything() -> None:
    async def answer(request: Request) -> None:
        said = says(403, b"no") if request.path == "/id" else GOOD[request.path]
        await always(said)(request)

    async with a_bad_rpc(answer) as rpc:
        found = await Kubo(rpc.api).health()
    assert ("0.35.0", "", "") == (found.version, found.peer, found.warning)


async def test_a_secret_is_asked_for_anew_each_time() -> None:
    secrets = ["", "bearer:one", "basic:two:three"]
    async with a_bad_rpc(good) as rpc:
        kubo = Kubo(rpc.api, lambda: secrets[len(rpc.requests)])
        for _ in range(3):
            await kubo.block(CID)
    told = [request.headers.get("authorization") for request in rpc.requests]
    assert [None, "Bearer one", "Basic dHdvOnRocmVl"] == told


async def test_a_secret_that_is_none_is_not_sent() -> None:
    fault = await fault_of(good, ASKS["pin"], "hunter2")
    assert "has no secret set that is one" in fault.text
