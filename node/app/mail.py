"""Opens the bridge to ordinary e-mail: the asyncio thread, both listeners, the carrier. Says how it stands.

What comes of a letter is node.smtp's; who may open what is checked here, before anything listens.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from node.app.ground import Ground
from node.app.owner import Owner, destination
from node.app.providers import fit_pickup
from node.domains import Domains
from node.letters import Reader
from node.mailauth import MailAuth, Names
from node.outbox import DIRECT, Sizes, Unsealed
from node.pickup.room import Pickup
from node.runtime.bridge import open_bridge
from node.runtime.certificate import ServerCertificate, server_certificate
from node.runtime.config import ConfigError
from node.runtime.dns import Resolver
from node.runtime.rooms import Warning_
from node.runtime.sections import SmtpConfig
from node.smtp import (
    DirectOutlet,
    Exchangers,
    HandIn,
    Hops,
    Lines,
    Listener,
    ListenFailed,
    MailIntake,
    Networks,
    Ourselves,
    Outlet,
    Policies,
    Reach,
    SmarthostOutlet,
    SmtpCarrier,
    open_receiver,
    open_submission,
)
from protocol.addresses import OwnEmails

NOBODY: Final = "[127.0.0.1]"
"""How this node greets where it has no domain of its own (RFC 5321 §4.1.3): says nothing of the machine."""


MAIL_PORT: Final = 25


@dataclass(frozen=True, slots=True)
class Mail:
    """The open bridge."""

    intake: MailIntake
    outlet: Outlet
    receiver: Listener | None
    submission: Listener | None
    certificate: ServerCertificate | None
    pickup: Pickup

    async def run(self) -> None:
        """Keep the certificate up to date."""
        if self.certificate is not None:
            await self.certificate.run()

    def listening(self) -> dict[str, str | None]:
        """Where: host:port, None for what is not open."""
        return {"smtp": _where(self.receiver), "submission": _where(self.submission)}

    def status(self) -> dict[str, Any]:
        """Counts, and how sending stands: for `status --json`."""
        return {
            **self.intake.counts(),
            "receiver": dict(self.receiver.counters) if self.receiver else None,
            "submission": dict(self.submission.counters) if self.submission else None,
            **self.outlet.status(),
        }

    def warnings(self) -> list[Warning_]:
        """What the owner should know."""
        shown = self.certificate.warnings() if self.certificate is not None else []
        return [*self.outlet.warnings(), *self.pickup.warnings(), *shown]


@asynccontextmanager
async def open_mail(ground: Ground, owner: Owner, names: Resolver) -> AsyncIterator[Mail]:
    """Open what the settings ask for; `names` is the DNS. Raises NodeError: a port that is taken, a
    certificate that can't be read, passwords that would cross a network in the clear.
    """
    config = ground.config
    certificate = server_certificate(config.tls.certificate, config.tls.key, ground.clock)
    if config.submission.host and certificate is None:
        _require_loopback(config.submission.host)
    hostname = owner.domains.hostname
    hops = Hops(Networks.parse(config.smtp.trusted))
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(open_bridge())
        outlet = await fit_outlet(ground, owner, names, Lines(bridge, greeting_name(owner)))
        stack.push_async_callback(outlet.aclose)
        owner.carriers["smtp"] = Unsealed(await fit_carrier(ground, owner, outlet), owner.bindings)
        intake, receiver, submission = fit_intake(ground, owner, names, hops), None, None
        pickup = fit_pickup(ground, owner, intake, names)
        common: Mapping[str, Any] = {
            "max_size": config.limits.mail_size,
            "tls": certificate.context if certificate is not None else None,
            "hostname": hostname or "localhost",
            "hops": hops,
        }
        if config.smtp.host:
            opened = open_receiver(bridge, config.smtp.host, config.smtp.port, intake, **common)
            receiver = await stack.enter_async_context(_named(opened, "smtp"))
        if config.submission.host:
            hand_in = HandIn(owner.submission, owner.users.check)
            opened = open_submission(
                bridge, config.submission.host, config.submission.port, hand_in, **common
            )
            submission = await stack.enter_async_context(_named(opened, "submission"))
        yield Mail(intake, outlet, receiver, submission, certificate, pickup)


async def fit_outlet(ground: Ground, owner: Owner, names: Resolver, lines: Lines) -> Outlet:
    """The way out that the settings choose."""
    smtp = ground.config.smtp
    if not smtp.direct:
        return smarthost_outlet(ground, owner, lines)
    reach = Reach(Networks.parse(smtp.networks))
    policies = Policies(ground.store, names, reach, ground.clock)
    await policies.tidy()
    ourselves = Ourselves(lambda: _known_as(owner.domains), lambda: _listens_at(smtp))
    routes = Exchangers(names, reach, ourselves)
    return DirectOutlet(lines, routes, policies, ground.clock, has_name=bool(owner.domains.hostname))


def smarthost_outlet(ground: Ground, owner: Owner, lines: Lines) -> SmarthostOutlet:
    """The way out through the smarthost, also where none is set."""
    sending = owner.sending
    return SmarthostOutlet(
        lines,
        sending.smarthost,
        sending.password,
        ground.clock,
        remedy=sending.remedy,
        own=sending.own,
    )


def greeting_name(owner: Owner) -> str:
    """How we greet the servers that take our mail."""
    return owner.domains.hostname or NOBODY


def _known_as(domains: Domains) -> frozenset[str]:
    hosts = (domains.host_of(name) for name in domains.names())
    return domains.names() | {domains.hostname} | {host for host in hosts if host}


def _listens_at(smtp: SmtpConfig) -> frozenset[str]:
    """Where mail of others would come back to us. Who listens on every address, or behind a router, is known
    by how it greets.
    """
    return frozenset([smtp.host]) if smtp.host and smtp.port == MAIL_PORT else frozenset()


async def fit_carrier(ground: Ground, owner: Owner, outlet: Outlet) -> SmtpCarrier:
    """It signs for the owner's domains, and remembers what size destinations take."""
    smtp, sizes = ground.config.smtp, Sizes(ground.store, ground.clock)
    await sizes.tidy()

    async def known(lane: str, size: int | None) -> None:
        await sizes.learn(destination(smtp, owner.sending, lane.removeprefix(DIRECT)), size)

    return SmtpCarrier(outlet, max_size=ground.config.limits.mail_size, sign=owner.domains.sign, known=known)


