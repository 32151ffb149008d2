"""Addresses: what is believed, how far it reaches, which block it counts for."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiaddr import Multiaddr

from node.network import BadAddress, PeerAddress, parse_peer, parse_peer_id, peer_id_text
from node.network.addresses import Scope, block_of, dialable, from_bytes, scope_of, scope_of_ip, to_bytes
from node.network.interfaces import expand
from node.network.limits import MAX_ADDRS
from protocol.peers import is_peer_id

PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


def test_a_peer_is_a_multiaddr_with_its_id() -> None:
    peer = parse_peer(f"/ip4/192.0.2.1/tcp/4101/p2p/{PEER}")
    assert peer == PeerAddress(parse_peer_id(PEER), ("/ip4/192.0.2.1/tcp/4101",))
    assert peer.texts() == [f"/ip4/192.0.2.1/tcp/4101/p2p/{PEER}"]


def test_a_peer_without_an_address_is_its_id_alone() -> None:
    assert parse_peer(f"/p2p/{PEER}") == PeerAddress(parse_peer_id(PEER))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/p2p/",
        "/ip4/192.0.2.1/tcp/4101",
        f"/ip4/192.0.2.1/udp/1/p2p/{PEER}",
        f"/ip4/1.2.3.4/tcp/0/p2p/{PEER}",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_peer(text)


@pytest.mark.parametrize(
    "peer_id",
    [
        b"nothing of the kind",
        b"\x12\x10" + bytes(16),  # SHA-256 cut short
        b"\x13\x40" + bytes(64),  # SHA-512, which no peer id is
        b"\x00\x24" + bytes(35),  # a length that is not its own
    ],
)
def test_a_text_of_bytes_that_are_no_peer_id_is_refused(peer_id: bytes) -> None:
    with pytest.raises(BadAddress):
        parse_peer_id(peer_id_text(peer_id))
    with pytest.raises(BadAddress):
        parse_peer(f"/ip4/192.0.2.1/tcp/4101/p2p/{peer_id_text(peer_id)}")


@given(st.binary(max_size=40))
def test_a_peer_id_comes_back_from_its_text(digest: bytes) -> None:
    peer_id = b"\x00" + bytes([len(digest)]) + digest
    if is_peer_id(peer_id):
        assert parse_peer_id(peer_id_text(peer_id)) == peer_id


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_a_bad_one(text: str) -> None:
    try:
        peer = parse_peer(text)
    except BadAddress:
        return
    assert is_peer_id(peer.peer_id)


@given(st.text(max_size=300))
def test_dialable_never_fails(text: str) -> None:
    normal = dialable(text)
    assert normal is None or dialable(normal) == normal


@given(st.lists(st.binary(max_size=300), max_size=40))
def test_binary_addresses_of_a_stranger_are_bounded(items: list[bytes]) -> None:
    assert len(from_bytes(items, Scope.LOOPBACK)) <= MAX_ADDRS


@given(st.binary(max_size=80))
def test_any_bytes_have_a_text_as_peer_id(data: bytes) -> None:
    assert isinstance(peer_id_text(data), str)


def test_a_public_peer_is_not_believed_about_private_addresses() -> None:
    addrs = [
        "/ip4/127.0.0.1/tcp/1",
        "/ip4/192.168.1.2/tcp/1",
        "/ip4/8.8.8.8/tcp/1",
        "/dns4/example.org/tcp/1",
    ]
    items = [Multiaddr(addr).to_bytes() for addr in addrs]
    assert from_bytes(items, Scope.PUBLIC) == tuple(addrs[2:])
    assert from_bytes(items, Scope.PRIVATE) == tuple(addrs[1:])
    assert from_bytes(items, Scope.LOOPBACK) == tuple(addrs)


def test_private_addresses_are_not_told_to_a_public_peer() -> None:
    addrs = ["/ip4/127.0.0.1/tcp/1", "/ip6/fd00::1/tcp/1", "/ip4/8.8.8.8/tcp/1"]
    assert to_bytes(addrs, Scope.PUBLIC) == [Multiaddr(addrs[2]).to_bytes()]


@pytest.mark.parametrize(
    ("host", "block", "scope"),
    [
        ("8.8.8.8", "8.8.8.0/24", Scope.PUBLIC),
        ("::ffff:8.8.8.8", "8.8.8.0/24", Scope.PUBLIC),
        ("2a00:1450:4001:81b::200e", "2a00:1450:4001::/48", Scope.PUBLIC),
        ("fe80::1%eth0", "fe80::/48", Scope.PRIVATE),
        ("10.1.2.3", "10.1.2.0/24", Scope.PRIVATE),
        ("127.0.0.9", "127.0.0.0/24", Scope.LOOPBACK),
        ("::1", "::/48", Scope.LOOPBACK),
    ],
)
def test_blocks_and_scopes(host: str, block: str, scope: Scope) -> None:
    assert (block_of(host), scope_of_ip(host)) == (block, scope)


def test_the_scope_of_a_name_is_public() -> None:
    assert scope_of("/dns4/example.org/tcp/443") is Scope.PUBLIC


@pytest.mark.parametrize("kind", ["ip4", "ip6"])
def test_a_wildcard_is_loopback_where_no_socket_can_be_had(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def exhausted(*_: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", exhausted)
    any_, loopback = {"ip4": ("0.0.0.0", "127.0.0.1"), "ip6": ("::", "::1")}[kind]
    assert expand(f"/{kind}/{any_}/tcp/4101") == [f"/{kind}/{loopback}/tcp/4101"]
