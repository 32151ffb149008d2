"""An owner's rooms between network and API, made and fitted to each other. Nothing runs here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from node.app.addresses import OwnAddresses
from node.app.errors import NoIdentity
from node.app.ground import Ground
from node.app.hosts import Doorstep, fit_hosts, fit_vault
from node.app.notices import Notices
from node.app.offline import Offline, Parked
from node.app.providers import Mailboxes, Sending
from node.app.reading import Reading, open_reading
from node.consent import Consent
from node.domains import Domains
from node.files import Files
from node.handshakes import Handshakes
from node.hosts import Hosts
from node.hosts.vault import Vault
from node.identity import Identity, Profile, ask_binding, exists, load, load_peer_key, node_of
from node.letters import Mailbox, UploadBook
from node.names import Bindings, Names
from node.outbox import DIRECT, MAILIO, SMARTHOST, SMTP, Carrier, Outbox, Sizes
from node.outbox.submission import Submission
from node.pickup import Providers
from node.runtime.sections import SmtpConfig
from node.runtime.settings import duration_ms
from node.users import Passwords, Users
from protocol.account import peer_id_of
from protocol.exchange_identity import PROTOCOL_ID as IDENTITY
from protocol.identity import Capabilities, Host
from protocol.keys import SigningKey
from protocol.offer import PROTOCOL_ID as LETTER
from protocol.peers import Peer

if TYPE_CHECKING:
    from node.network import Network
    from node.runtime.dns import Resolver

PROTOCOLS: Final = (IDENTITY, LETTER)
"""What our nodes speak, as our IdentityRecord says it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The open rooms. `carriers` is the outbox's table of routes; who opens the exchange puts its own in."""

    ground: Ground
    peer_id: bytes
    identity: Identity
    names: Names
    bindings: Bindings
    consent: Consent
    mailbox: Mailbox
    outbox: Outbox
    submission: Submission
    handshakes: Handshakes
    carriers: dict[str, Carrier]
    users: Users
    passwords: Passwords
    domains: Domains
    files: Files
    uploads: UploadBook
    vault: Vault
    hosts: Hosts
    doorstep: Doorstep
    emails: OwnAddresses
    sending: Sending
    mailboxes: Mailboxes


@asynccontextmanager
async def open_owner(
    ground: Ground, network: Network | None, dns: Resolver | None = None
) -> AsyncIterator[Owner]:
    """The owner's rooms; without network and DNS for a command on a closed store. Raises NodeError."""
    if not exists(ground.home):
        raise NoIdentity(ground.home.path)
    identity, peer_id = load(ground.home, ground.key), own_peer_id(ground)
    kept_by: list[Hosts] = []  # they need the identity, whose record names them
    identity.attach(ground.store, _profile(ground, network, partial(_listed, kept_by)))
    reading = await open_reading(ground, network, identity, peer_id)
    bindings = _bindings(ground, network, dns, reading)
    vault, doorstep = fit_vault(ground, reading), Doorstep()
    hosts = fit_hosts(ground, network, reading, vault, doorstep)
    kept_by.append(hosts)
    carriers: dict[str, Carrier] = {MAILIO: Parked(), SMTP: Parked()}
    outbox = _outbox(ground, reading, carriers)
    ordinary = await _open_ordinary(ground, dns, outbox)
    handshakes = _handshakes(ground, network, reading, outbox, ordinary.emails)
    yield Owner(
        ground=ground,
        peer_id=peer_id,
        identity=identity,
        names=reading.names,
        bindings=bindings,
        consent=reading.consent,
        mailbox=reading.mailbox,
        outbox=outbox,
        submission=_submission(ground, reading, bindings, outbox, handshakes, ordinary),
        handshakes=handshakes,
        carriers=carriers,
        users=Users(ground.store, ground.clock),
        passwords=ordinary.passwords,
        domains=ordinary.domains,
        files=reading.files,
        uploads=reading.uploads,
        vault=vault,
        hosts=hosts,
        doorstep=doorstep,
        emails=ordinary.emails,
        sending=ordinary.sending,
        mailboxes=ordinary.mailboxes,
    )


@dataclass(frozen=True, slots=True)
class _Ordinary:
    """Who the owner is in ordinary e-mail, and through whom it goes out."""

    passwords: Passwords
    emails: OwnAddresses
    sending: Sending
    mailboxes: Mailboxes
    domains: Domains


