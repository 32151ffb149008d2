"""Where an IPFS daemon of the owner's is, and what it wants to hear."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.runtime.settings_files import authorization, kubo_api, parse_kubo_api

HERE = (
    "/ip4/127.0.0.1/tcp/5001",
    "/ip4/127.9.9.9/tcp/1/http",
    "/ip6/::1/tcp/65535",
    "/dns/localhost/tcp/5001",
)


@pytest.mark.parametrize("text", HERE)
def test_one_on_this_machine(text: str) -> None:
    api = parse_kubo_api(text)
    assert (text, False, True) == (api.text, api.tls, api.is_local)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("/dns4/ipfs.example.org/tcp/443/https", "ipfs.example.org"),
        ("/dns6/ipfs.example.org/tcp/443/https", "ipfs.example.org"),
        ("/ip4/192.0.2.1/tcp/443/https", "192.0.2.1"),
        ("/ip6/2001:db8::1/tcp/443/https", "2001:db8::1"),
    ],
)
def test_one_elsewhere_has_https(text: str, host: str) -> None:
    api = parse_kubo_api(text)
    assert (host, 443, True, False) == (api.host, api.port, api.tls, api.is_local)
    with pytest.raises(ValueError, match="only https"):
        parse_kubo_api(text.removesuffix("/https"))
    with pytest.raises(ValueError, match="only https"):
        parse_kubo_api(text.removesuffix("s"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "http://127.0.0.1:5001",
        "127.0.0.1:5001",
        "/ip4/127.0.0.1",
        "/ip4/127.0.0.1/tcp/0",
        "/ip4/127.0.0.1/tcp/65536",
        "/ip4/127.0.0.1/udp/5001",
        "/ip4/::1/tcp/5001",
        "/ip6/fe80::1%eth0/tcp/5001/https",
        "/ip4/127.0.0.1/tcp/5001/https/http",
        "/ip4/127.0.0.1/tcp/5001/",
        "/dns4/a b/tcp/443/https",
        "/dns4/user@host/tcp/443/https",
        "/dns4//tcp/443/https",
        "/unix/run/ipfs.sock",
        "/ip4/127.0.0.1/tcp/5001/p2p/12D3KooWMTJPFLfEsXsnYVJ5oSWAYHGEhojNwZ7EtQz8aq1wpRoT",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is no address of an IPFS daemon"):
        parse_kubo_api(text)


@given(st.text(max_size=80) | st.from_regex(r"/(ip4|ip6|dns4)/[^/]*/tcp/[^/]*(/https?)?", fullmatch=True))
def test_any_text_is_an_address_or_is_refused(text: str) -> None:
    try:
        assert kubo_api().read(text) == text.strip()
    except ValueError:
        return
    api = parse_kubo_api(text.strip())
    assert api.tls or api.is_local


def test_secrets_are_said_as_kubo_wants_them() -> None:
    assert authorization("bearer:to:ken") == "Bearer to:ken"
    basic = base64.b64encode("Alice:pass:wörd ".encode()).decode()
    assert authorization("basic:Alice:pass:wörd ") == f"Basic {basic}"


@given(st.sampled_from(["", "bearer:", "basic:", "basic:Alice:"]), st.text(max_size=40))
def test_any_secret_becomes_one_line_of_a_header_or_is_refused(kind: str, rest: str) -> None:
    try:
        said = authorization(kind + rest)
    except ValueError:
        return
    assert said.isascii()
    assert said.isprintable()
    assert said == said.strip()


def test_the_form_is_told_and_the_secret_is_not() -> None:
    with pytest.raises(ValueError, match="write it as bearer:TOKEN or basic:USER:PASSWORD") as caught:
        authorization("hunter2")
    assert "hunter2" not in str(caught.value)
