"""A running owner's node: its rooms opened in one nursery in order, wired, and closed in reverse."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio

from node.api import Desk, make_api
from node.app.desk import desk_of
from node.app.doctor import Patient, examine
from node.app.ground import Ground, open_ground
from node.app.hosting import fit_hosting, friends_of, record_at
from node.app.mail import Mail, open_mail
from node.app.owner import Owner, open_owner
from node.app.recovery import fit_recovery, once_settled, serve_settled, status_of_recovery
from node.app.running import Task, open_peers, work_until
from node.app.selfdelivery import SelfDelivery
from node.app.status import hosting_warnings, owner_warnings, status_of, status_of_hosting, with_files
from node.app.tidying import Tidier
from node.app.wakes import Wakes
from node.app.web import Web, open_web
from node.exchange import (
    Acquaintances,
    Fetched,
    Fetcher,
    Intake,
    Recaller,
    Receipts,
    Receiver,
    SealedCarrier,
)
from node.hosting import Hosting
from node.hosts.recovering import Recovery
from node.identity import Bound, Identity, PeerClocks, Publisher, serve_identity
from node.network import Network, peer_id_text
from node.runtime.config import Config
from node.runtime.dns import Resolver
from node.runtime.home import Home

log = logging.getLogger(__name__)

ADDRESSES_EVERY_S: Final = 60.0
"""Seconds between two looks at our own addresses, some 0.1 ms each: a laptop moves from net to net."""

Ready = Callable[[Desk], Awaitable[None]]


async def run_node(
    home: Home, config: Config, passphrase: str | None, *, stop: trio.Event, ready: Ready | None = None
) -> None:
    """Run the node until `stop` is set; `ready` is called with the open rooms once the API answers.

    Raises NodeError when it can't start. Ends within DRAIN_S of the order to stop.
    """
    people = Acquaintances()
    async with open_ground(home, config, passphrase) as ground:
        opened, names = open_peers(ground, "mailio-node"), Resolver(config.dns.nameservers)
        async with opened as (network, records), open_owner(ground, network, names) as owner:
            records.on_put(Wakes(owner.outbox.wake).put)
            async with (
                open_mail(ground, owner, names) as mail,
                open_web(config, mail.certificate, owner.domains.host_of) as web,
            ):
                await _work(ground, network, owner, mail, web, people, stop, ready)


async def _work(
    ground: Ground,
    network: Network,
    owner: Owner,
    mail: Mail,
    web: Web,
    people: Acquaintances,
    stop: trio.Event,
    ready: Ready | None,
) -> None:
    """Start everything that runs, in order, until `stop`; then let it end in the reverse one."""
    receipts = Receipts(ground.store, owner.outbox, ground.clock)
    fetcher = fit_fetcher(ground, network, owner, receipts)
    receiver, intake = fit_exchange(ground, network, owner, people, fetcher, receipts)
    owner.doorstep.intake = intake
    recaller = Recaller(ground.store, owner.outbox, network, ground.clock)
    tidier = Tidier(ground, owner, fetcher.retry)
    clocks = PeerClocks(network, ground.watch)
    publisher = Publisher(
        owner.identity,
        network,
        ground.store,
        ground.clock,
        ground.watch,
        ground.searcher,
        lambda: owner.hosts.drained,
    )

    def connected(peer_id: bytes) -> None:
        publisher.peer_connected()
        clocks.connected(peer_id)
        fetcher.connected(peer_id)
        if address := people.owner_of(peer_id):
            owner.outbox.wake(address)
        ground.events.publish("peers", {"connected": peer_id_text(peer_id)})

    recovery = fit_recovery(ground, network, owner)
    network.on_connected(connected)
    friend = friends_of(owner.consent, ground.clock.now)
    hosting = fit_hosting(ground, network, friend=friend, files=owner.files.hosted)
    record_of = partial(_record_of, owner.identity, recovery, ground, network, hosting)
    bound = fit_bound(ground, owner, lambda: not recovery.settled.is_set())
    serve_identity(network, record_of, ground.clock, bound)
    if hosting is not None:
        hosting.serve()
    network.bitswap.serve(owner.files.blocks)
    desk = _desk(
        ground,
        network,
        owner,
        mail,
        web,
        people,
        receiver,
        publisher,
        stop,
        fetcher,
        tidier,
        recovery,
        hosting,
    )
    held_back: tuple[Task, ...] = (
        publisher.run,
        owner.outbox.run,
        receipts.run,
        recaller.run,
        owner.vault.run,
        owner.hosts.run,
        fetcher.run,
        owner.handshakes.run,
        tidier.run,
        mail.pickup.run,
        partial(watch_addresses, publisher),
    )
    tasks: tuple[Task, ...] = (
        clocks.run,
        mail.run,
        web.run,
        bound.run,
        recovery.run,
        partial(serve_settled, recovery, receiver.serve),
        *(once_settled(recovery, task) for task in held_back),
        hosting.run if hosting is not None else trio.sleep_forever,
    )
    await work_until(stop, ground, make_api(desk), tasks, partial(ready, desk) if ready else None)


def fit_fetcher(ground: Ground, network: Network, owner: Owner, receipts: Receipts) -> Fetcher:
    fetched = Fetched(ground.store, owner.mailbox, receipts, owner.identity, ground.events, ground.clock)
    return Fetcher(
        store=ground.store,
        mailbox=owner.mailbox,
        files=owner.files,
        names=owner.names,
        network=network,
        fetched=fetched,
        events=ground.events,
        clock=ground.clock,
    )


def fit_exchange(
    ground: Ground,
    network: Network,
    owner: Owner,
    people: Acquaintances,
    fetcher: Fetcher,
    receipts: Receipts,
) -> tuple[Receiver, Intake]:
    to_self = SelfDelivery(ground.store, owner.identity, owner.mailbox, ground.clock)
    owner.carriers["mailio"] = SealedCarrier(
        store=ground.store,
        identity=owner.identity,
        names=owner.names,
        consent=owner.consent,
        mailbox=owner.mailbox,
        network=network,
        people=people,
        stamps=ground.searcher,
        clock=ground.clock,
        ask=owner.handshakes.ask,
        to_self=to_self.deliver,
    )
    intake = Intake(
        ground.store,
        owner.identity,
        owner.names,
        owner.consent,
        owner.mailbox,
        owner.handshakes,
        ground.clock,
        ground.doubtful,
        owner.files,
        fetcher.add,
        ground.config.limits.attachment_size,
        receipts,
        owner.bindings,
    )
    receiver = Receiver(
        intake=intake,
        store=ground.store,
        identity=owner.identity,
        consent=owner.consent,
        mailbox=owner.mailbox,
        network=network,
        people=people,
        clock=ground.clock,
        doubtful=ground.doubtful,
    )
    return receiver, intake


def fit_bound(ground: Ground, owner: Owner, unsettled: Callable[[], bool]) -> Bound:
    """What answers for the owner's e-mail addresses in its domains."""
    return Bound(
        ground.store,
        owner.identity,
        lambda: owner.emails,
        owner.domains.names,
        ground.searcher,
        ground.clock,
        lambda: bool(ground.doubtful()) or unsettled(),
    )


