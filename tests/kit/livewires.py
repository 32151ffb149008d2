"""Whole nodes in this process, as `run` runs them, over real libp2p on loopback; and what befalls one of them
at a frame of a letter or at a batch.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from libp2p.peer.id import ID

from node.api import Desk
from node.app import run_node
from node.exchange.wire import MAX_FRAME
from node.network import Channel, ChannelClosed, Network
from node.runtime.config import Config
from node.runtime.home import Home
from node.runtime.sections import LimitsConfig, NetworkConfig, SmtpConfig, SubmissionConfig
from node.storage import StoreUnavailable
from node.storage.database import Change, Database
from tests.kit.faults import Fault, Step
from tests.kit.network import BOUND


class LiveNode:
    """A node by name, at an address that stays; `open` it as often as it ended."""

    def __init__(self, name: str, home: Home, nursery: trio.Nursery) -> None:
        self.name, self.home = name, home
        self._nursery = nursery
        self._address = _free_address()
        self.dead, self.ended = True, trio.Event()
        self.desk: Desk | None = None
        self._scope = trio.CancelScope()

    @property
    def network(self) -> Network:
        assert self.desk is not None
        assert isinstance(self.desk.network, Network)
        return self.desk.network

    @property
    def rooms(self) -> Desk:
        assert self.desk is not None
        return self.desk

    @property
    def address(self) -> str:
        return self.network.listen_addrs()[0]

    async def open(self, *bootstrap: str) -> None:
        network = NetworkConfig(listen=(self._address,), bootstrap=bootstrap)
        config = Config(
            network=network,
            limits=LimitsConfig(price=1, free_disk=0),
            smtp=SmtpConfig(port=0),
            submission=SubmissionConfig(port=0),
        )
        self._scope, self.ended, self.dead = trio.CancelScope(), trio.Event(), False
        with trio.fail_after(BOUND):
            await self._nursery.start(self._run, config)

    async def _run(self, config: Config, task_status: trio.TaskStatus[None]) -> None:
        async def ready(desk: Desk) -> None:
            self.desk = desk
            task_status.started()

        try:
            with self._scope:
                await run_node(self.home, config, None, stop=trio.Event(), ready=ready)
        finally:
            self.ended.set()

    def states(self, subject: str) -> list[str]:
        """How it stands with a letter of its owner's."""
        found = [one for one in self.rooms.outbox.list() if one.subject == subject]
        return [delivery.state for letter in found for delivery in letter.deliveries]

    def folder(self) -> list[str]:
        """Subjects in the inbox."""
        return [row["subject"] for row in self.rooms.mailbox.list("inbox", limit=1_000)]

    def crash(self) -> None:
        """Nothing more is written, nothing more is said, and others see their connections end."""
        self.dead = True
        self._scope.cancel()

    async def drop(self, other: LiveNode) -> None:
        """The connection between them ends."""
        swarm: Any = self.network._swarm
        await swarm.close_peer(ID(other.network.peer_id))


class Tap:
    """Has one fault happen at the frame of a letter, or at the batch, at which it is due. Stands in Channel's
    and Database's place between the nodes of `nodes` and what they use.
    """

    def __init__(self, nodes: Sequence[LiveNode], monkeypatch: pytest.MonkeyPatch) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.counts: Counter[str] = Counter()
        self.fault: Fault | None = None
        self.struck = trio.Event()
        self._asleep: dict[str, trio.Event] = {}
        self._paths: dict[int, str] = {}
        self._token = trio.lowlevel.current_trio_token()
        self._fit(monkeypatch)

    def begin(self, fault: Fault) -> None:
        """From here on steps count."""
        self.counts.clear()
        self.fault, self.struck = fault, trio.Event()

    async def mend(self, one: LiveNode, other: LiveNode) -> None:
        """What happens anyway after a while: a dead node is started again, a connection is made anew."""
        await self.struck.wait()
        for node, peer in ((one, other), (other, one)):
            if node.dead:
                await node.ended.wait()
                await node.open(peer.address)
        if self._asleep:
            await one.drop(other)
            for gate in self._asleep.values():
                gate.set()
            self._asleep.clear()
        await other.network.connect(one.address)

    def _fit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        send, receive, init, write = Channel.send, Channel.receive, Database.__init__, Database.write

        async def tapped_send(channel: Channel, data: bytes) -> None:
            if channel.max_frame != MAX_FRAME or not (way := self._way(channel)):
                await send(channel, data)
                return
            source, where = way
            n, self.counts[where] = self.counts[where], self.counts[where] + 1
            await self._strike(Step(where, n), source)
            await send(channel, data)
            await self._strike(Step(where, n, after=True), source)

        async def tapped_receive(channel: Channel, *most: Any) -> bytes:
            data = await receive(channel, *most)
            if channel.max_frame == MAX_FRAME and (way := self._way(channel)):
                await self._awake(way[0])
            return data

        def tapped_init(database: Database, path: Path) -> None:
            self._paths[id(database)] = path.parent.name
            init(database, path)

        def tapped_write(database: Database, changes: Sequence[Change], *, sync: bool) -> None:
            name = self._paths[id(database)]
            n, self.counts[name] = self.counts[name], self.counts[name] + 1
            self._at_batch(Step(name, n))
            write(database, changes, sync=sync)
            self._at_batch(Step(name, n, after=True))

        monkeypatch.setattr(Channel, "send", tapped_send)
        monkeypatch.setattr(Channel, "receive", tapped_receive)
        monkeypatch.setattr(Database, "__init__", tapped_init)
        monkeypatch.setattr(Database, "write", tapped_write)

    def _way(self, channel: Channel) -> tuple[LiveNode, str] | None:
        """Whose end of the channel it is, and the way that its frames go."""
        running = [node for node in self.nodes.values() if node.desk is not None]
        for node in running:
            if node.network.peer_id == channel.peer_id:
                own = next(one for one in self.nodes.values() if one is not node)
                return own, f"{own.name}>{node.name}"
        return None

    async def _strike(self, step: Step, source: LiveNode) -> None:
        await self._awake(source)
        if self.fault is not None and self.fault.step == step:
            fault, self.fault = self.fault, None
            if fault.kind == "cut":
                await source.drop(next(one for one in self.nodes.values() if one is not source))
            elif fault.kind == "crash":
                self.nodes[fault.house].crash()
            else:
                self._asleep[fault.house] = trio.Event()
            self.struck.set()
            await self._awake(source)

    async def _awake(self, node: LiveNode) -> None:
        """Nothing goes in or out where the lid is closed, and nothing ever again where nobody lives."""
        if node.name in self._asleep:
            await self._asleep[node.name].wait()
        await trio.lowlevel.checkpoint()
        if node.dead:
            raise ChannelClosed("the machine is dead")

    def _at_batch(self, step: Step) -> None:
        """In the writer's thread. What a dead node is told of its disk, it tells nobody any more."""
        node = self.nodes[step.where]
        if self.fault is not None and self.fault.step == step:
            self.fault, node.dead = None, True
            self._token.run_sync_soon(node.crash)
            self._token.run_sync_soon(self.struck.set)
        if node.dead:
            raise StoreUnavailable("store-closed", "the machine is dead")


def _free_address() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"/ip4/127.0.0.1/tcp/{one.getsockname()[1]}"
