"""Faults of libp2p 0.8.1 that our adapter closes. When one of these fails, upstream has mended
something: look whether our workaround can go (design: stack.md).
"""

import inspect
import os
import subprocess
import sys
from importlib.metadata import version

import libp2p
import pytest
import trio
from libp2p.bitswap import MemoryBlockStore
from libp2p.bitswap.dag import MerkleDag
from libp2p.bitswap.dag_pb import balanced_layout, decode_dag_pb
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.io.trio import TrioTCPStream
from libp2p.kad_dht import common, kad_dht, value_store
from libp2p.network import swarm as swarm_module
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.swarm import Swarm
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream
from libp2p.transport.tcp import tcp

from node.network.bitswap import PROTOCOL
from node.network.bitswap_wire import Heard, encode_block, encode_wants, parse
from node.network.limits import MAX_BLOCKS_FRAME
from protocol.unixfs import LEAF_BYTES, WIDTH, Shape, raw_cid
from tests.kit.network import BOUND, a_network, until
from tests.kit.upstream_bitswap import a_client, an_upstream_peer


def source(thing: object) -> str:
    return inspect.getsource(thing)  # type: ignore[arg-type]


def test_the_version_is_the_one_whose_insides_we_use() -> None:
    assert version("libp2p") == "0.8.1"


def test_by_default_a_plaintext_dialer_is_believed() -> None:
    host = libp2p.new_host(key_pair=create_new_key_pair(os.urandom(32)))
    upgrader = host.get_network().upgrader  # type: ignore[attr-defined]
    assert "/plaintext/2.0.0" in upgrader.security_multistream.transports


def test_an_exception_that_leaves_a_stream_handler_is_not_caught() -> None:
    assert "except" not in source(SwarmConn._handle_muxed_stream).partition("common_stream_handler")[2]


def test_an_inbound_connection_holds_its_slot_after_it_closed() -> None:
    assert "manager.wait_finished()" in source(Swarm._do_handle_inbound_connection)


def test_a_listening_port_is_shared_with_whoever_asks() -> None:
    assert "SO_REUSEPORT" in source(tcp._set_reuse_flags)
    assert "_set_reuse_flags" in source(tcp._open_reuseport_listeners)


def test_one_address_of_a_kind_is_dialled_and_a_failure_is_remembered() -> None:
    assert "at most 1 per class" in source(Swarm.dial_peer)
    cache = swarm_module._NegativePeerCache()
    cache.mark_failed("peer")
    assert cache.is_blocked("peer")


def test_peers_are_dialled_that_nobody_asked_for() -> None:
    assert "(low_watermark + high_watermark) / 2" in source(AutoConnector.maybe_connect)


def test_the_muxer_that_is_asked_for_is_not_the_one_that_is_built() -> None:
    assert "Yamux(" in source(MuxerMultistream.new_conn)


def test_a_window_that_is_exceeded_is_only_logged() -> None:
    text = source(Yamux.handle_incoming)
    assert "peer exceeded" in text
    assert "self.streams[stream_id].recv_window = 0" in text


def test_a_frame_is_written_in_the_task_that_may_be_cancelled() -> None:
    assert "shield" not in source(Yamux._write_frame)
    assert "shield" not in source(TrioTCPStream.write)


def test_a_stream_past_256_waits_for_ever_and_a_full_window_fails_after_5_s() -> None:
    assert "await self.stream_backlog_semaphore.acquire()" in source(Yamux.open_stream)
    assert "move_on_after(5.0)" in source(YamuxStream.write)


