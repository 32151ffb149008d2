"""Opens the bridge to ordinary e-mail: the asyncio thread, both listeners, the carrier. Says how it stands.

What comes of a letter is node.smtp's; who may open what is checked here, before anything listens.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from node.app.ground import Ground
from node.app.owner import Owner
from node.letters import Reader
from node.mailauth import MailAuth, Names
from node.runtime.bridge import open_bridge
from node.runtime.config import ConfigError
from node.runtime.dns import Resolver
from node.runtime.rooms import Warning_
from node.runtime.settings_mail import Smarthost, parse_smarthost
from node.smtp import (
    HandIn,
    Hops,
    Listener,
    ListenFailed,
    MailIntake,
    Networks,
    SmtpCarrier,
    open_receiver,
    open_submission,
    server_context,
)
from protocol.addresses import Addresses

NOBODY: Final = "[127.0.0.1]"
"""How this node greets where it has no domain of its own (RFC 5321 §4.1.3): says nothing of the machine."""


@dataclass(frozen=True, slots=True)
class Mail:
    """The open bridge."""

    intake: MailIntake
    carrier: SmtpCarrier
    receiver: Listener | None
    submission: Listener | None
    smarthost: Smarthost | None

    def listening(self) -> dict[str, str | None]:
        """Where: host:port, None for what is not open."""
        return {"smtp": _where(self.receiver), "submission": _where(self.submission)}

    def status(self) -> dict[str, Any]:
        """Counts, and how sending stands: for `status --json`."""
        return {
            **self.intake.counts(),
            "receiver": dict(self.receiver.counters) if self.receiver else None,
            "submission": dict(self.submission.counters) if self.submission else None,
            "smarthost": self._sending(),
        }

    def warnings(self) -> list[Warning_]:
        """What the owner should know."""
        return list(self.carrier.warnings())

    def _sending(self) -> dict[str, str]:
        if self.smarthost is None:
            return {"state": "none", "host": "", "text": "no smarthost is set"}
        host = f"{self.smarthost.host}:{self.smarthost.port}"
        if fault := self.carrier.fault:
            return {"state": "fault", "host": host, "text": fault.text}
        return {"state": "ok" if self.carrier.worked else "unknown", "host": host, "text": ""}


@asynccontextmanager
async def open_mail(ground: Ground, owner: Owner) -> AsyncIterator[Mail]:
    """Open what the settings ask for. Raises NodeError: a port that is taken, a certificate that can't be
    read, passwords that would cross a network in the clear.
    """
    config = ground.config
    tls = server_context(config.tls.certificate, config.tls.key)
    if config.submission.host and tls is None:
        _require_loopback(config.submission.host)
    smarthost = parse_smarthost(config.smtp.smarthost) if config.smtp.smarthost else None
    hostname = config.smtp.domains[0] if config.smtp.domains else NOBODY
    hops = Hops(Networks.parse(config.smtp.trusted))
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(open_bridge())
        carrier = SmtpCarrier(
            bridge,
            lambda: smarthost,
            owner.passwords.smarthost,
            ground.clock,
            hostname=hostname,
            max_size=config.limits.mail_size,
        )
        owner.carriers["smtp"] = carrier
        stack.push_async_callback(carrier.aclose)
        names = Resolver(config.dns.nameservers)
        intake, receiver, submission = fit_intake(ground, owner, names, hops), None, None
        common: Mapping[str, Any] = {
            "max_size": config.limits.mail_size,
            "tls": tls,
            "hostname": hostname if config.smtp.domains else "localhost",
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
        yield Mail(intake, carrier, receiver, submission, smarthost)


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
    config = ground.config
    addresses, domains = Addresses.parse(config.mail.addresses), frozenset(config.smtp.domains)

    def requested(name: str) -> None:
        ground.events.publish("handshake", {"handshakeId": "", "address": name, "status": "request"})

    return MailIntake(
        ground.store,
        owner.consent,
        owner.mailbox,
        Reader(ground.porter),
        MailAuth(names, ground.porter, ground.clock),
        ground.clock,
        addresses,
        lambda: domains,
        requested,
        owner.files,
        owner.outbox.report,
        hops=hops,
        name=hostname_of(config.smtp.domains, addresses),
    )


def hostname_of(domains: Sequence[str], addresses: Addresses) -> str:
    """What we call ourselves in what we say of letters: our first domain, else the owner's."""
    main = addresses.main or ""
    return next(iter(domains), "") or main.rpartition("@")[2] or "localhost"


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