async def _open_ordinary(ground: Ground, dns: Resolver | None, outbox: Outbox) -> _Ordinary:
    passwords = ground.passwords
    book = Providers(ground.store, passwords, ground.clock)
    emails = OwnAddresses(ground.config.mail.addresses, (one.address for one in book.all()))
    sending = Sending(ground.config.smtp.smarthost, passwords, book)
    mailboxes = Mailboxes(book, ground.store, emails, lambda: outbox.wake(SMARTHOST, SMTP))
    domains = Domains(ground.store, ground.clock, ground.config.smtp.domains, dns)
    await domains.start()
    return _Ordinary(passwords, emails, sending, mailboxes, domains)


def _bindings(ground: Ground, network: Network | None, dns: Resolver | None, reading: Reading) -> Bindings:
    return Bindings(
        reading.names,
        ground.store,
        dns,
        network or Offline(),
        partial(ask_binding, network) if network else Offline().ask_binding,
        ground.searcher,
        ground.clock,
        ground.doubtful,
        reading.identity.public_key,
    )


def _outbox(ground: Ground, reading: Reading, carriers: Mapping[str, Carrier]) -> Outbox:
    notices = Notices(reading.mailbox, reading.identity)
    return Outbox(
        ground.store,
        ground.clock,
        ground.events,
        carriers,
        notices,
        reading.files,
        ground.doubtful,
        delays=notices.delayed,
    )


def _handshakes(
    ground: Ground, network: Network | None, reading: Reading, outbox: Outbox, emails: OwnAddresses
) -> Handshakes:
    return Handshakes(
        ground.store,
        reading.consent,
        reading.names,
        reading.mailbox,
        outbox,
        reading.identity,
        ground.clock,
        ground.events,
        network.listen_addrs if network else tuple,
        emails,
    )


def _submission(
    ground: Ground,
    reading: Reading,
    bindings: Bindings,
    outbox: Outbox,
    handshakes: Handshakes,
    ordinary: _Ordinary,
) -> Submission:
    config, sending = ground.config, ordinary.sending
    return Submission(
        ground.store,
        reading.names,
        reading.mailbox,
        outbox,
        lambda: reading.identity.address,
        ground.clock,
        reading.consent,
        discovery=bindings,
        addresses=ordinary.emails,
        way_back=handshakes,
        can_mail=lambda: config.smtp.direct or sending.smarthost() is not None,
        mail_size=config.limits.mail_size,
        takes=partial(_takes, Sizes(ground.store, ground.clock), config.smtp, sending),
        domains=ordinary.domains,
        files=reading.files,
        uploads=reading.uploads,
        pin=duration_ms(config.files.pin),
    )


def destination(smtp: SmtpConfig, sending: Sending, email: str) -> str:
    """What the outbox's sizes call the servers that take mail to this address from us."""
    if smtp.direct:
        return DIRECT + email.rpartition("@")[2]
    smarthost = sending.smarthost()
    return smarthost.place if smarthost else ""


def _takes(sizes: Sizes, smtp: SmtpConfig, sending: Sending, email: str) -> int | None:
    return sizes.of(destination(smtp, sending, email))


def _listed(kept_by: Sequence[Hosts]) -> Sequence[Host]:
    return [host for hosts in kept_by for host in hosts.listed()]


def own_peer_id(ground: Ground) -> bytes:
    """This node's peer id, known without libp2p."""
    return peer_id_of(SigningKey.from_seed(load_peer_key(ground.home, ground.key)).public)


def _profile(ground: Ground, network: Network | None, hosts: Callable[[], Sequence[Host]]) -> Profile:
    limits = ground.config.limits

    def ours() -> list[Peer]:
        return [node_of(network.peer_id, network.public_addrs())] if network else []

    capabilities = Capabilities(
        max_letter=limits.letter_size, max_attachment=limits.attachment_size, protocols=PROTOCOLS
    )
    if ground.config.network.announce == "all":
        return Profile(nodes=ours, hosts=hosts, capabilities=capabilities, price=limits.price)
    return Profile(told_nodes=ours, hosts=hosts, capabilities=capabilities, price=limits.price)
