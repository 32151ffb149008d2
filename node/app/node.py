"""A running owner's node: its rooms opened in one nursery in order, wired, and closed in reverse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

import trio

from node.api import Desk, make_api
from node.app.desk import desk_of
from node.app.doctor import Patient, examine
from node.app.ground import open_ground
from node.app.hosting import record_at
from node.app.mail import open_mail
from node.app.owner import open_owner
from node.app.parts import Parts, Rooms, fit_parts
from node.app.recovery import once_settled, serve_settled, status_of_recovery
from node.app.running import Task, open_peers, work_until
from node.app.status import hosting_warnings, owner_warnings, status_of, status_of_hosting, with_files
from node.app.wakes import Wakes
from node.app.web import open_web
from node.identity import Publisher, serve_identity
from node.network import peer_id_text
from node.runtime.config import Config
from node.runtime.dns import Resolver
from node.runtime.home import Home

ADDRESSES_EVERY_S: Final = 60.0
"""Seconds between two looks at our own addresses, some 0.1 ms each: a laptop moves from net to net."""

Ready = Callable[[Desk], Awaitable[None]]


async def run_node(
    home: Home, config: Config, passphrase: str | None, *, stop: trio.Event, ready: Ready | None = None
) -> None:
    """Run the node until `stop` is set; `ready` is called with the open rooms once the API answers.

    Raises NodeError when it can't start. Ends within DRAIN_S of the order to stop.
    """
    async with open_ground(home, config, passphrase) as ground:
        opened, names = open_peers(ground, "mailio-node"), Resolver(config.dns.nameservers)
        async with opened as (network, records), open_owner(ground, network, names) as owner:
            records.on_put(Wakes(owner.outbox.wake).put)
            async with (
                open_mail(ground, owner, names) as mail,
                open_web(config, mail.certificate, owner.domains.host_of) as web,
            ):
                await _work(Rooms(ground, network, owner, mail, web), stop, ready)


async def _work(rooms: Rooms, stop: trio.Event, ready: Ready | None) -> None:
    """Start everything that runs, in order, until `stop`; then let it end in the reverse one."""
    parts = fit_parts(rooms)
    _serve(rooms, parts)
    desk = _desk(rooms, parts, stop)
    when_ready = partial(ready, desk) if ready else None
    await work_until(stop, rooms.ground, make_api(desk), _tasks(rooms, parts), when_ready)


def _serve(rooms: Rooms, parts: Parts) -> None:
    """Hear of peers, and answer them; letters are taken once recovery has settled."""
    network = rooms.network
    network.on_connected(partial(_connected, rooms, parts))
    serve_identity(network, partial(_record_of, rooms, parts), rooms.ground.clock, parts.bound)
    if parts.hosting is not None:
        parts.hosting.serve()
    network.bitswap.serve(rooms.owner.files.blocks)


def _connected(rooms: Rooms, parts: Parts, peer_id: bytes) -> None:
    parts.publisher.peer_connected()
    parts.clocks.connected(peer_id)
    parts.fetcher.connected(peer_id)
    if address := parts.people.owner_of(peer_id):
        rooms.owner.outbox.wake(address)
    rooms.ground.events.publish("peers", {"connected": peer_id_text(peer_id)})


def _record_of(rooms: Rooms, parts: Parts, address: str) -> bytes | None:
    """What we answer about an address: our own record, or what we know of others."""
    ground, identity = rooms.ground, rooms.owner.identity
    if address == identity.address:
        silent = ground.doubtful() or not parts.recovery.settled.is_set()
        return None if silent else identity.record(ground.clock.now()).record
    return record_at(parts.hosting, rooms.network, address)


def _tasks(rooms: Rooms, parts: Parts) -> tuple[Task, ...]:
    recovery, hosting = parts.recovery, parts.hosting
    return (
        parts.clocks.run,
        rooms.mail.run,
        rooms.web.run,
        parts.bound.run,
        recovery.run,
        partial(serve_settled, recovery, parts.receiver.serve),
        *(once_settled(recovery, task) for task in _held_back(rooms, parts)),
        hosting.run if hosting is not None else trio.sleep_forever,
    )


def _held_back(rooms: Rooms, parts: Parts) -> tuple[Task, ...]:
    """What runs once recovery has settled."""
    owner = rooms.owner
    return (
        parts.publisher.run,
        owner.outbox.run,
        parts.receipts.run,
        parts.recaller.run,
        owner.vault.run,
        owner.hosts.run,
        parts.fetcher.run,
        owner.handshakes.run,
        parts.tidier.run,
        rooms.mail.pickup.run,
        partial(watch_addresses, parts.publisher),
    )


def _desk(rooms: Rooms, parts: Parts, stop: trio.Event) -> Desk:
    network, hosting = rooms.network, parts.hosting

    def forget(letter: bytes) -> None:
        parts.fetcher.drop(letter)
        parts.tidier.soon()

    status, look = partial(_status, rooms, parts), partial(examine, _patient(rooms, parts))
    return replace(
        desk_of(rooms.owner, network.peer_id_text, status, look, network),
        stop=stop.set,
        owner_of=parts.people.owner_of,
        fetch=parts.fetcher.ask,
        forget=forget,
        voucher=hosting.voucher if hosting is not None else None,
    )


def _status(rooms: Rooms, parts: Parts) -> dict[str, object]:
    owner, mail, recovery, hosting = rooms.owner, rooms.mail, parts.recovery, parts.hosting
    found = status_of(rooms.ground, rooms.network)
    warnings = [*found["warnings"], *owner_warnings(owner), *mail.warnings(), *parts.publisher.warnings()]
    warnings += [*owner.hosts.warnings(), *recovery.warnings(), *hosting_warnings(hosting)]
    return found | {
        "listen": _listening(rooms),
        "smtp": mail.status(),
        "published": parts.publisher.status(),
        "letters": parts.receiver.counts(),
        "disk": with_files(found["disk"], owner),
        "files": {name: owner.files.status()[name] for name in ("used", "quota")},
        "unread": owner.mailbox.status()["unread"],
        "hosts": owner.hosts.status(),
        "hosting": status_of_hosting(hosting),
        "vault": {"pending": owner.vault.pending},
        "recovery": status_of_recovery(recovery, owner),
        "warnings": warnings,
    }


def _patient(rooms: Rooms, parts: Parts) -> Patient:
    mail = rooms.mail
    return Patient(
        ground=rooms.ground,
        owner=rooms.owner,
        way_out=mail.outlet,
        pickup=mail.pickup,
        certificate=lambda: mail.certificate,
        network=rooms.network,
        hosting=parts.hosting,
        listening=_listening(rooms),
    )


def _listening(rooms: Rooms) -> dict[str, str | None]:
    return rooms.mail.listening() | rooms.web.listening()


async def watch_addresses(publisher: Publisher) -> None:
    """Publish anew when our addresses are others: interfaces come and go, and nothing tells us."""
    while True:
        await trio.sleep(ADDRESSES_EVERY_S)
        publisher.addresses_changed()
