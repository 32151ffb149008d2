"""What runs in an owner's node beside its rooms: made and fitted to them. Nothing runs here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.app.ground import Ground
from node.app.hosting import fit_hosting, friends_of
from node.app.mail import Mail
from node.app.owner import Owner
from node.app.recovery import fit_recovery
from node.app.selfdelivery import SelfDelivery
from node.app.tidying import Tidier
from node.app.web import Web
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
from node.identity import Bound, PeerClocks, Publisher
from node.network import Network


@dataclass(frozen=True, slots=True)
class Rooms:
    """What stands open for as long as the node runs."""

    ground: Ground
    network: Network
    owner: Owner
    mail: Mail
    web: Web


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs in them; `hosting` is None where this node is no host."""

    people: Acquaintances
    receipts: Receipts
    fetcher: Fetcher
    receiver: Receiver
    recaller: Recaller
    tidier: Tidier
    clocks: PeerClocks
    publisher: Publisher
    recovery: Recovery
    hosting: Hosting | None
    bound: Bound


def fit_parts(rooms: Rooms) -> Parts:
    ground, network, owner = rooms.ground, rooms.network, rooms.owner
    people, receipts = Acquaintances(), Receipts(ground.store, owner.outbox, ground.clock)
    fetcher = fit_fetcher(ground, network, owner, receipts)
    receiver, intake = fit_exchange(ground, network, owner, people, fetcher, receipts)
    owner.doorstep.intake = intake
    publisher = fit_publisher(ground, network, owner)
    recovery = fit_recovery(ground, network, owner)
    friend = friends_of(owner.consent, ground.clock.now)
    return Parts(
        people=people,
        receipts=receipts,
        fetcher=fetcher,
        receiver=receiver,
        recaller=Recaller(ground.store, owner.outbox, network, ground.clock),
        tidier=Tidier(ground, owner, fetcher.retry),
        clocks=PeerClocks(network, ground.watch),
        publisher=publisher,
        recovery=recovery,
        hosting=fit_hosting(ground, network, friend=friend, files=owner.files.hosted),
        bound=fit_bound(ground, owner, lambda: not recovery.settled.is_set()),
    )


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
    owner.carriers["mailio"] = fit_sealed(ground, network, owner, people)
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


def fit_sealed(ground: Ground, network: Network, owner: Owner, people: Acquaintances) -> SealedCarrier:
    to_self = SelfDelivery(ground.store, owner.identity, owner.mailbox, ground.clock)
    return SealedCarrier(
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


def fit_publisher(ground: Ground, network: Network, owner: Owner) -> Publisher:
    return Publisher(
        owner.identity,
        network,
        ground.store,
        ground.clock,
        ground.watch,
        ground.searcher,
        lambda: owner.hosts.drained,
    )
