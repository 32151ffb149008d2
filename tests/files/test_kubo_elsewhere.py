"""Nothing goes to anybody else than the IPFS daemon that the owner named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.files.errors import KuboAway
from node.files.kubo import Kubo
from tests.kit.badrpc import BadRpc, a_bad_rpc, always, says
from tests.kit.certificates import Authority
from tests.kit.kubos import (
    ASKS,
    BLOCK,
    CID,
    HTML,
    SECRET,
    every,
    expect,
    fault_of,
    good,
    time_passes,
)


@every
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_is_sent_elsewhere(name: str, status: int) -> None:
    async with a_bad_rpc(good) as other:
        where = f"Location: http://127.0.0.1:{other.port}/api/v0/block/get"
        fault = await fault_of(always(says(status, HTML, where)), ASKS[name])
        assert "does not answer as an IPFS daemon does" in fault.text
        assert [] == other.requests


@every
async def test_the_environment_sends_nobody_elsewhere(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password hunter2\n")
    netrc.chmod(0o600)
    async with a_bad_rpc(good) as proxy, a_bad_rpc(good) as rpc:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NETRC", str(netrc))
        await ASKS[name](Kubo(rpc.api))
        assert [] == proxy.requests
        assert [None] == list({request.headers.get("authorization") for request in rpc.requests})


async def test_cookies_are_not_kept() -> None:
    async with a_bad_rpc(always(says(200, BLOCK, "Set-Cookie: a=b; Path=/"))) as rpc:
        kubo = Kubo(rpc.api)
        for _ in range(2):
            await kubo.block(CID)
        assert ["cookie" in request.headers for request in rpc.requests] == [False, False]


async def test_nobody_there() -> None:
    async with a_bad_rpc(good) as rpc:
        gone = rpc.api
    with pytest.raises(KuboAway, match=r"can't be reached \(Connection refused\)") as caught:
        await Kubo(gone).health()
    assert "ipfs daemon" in caught.value.remedy
    assert "mailio config set files.backend embedded" in caught.value.remedy


# ---- TLS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@asynccontextmanager
async def tls_rpc(authority: Authority, name: str) -> AsyncIterator[BadRpc]:
    async with a_bad_rpc(good, tls=authority.certificate(name).server_context()) as rpc:
        yield rpc


@every
async def test_through_tls(name: str, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with tls_rpc(authority, "127.0.0.1") as rpc:
        await ASKS[name](Kubo(rpc.api, lambda: SECRET))
        assert "Bearer hunter2" == rpc.requests[0].headers["authorization"]


async def test_a_certificate_that_nobody_vouches_for(authority: Authority) -> None:
    async with tls_rpc(authority, "127.0.0.1") as rpc:
        await expect("can't be reached .its certificate: ", lambda: Kubo(rpc.api, lambda: SECRET).health())
        assert [] == rpc.requests


async def test_a_certificate_of_another(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with tls_rpc(authority, "ipfs.example.org") as rpc:
        await expect("can't be reached .its certificate: ", lambda: Kubo(rpc.api, lambda: SECRET).health())
        assert [] == rpc.requests


async def test_no_tls_where_it_should_be() -> None:
    async with a_bad_rpc(good) as rpc:
        rpc.to_strangers = says(400, b"what is that?")
        await expect("can't be reached", lambda: Kubo(f"{rpc.api}/https", lambda: SECRET).health())
        assert [] == rpc.requests


async def test_tls_that_never_comes_about(mock_clock: MockClock) -> None:
    async with a_bad_rpc(good) as rpc, trio.open_nursery() as nursery:
        nursery.start_soon(expect, "does not answer in time", Kubo(f"{rpc.api}/https", lambda: SECRET).health)
        await rpc.came.wait()
        await time_passes(mock_clock, rpc)
        assert [] == rpc.requests