@asynccontextmanager
async def _named(opened: AbstractAsyncContextManager[Listener], section: str) -> AsyncIterator[Listener]:
    """Tells which settings a listener that can't be opened has its place from."""
    async with AsyncExitStack() as stack:
        try:
            listener = await stack.enter_async_context(opened)
        except ListenFailed as fault:
            remedy = f"choose another: mailio config set {section}.port 0 picks a free one"
            raise ListenFailed(fault.code, fault.text, remedy) from fault
        yield listener


def fit_intake(ground: Ground, owner: Owner, names: Names, hops: Hops = Hops()) -> MailIntake:
    """What takes ordinary mail in; `names` looks up what domains have published."""

    def requested(name: str) -> None:
        ground.events.publish("handshake", {"handshakeId": "", "address": name, "status": "request"})

    return MailIntake(
        ground.store,
        owner.consent,
        owner.mailbox,
        Reader(ground.porter),
        MailAuth(names, ground.porter, ground.clock),
        ground.clock,
        owner.emails,
        owner.domains.names,
        requested,
        owner.files,
        owner.outbox.report,
        hops=hops,
        name=hostname_of(owner.domains, owner.emails),
    )


def hostname_of(domains: Domains, addresses: OwnEmails) -> str:
    """What we call ourselves in what we say of letters: our server's name, else the owner's domain."""
    main = addresses.main or ""
    return domains.hostname or main.rpartition("@")[2] or "localhost"


def _require_loopback(host: str) -> None:
    if not ipaddress.ip_address(host).is_loopback:
        raise ConfigError(
            "submission-tls",
            f"submission.host is {host}: without a certificate passwords would cross the network bare",
            "set tls.certificate and tls.key, or submission.host to 127.0.0.1",
        )


def _where(listener: Listener | None) -> str | None:
    if listener is None:
        return None
    host, port = listener.address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