def _record_of(
    identity: Identity,
    recovery: Recovery,
    ground: Ground,
    network: Network,
    hosting: Hosting | None,
    address: str,
) -> bytes | None:
    """What we answer about an address: our own record, or what we know of others."""
    if address == identity.address:
        silent = ground.doubtful() or not recovery.settled.is_set()
        return None if silent else identity.record(ground.clock.now()).record
    return record_at(hosting, network, address)


def _desk(
    ground: Ground,
    network: Network,
    owner: Owner,
    mail: Mail,
    web: Web,
    people: Acquaintances,
    receiver: Receiver,
    publisher: Publisher,
    stop: trio.Event,
    fetcher: Fetcher,
    tidier: Tidier,
    recovery: Recovery,
    hosting: Hosting | None,
) -> Desk:
    def forget(letter: bytes) -> None:
        fetcher.drop(letter)
        tidier.soon()

    def status() -> dict[str, object]:
        found = status_of(ground, network)
        warnings = [*found["warnings"], *owner_warnings(owner), *mail.warnings(), *publisher.warnings()]
        warnings += [*owner.hosts.warnings(), *recovery.warnings(), *hosting_warnings(hosting)]
        return found | {
            "listen": mail.listening() | web.listening(),
            "smtp": mail.status(),
            "published": publisher.status(),
            "letters": receiver.counts(),
            "disk": with_files(found["disk"], owner),
            "files": {name: owner.files.status()[name] for name in ("used", "quota")},
            "unread": owner.mailbox.status()["unread"],
            "hosts": owner.hosts.status(),
            "hosting": status_of_hosting(hosting),
            "vault": {"pending": owner.vault.pending},
            "recovery": status_of_recovery(recovery, owner),
            "warnings": warnings,
        }

    patient = Patient(
        ground=ground,
        owner=owner,
        way_out=mail.outlet,
        pickup=mail.pickup,
        certificate=lambda: mail.certificate,
        network=network,
        hosting=hosting,
        listening=mail.listening() | web.listening(),
    )
    return desk_of(
        owner,
        network.peer_id_text,
        status,
        network=network,
        stop=stop.set,
        owner_of=people.owner_of,
        fetch=fetcher.ask,
        forget=forget,
        voucher=hosting.voucher if hosting is not None else None,
        examine=partial(examine, patient),
    )


async def watch_addresses(publisher: Publisher) -> None:
    """Publish anew when our addresses are others: interfaces come and go, and nothing tells us."""
    while True:
        await trio.sleep(ADDRESSES_EVERY_S)
        publisher.addresses_changed()
