"""What ipfshttpclient does that node/files/kubo_*.py works around. A test that fails here means that one was
mended. And what it must go on doing.
"""

import ipfshttpclient
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from ipfshttpclient.exceptions import AddressError, VersionMismatch

from node.files.kubo_call import Talk
from node.files.kubo_line import Daemon, Line
from node.runtime.settings_files import parse_kubo_api
from protocol.unixfs import cid_text
from tests.kit.badrpc import a_bad_rpc, always, says
from tests.kit.kubos import CID, good

HOSTS = (
    st.ip_addresses(v=4).map(lambda ip: f"/ip4/{ip}")
    | st.ip_addresses(v=6).map(lambda ip: f"/ip6/{ip}")
    | st.builds(
        "/{}/{}".format,
        st.sampled_from(["dns", "dns4", "dns6"]),
        st.from_regex(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,3}\.?", fullmatch=True),
    )
)


@settings(max_examples=30)  # each looks for the system's authorities
@given(HOSTS, st.integers(1, 65_535))
def test_each_address_of_the_settings_can_be_asked(host: str, port: int) -> None:
    Talk(Daemon(parse_kubo_api(f"{host}/tcp/{port}/https"), str), Line()).close()


def test_it_knows_fewer_names_than_there_are() -> None:
    with pytest.raises(AddressError):
        ipfshttpclient.Client("/dns4/my_ipfs.example/tcp/443/https")


def test_connect_refuses_every_daemon_of_today() -> None:
    with pytest.raises(VersionMismatch):
        ipfshttpclient.assert_version("0.35.0")


async def test_its_own_session_will_not_do_with_the_next_urllib3() -> None:
    async with a_bad_rpc(good) as rpc:
        with pytest.warns(FutureWarning, match="'strict' parameter"):
            await trio.to_thread.run_sync(ipfshttpclient.Client(rpc.api).version)


@pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")
async def test_it_goes_where_it_is_sent() -> None:
    async with a_bad_rpc(good) as other:
        where = f"Location: http://127.0.0.1:{other.port}/api/v0/version"
        async with a_bad_rpc(always(says(307, b"", where))) as rpc:
            await trio.to_thread.run_sync(ipfshttpclient.Client(rpc.api).version)
        assert ["/version"] == [request.path for request in other.requests]


@pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")
@pytest.mark.parametrize(
    ("body", "leak"),
    [(b"", AssertionError), (b"[" * 50_000, RecursionError), (b'{"Type": "error"}', KeyError)],
    ids=["nothing", "deep", "no message"],
)
async def test_it_stumbles_over_answers(body: bytes, leak: type[Exception]) -> None:
    async with a_bad_rpc(always(says(200, body))) as rpc:
        with pytest.raises(leak):
            await trio.to_thread.run_sync(ipfshttpclient.Client(rpc.api).pin.add, cid_text(CID))
