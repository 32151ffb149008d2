"""One DHT server in a process of its own, for tests that suspend it: `python -m tests.kit.network_node
<multiaddr of a first peer>` prints its own address when it has joined.
"""

import secrets
import sys

import trio

from node.network import NetworkSettings, open_network
from node.network.records import MemoryRecords
from node.network.settings import MemoryPeerBook
from node.runtime.clock import SystemClock
from tests.kit.network import LISTEN, AnyValue


async def main(first: str) -> None:
    settings = NetworkSettings(listen=(LISTEN,), dht_server=True)
    async with open_network(
        settings, secrets.token_bytes(32), AnyValue(), MemoryRecords(), SystemClock(), book=MemoryPeerBook()
    ) as network:
        await network.connect(first)
        await network.kad.closest(network.peer_id)
        print(network.listen_addrs()[0], flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
