"""An owner's rooms between network and API, made and fitted to each other. Nothing runs here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from node.app.addresses import OwnAddresses
from node.app.errors import NoIdentity
from node.app.ground import Ground, files_of
from node.app.hosts import Doorstep, fit_hosts, fit_vault
from node.app.offline import Offline, Parked
from node.app.providers import Mailboxes, Sending
from node.consent import Consent, Limits
from node.domains import Domains
from node.files import Files
from node.handshakes import Handshakes
from node.hosts import Hosts
from node.hosts.vault import Vault
from node.identity import Identity, Profile, ask_binding, ask_identity, exists, load, load_peer_key, node_of
from node.letters import Failure, Mailbox, UploadBook, delay_notice, failure_notice, new_message_id
from node.names import Bindings, Names
from node.outbox import DIRECT, GIVE_UP_MS, MAILIO, SMARTHOST, SMTP, Carrier, Delivery, Letter, Outbox, Sizes
from node.outbox.submission import Submission
from node.pickup import Providers
from node.runtime.config import SmtpConfig
from node.runtime.settings import duration_ms
from node.storage import Batch
from node.users import Passwords, Users
from protocol.account import peer_id_of
from protocol.exchange_identity import PROTOCOL_ID as IDENTITY
from protocol.identity import Capabilities, Host
from protocol.keys import SigningKey, mailbox_of
from protocol.letter import SEALING
from protocol.offer import PROTOCOL_ID as LETTER
from protocol.peers import Peer
from protocol.status import FAILED, Status

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
    hosts_of = partial(_listed, kept_by)
    identity.attach(ground.store, _profile(ground, network, hosts_of))
    files, scope = files_of(ground), identity.address.encode()
    await files.start()
    uploads = UploadBook(ground.store, files, scope, ground.clock, ground.config.limits.attachment_size)
    names, mailbox = _names(ground, network), _mailbox(ground, files, scope)
    bindings = _bindings(ground, network, dns, names, identity)
    consent = _consent(ground, identity, peer_id, names, mailbox)
    await consent.start()
    vault, doorstep = fit_vault(ground, identity, consent, names), Doorstep()
    hosts = fit_hosts(ground, network, identity, consent, names, files, vault, doorstep)
    kept_by.append(hosts)
    carriers: dict[str, Carrier] = {MAILIO: Parked(), SMTP: Parked()}
    notices = Notices(mailbox, identity)
    outbox = Outbox(
        ground.store,
        ground.clock,
        ground.events,
        carriers,
        notices,
        files,
        ground.doubtful,
        delays=notices.delayed,
    )
    passwords = Passwords(ground.store)
    book = Providers(ground.store, passwords, ground.clock)
    emails = OwnAddresses(ground.config.mail.addresses, (one.address for one in book.all()))
    sending = Sending(ground.config.smtp.smarthost, passwords, book)
    domains = Domains(ground.store, ground.clock, ground.config.smtp.domains, dns)
    await domains.start()
    handshakes = Handshakes(
        ground.store,
        consent,
        names,
        mailbox,
        outbox,
        identity,
        ground.clock,
        ground.events,
        network.listen_addrs if network else tuple,
        emails,
    )
    submission = Submission(
        ground.store,
        names,
        mailbox,
        outbox,
        lambda: identity.address,
        ground.clock,
        consent,
        discovery=bindings,
        addresses=emails,
        way_back=handshakes,
        can_mail=lambda: ground.config.smtp.direct or sending.smarthost() is not None,
        mail_size=ground.config.limits.mail_size,
        takes=partial(_takes, Sizes(ground.store, ground.clock), ground.config.smtp, sending),
        domains=domains,
        files=files,
        uploads=uploads,
        pin=duration_ms(ground.config.files.pin),
    )
    yield Owner(
        ground,
        peer_id,
        identity,
        names,
        bindings,
        consent,
        mailbox,
        outbox,
        submission,
        handshakes,
        carriers,
        Users(ground.store, ground.clock),
        passwords,
        domains,
        files,
        uploads,
        vault,
        hosts,
        doorstep,
        emails,
        sending,
        Mailboxes(book, ground.store, emails, lambda: outbox.wake(SMARTHOST, SMTP)),
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


def _names(ground: Ground, network: Network | None) -> Names:
    directory = network or Offline()
    ask = partial(ask_identity, network) if network else Offline().ask
    return Names(ground.store, directory, ask, ground.clock, ground.doubtful)


def _bindings(
    ground: Ground, network: Network | None, dns: Resolver | None, names: Names, identity: Identity
) -> Bindings:
    return Bindings(
        names,
        ground.store,
        dns,
        network or Offline(),
        partial(ask_binding, network) if network else Offline().ask_binding,
        ground.searcher,
        ground.clock,
        ground.doubtful,
        identity.public_key,
    )


def _mailbox(ground: Ground, files: Files, scope: bytes) -> Mailbox:
    limits = ground.config.limits
    return Mailbox(
        ground.store,
        ground.reader,
        ground.events,
        ground.store.index,
        files=files,
        scope=scope,
        unasked=ground.config.files.fetch,
        waiting_letters=limits.handshake_letters,
        waiting_bytes=limits.handshake_bytes,
        heavy=ground.porter,
    )


def _consent(ground: Ground, identity: Identity, peer_id: bytes, names: Names, mailbox: Mailbox) -> Consent:
    limits = ground.config.limits
    return Consent(
        ground.store,
        identity.secrets,
        peer_id,
        ground.clock,
        ground.searcher,
        limits=Limits(letter_bytes=limits.letter_size + SEALING, price=limits.price),
        doubtful=ground.doubtful,
        fullness=mailbox.room,
        forgotten=names.forget,
    )


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


class Notices:
    """Puts notices into the inbox: of failure in the batch that ends the letter (outbox.Notices)."""

    def __init__(self, mailbox: Mailbox, identity: Identity) -> None:
        self._mailbox = mailbox
        self._identity = identity

    def __call__(
        self, batch: Batch, letter: Letter, delivery: Delivery, body: bytes | None, now: int
    ) -> None:
        raw = failure_notice(
            self._owner(),
            letter.subject,
            letter.created,
            [_told(delivery)],
            body or b"",
            now,
            new_message_id(),
        )
        self._mailbox.put_notice(batch, raw, now, letter.letter_id.hex())

    def delayed(
        self, batch: Batch, letter: Letter, late: Sequence[Delivery], body: bytes | None, now: int
    ) -> None:
        """The letter is still on its way to these (outbox.Delays)."""
        until = max(one.since for one in late) + GIVE_UP_MS
        told = [_told(one) for one in late]
        raw = delay_notice(
            self._owner(), letter.subject, letter.created, told, until, body or b"", now, new_message_id()
        )
        self._mailbox.put_notice(batch, raw, now, letter.letter_id.hex())

    def _owner(self) -> tuple[str, str]:
        return "", mailbox_of(self._identity.address)


def _told(delivery: Delivery) -> Failure:
    status = Status(delivery.code or FAILED.code)
    email = delivery.recipient.address if delivery.recipient.route == SMTP else ""
    return Failure(delivery.recipient.to, status, delivery.detail or status.text, email=email)
