"""What was lost with a disk is brought back from hosts first: until then this node neither publishes nor
takes letters nor lets anything run out (protocol.md §9).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from node.app.ground import Ground
from node.app.hosts import fit_restorer
from node.app.owner import Owner
from node.app.running import Task
from node.hosts.recovering import Recovery
from node.identity import ask_identity
from node.network import Network


def fit_recovery(ground: Ground, network: Network, owner: Owner) -> Recovery:
    """Where nothing was lost it is over before it begins."""
    recovery = Recovery(
        store=ground.store,
        secrets=owner.identity.secrets,
        network=network,
        ask=partial(ask_identity, network),
        restorer=fit_restorer(ground, owner.identity, owner.consent, owner.vault),
        identity=owner.identity,
        clock=ground.clock,
        found=owner.hosts.take_up,
    )
    network.on_connected(recovery.connected)
    return recovery


def once_settled(recovery: Recovery, task: Task) -> Task:
    """The same task, begun when it may be."""

    async def run() -> None:
        await recovery.settled.wait()
        await task()

    return run


async def serve_settled(recovery: Recovery, serve: Callable[[], None]) -> None:
    """Begin to serve when letters may be judged."""
    await recovery.settled.wait()
    serve()
    await trio.sleep_forever()


def status_of_recovery(recovery: Recovery, owner: Owner) -> dict[str, object]:
    """`state`: none, looking (hosts are asked), fetching (letters that waited there come), done."""
    if not recovery.begun:
        return {"state": "none"}
    state = "looking"
    if recovery.ended.is_set():
        state = "done" if owner.hosts.drained else "fetching"
    letters = sum(int(folder["totalMessages"]) for folder in owner.mailbox.folders())
    restored = recovery.restored
    counts = {"handshakes": restored["ours/1"], "contacts": restored["contact/1"], "letters": letters}
    return {"state": state, "settled": recovery.settled.is_set(), "hosts": recovery.hosts} | counts