async def test_no_remote_address_is_known_over_ipv6() -> None:
    try:
        (listener,) = await trio.open_tcp_listeners(0, host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    async with listener:
        stream = await trio.open_tcp_stream("::1", listener.socket.getsockname()[1])
        async with stream, await listener.accept() as accepted:
            assert TrioTCPStream(accepted).get_remote_address() is None


def test_the_dht_has_its_faults_still() -> None:
    handler = source(kad_dht.KadDHT._do_handle_stream)
    assert "fail_after" not in handler  # twelve streams that say nothing stop it
    assert "move_on_after" not in handler
    assert "protocol_prefix" not in handler
    assert (common.PROTOCOL_ID, common.QUERY_TIMEOUT) == ("/ipfs/kad/1.0.0", 10)
    get = source(kad_dht.KadDHT.get_value)
    assert get.index("Check local store first") < get.index("find_closest_peers_network")
    assert inspect.signature(kad_dht.KadDHT.put_value).return_annotation == "None"
    assert "oldest" in source(value_store.ValueStore._evict_if_full)


LEAF = bytes(LEAF_BYTES)


def root_of(leaves: int) -> bytes:
    """The root of a file of so many equal leaves, as we and Kubo make it."""
    shape = Shape(leaves * LEAF_BYTES)
    cids = [raw_cid(LEAF)] * leaves
    for number in range(leaves, shape.blocks):
        node = shape.encode(number, [cids[child] for child in shape[number].children])
        cids.append(shape.cid(number, node))
    return cids[-1]


def upstreams_root(leaves: int) -> bytes:
    """The same as upstream makes it, told the size of each leaf."""
    root, _, _ = balanced_layout([(raw_cid(LEAF), LEAF, LEAF_BYTES)] * leaves)
    return root


async def test_a_leaf_is_linked_to_as_if_it_had_no_bytes() -> None:
    """So the CID of whatever has more than one leaf is not Kubo's."""
    client = a_client()
    root = await MerkleDag(client).add_bytes(2 * LEAF)
    node = await client.block_store.get_block(root)
    assert node is not None
    assert [link.size for link in decode_dag_pb(node)[0]] == [0, 0]
    assert root != root_of(2) == upstreams_root(2)


def test_a_lone_last_leaf_is_not_wrapped() -> None:
    assert upstreams_root(WIDTH) == root_of(WIDTH)
    assert upstreams_root(WIDTH + 1) != root_of(WIDTH + 1)


async def test_a_file_that_lacks_a_leaf_is_read_as_a_shorter_one() -> None:
    client = a_client()
    dag = MerkleDag(client)
    leaves = [bytes([number]) * 1_000 for number in range(3)]
    root = await dag.add_bytes(b"".join(leaves), chunk_size=1_000)
    await client.block_store.delete_block(raw_cid(leaves[1]))
    assert await dag.fetch_file(root, timeout=0.1) == (leaves[0] + leaves[2], None)


async def test_a_block_that_nobody_asked_for_is_stored() -> None:
    with trio.fail_after(BOUND):
        async with a_network(server=False) as alice, an_upstream_peer() as (client, where):
            store = client.block_store
            assert isinstance(store, MemoryBlockStore)
            async with alice.channel(where, PROTOCOL, max_frame=MAX_BLOCKS_FRAME, deadline=BOUND) as channel:
                await channel.send(encode_block(raw_cid(b"pushed"), b"pushed"))
            await until(lambda: store.get_all_cids() == [raw_cid(b"pushed")])


async def test_answers_come_on_the_stream_of_who_asked() -> None:
    """Where Kubo and Helia do not listen, nor do we: nothing arrives at them."""
    with trio.fail_after(BOUND):
        async with a_network(server=False) as alice, an_upstream_peer() as (client, where):
            await client.add_block(raw_cid(b"block"), b"block")
            await alice.reach(where)
            async with alice.channel(where, PROTOCOL, max_frame=MAX_BLOCKS_FRAME, deadline=BOUND) as channel:
                await channel.send(encode_wants([raw_cid(b"block")]))
                assert parse(await channel.receive()) == Heard(blocks=((raw_cid(b"")[:4], b"block"),))


def test_health_monitoring_is_off_unless_asked_for() -> None:
    assert not ConnectionConfig().enable_health_monitoring


def test_upstream_writes_nothing_on_our_standard_error() -> None:
    """Its modules log at every normal end of a stream, and call logging.debug(), which installs a handler."""
    script = """
import logging, os, trio
from tests.kit.network import a_network
async def main():
    async with a_network() as bob, a_network() as alice:
        await alice.connect(bob.listen_addrs()[0])
        stream = await trio.open_tcp_stream("127.0.0.1", int(bob.listen_addrs()[0].split("/")[4]))
        await stream.send_all(os.urandom(1000))
        await stream.aclose()
trio.run(main)
assert not any(type(handler) is logging.StreamHandler for handler in logging.getLogger().handlers)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert "logging.debug(" in source(SwarmConn)
