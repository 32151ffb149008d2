"""Blocks of IP addresses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.runtime.ip import block_of


@pytest.mark.parametrize(
    ("host", "block"),
    [
        ("8.8.8.8", "8.8.8.0/24"),
        ("::ffff:8.8.8.8", "8.8.8.0/24"),
        ("2a00:1450:4001:81b::200e", "2a00:1450:4001::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("mail.example", ""),
        ("", ""),
    ],
)
def test_blocks(host: str, block: str) -> None:
    assert block == block_of(host)


@given(st.ip_addresses())
def test_an_address_is_in_its_block(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    assert (mapped or address) in ipaddress.ip_network(block_of(str(address)))
