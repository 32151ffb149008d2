"""What there is to look at in an owner's node, running or not, fitted from its rooms. node.doctor looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from node import doctor
from node.app.domains import records_of
from node.app.ground import Ground, first_peers
from node.app.owner import Owner
from node.app.web import published_policy
from node.doctor import Look, Names
from node.runtime.certificate import ServerCertificate, server_certificate
from node.runtime.config import Config
from node.runtime.dns import Resolver
from node.runtime.rooms import Check, many
from protocol.mtasts import Policy, policy_host

if TYPE_CHECKING:
    from node.hosting import Hosting
    from node.network import Network

START = "start the node: mailio run"


class Room(Protocol):
    """What shows what can be wrong with it."""

    async def checks(self) -> Sequence[Check]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at. On a closed store there is no `network`, nothing is `listening` (None), and
    `certificate` reads the files; it raises NodeError where they can't be used. `way_out` takes ordinary mail
    to others, `pickup` fetches from providers.
    """

    ground: Ground
    owner: Owner
    way_out: Room
    certificate: Callable[[], ServerCertificate | None]
    network: Network | None = None
    hosting: Hosting | None = None
    listening: Mapping[str, str | None] | None = None
    pickup: Room | None = None

    @property
    def config(self) -> Config:
        return self.ground.config


async def examine(patient: Patient, tell: doctor.Tell) -> None:
    """Look at all of it. Names are asked for anew: what is published changes while somebody mends it."""
    await doctor.examine(looks_of(patient, Resolver(patient.config.dns.nameservers)), tell)


async def examine_closed(ground: Ground, owner: Owner, tell: doctor.Tell) -> None:
    """All that can be looked at while the node does not run."""
    patient = Patient(
        ground=ground,
        owner=owner,
        way_out=_WayOut(ground, owner),
        certificate=partial(_certificate_of, ground),
    )
    await examine(patient, tell)


class _WayOut:
    """The smarthost of a node that does not run: there is a connection for the look alone."""

    def __init__(self, ground: Ground, owner: Owner) -> None:
        self._ground = ground
        self._owner = owner

    async def checks(self) -> Sequence[Check]:
        from node.app.mail import greeting_name, smarthost_outlet
        from node.runtime.bridge import open_bridge
        from node.smtp import Lines

        if self._ground.config.smtp.direct:
            return [Check("port-25-out", "skip", "not looked at: the node is not running", START)]
        async with open_bridge() as bridge:
            outlet = smarthost_outlet(self._ground, self._owner, Lines(bridge, greeting_name(self._owner)))
            try:
                return await outlet.checks()
            finally:
                await outlet.aclose()


async def examine_public(
    ground: Ground, network: Network, hosting: Hosting | None, tell: doctor.Tell
) -> None:
    """What there is to look at in a node without an owner."""
    looks = [*_ground(ground, hosting), *_peers(ground, network)]
    await doctor.examine(looks, tell)


def looks_of(patient: Patient, names: Names) -> list[Look]:
    """In the order in which they are read."""
    domains = sorted(patient.owner.domains.names())
    return [
        *_node(patient, names),
        *_network(patient),
        *_mail(patient, names),
        *(look for name in domains for look in _domain(patient, names, name)),
    ]


def _node(patient: Patient, names: Names) -> list[Look]:
    owner = patient.owner
    return [
        *_ground(patient.ground, patient.hosting),
        Look("node", "files", owner.files.checks),
        Look("node", "letters", owner.mailbox.checks),
        Look("node", "dns", doctor.name_server(names)),
    ]


def _ground(ground: Ground, hosting: Hosting | None) -> list[Look]:
    return [
        Look("node", "clock", doctor.clock(ground.watch)),
        Look("node", "disk", doctor.disk(ground.store)),
        *([Look("node", "hosting", hosting.checks)] if hosting is not None else []),
    ]


def _network(patient: Patient) -> list[Look]:
    if patient.network is None:
        return [Look("network", "listening", _not_running("listening"))]
    return [
        *_peers(patient.ground, patient.network),
        Look("network", "hosts", partial(_hosts, patient.owner)),
    ]


def _peers(ground: Ground, network: Network) -> list[Look]:
    reached = doctor.first_peers(first_peers(ground.config), network.connect)
    return [Look("network", "peers", network.checks), Look("network", "first-peers", reached)]


def _mail(patient: Patient, names: Names) -> list[Look]:
    owner, smtp = patient.owner, patient.config.smtp
    hosts = partial(_hosts_of_domains, owner)
    certificate = doctor.certificate(
        patient.certificate, partial(_names_wanted, patient), patient.ground.clock
    )
    return [
        Look("mail", "addresses", partial(_addresses, patient)),
        *_listeners(patient, names, hosts),
        Look("mail", "certificate", certificate),
        Look("mail", "way-out", patient.way_out.checks),
        Look("mail", "reverse-dns", doctor.reverse(names, hosts, direct=smtp.direct)),
        *(
            [Look("mail", "provider", partial(_providers, patient.pickup))]
            if patient.pickup is not None
            else []
        ),
        *([] if owner.domains.names() else [Look("mail", "domains", _no_domains)]),
    ]


def _listeners(patient: Patient, names: Names, hosts: Callable[[], Sequence[str]]) -> list[Look]:
    listening = patient.listening
    if listening is None:
        return [Look("mail", name, _not_running(name)) for name in ("receiver", "submission")]
    taken, greets = listening.get("smtp"), patient.owner.domains.hostname or "localhost"
    receiver = doctor.answers("receiver", taken, "mail is taken", "mailio config set smtp.host 127.0.0.1")
    submission = doctor.answers(
        "submission",
        listening.get("submission"),
        "mail programs hand in",
        "mailio config set submission.host 127.0.0.1",
    )
    return [
        Look("mail", "receiver", receiver),
        Look("mail", "port-25", doctor.outside(names, hosts, taken, greets)),
        Look("mail", "submission", submission),
        Look("mail", "https", doctor.https(listening.get("http"))),
    ]


def _domain(patient: Patient, names: Names, name: str) -> list[Look]:
    owner = patient.owner
    records = partial(records_of, owner, patient.network, name)
    return [
        Look(name, "dns", doctor.domain(names, partial(owner.domains.row, name), records)),
        Look(name, "mta-sts-policy", doctor.policy(names, name, partial(_policy, patient, name))),
    ]


def _policy(patient: Patient, name: str) -> Policy | None:
    host = patient.owner.domains.host_of(name)
    return published_policy(patient.config, host) if host else None


def _hosts_of_domains(owner: Owner) -> list[str]:
    """Each once."""
    hosts = (owner.domains.host_of(name) for name in sorted(owner.domains.names()))
    return list(dict.fromkeys(filter(None, hosts)))


def _names_wanted(patient: Patient) -> list[str]:
    """What the certificate should name."""
    names = sorted(patient.owner.domains.names())
    policies = [policy_host(name) for name in names if _policy(patient, name)]
    return [*_hosts_of_domains(patient.owner), *policies]


# ---- what no single room can say


def _certificate_of(ground: Ground) -> ServerCertificate | None:
    """What the settings name, as the files are now. Raises NodeError."""
    tls = ground.config.tls
    return server_certificate(tls.certificate, tls.key, ground.clock)


def _not_running(name: str) -> Callable[[], Any]:
    async def look() -> Sequence[Check]:
        return [Check(name, "skip", "not looked at: the node is not running", START)]

    return look


async def _hosts(owner: Owner) -> Sequence[Check]:
    rows: list[dict[str, Any]] = [dict(row) for row in owner.hosts.status()]
    if not rows:
        text = "no host keeps letters for you while this node is off"
        return [Check("hosts", "skip", text, "mailio host add ADDRESS")]
    if warnings := owner.hosts.warnings():
        return [Check("hosts", "warn", one.text, one.remedy) for one in warnings]
    return [Check("hosts", "ok", f"{many(len(rows), 'host')} up to date")]


async def _addresses(patient: Patient) -> Sequence[Check]:
    addresses = patient.owner.emails.texts()
    if not addresses:
        text = "you have no e-mail address here: ordinary mail is refused"
        return [Check("addresses", "skip", text, "mailio config set mail.addresses you@example.org")]
    return [Check("addresses", "ok", f"mail for {', '.join(addresses)} is yours")]


async def _providers(pickup: Room) -> Sequence[Check]:
    if checks := await pickup.checks():
        return checks
    text = "no mailbox elsewhere is fetched from"
    return [Check("provider", "skip", text, "mailio provider add you@example.org")]


async def _no_domains() -> Sequence[Check]:
    text = "no domain of your own: its DNS would be looked at here"
    return [Check("domains", "skip", text, "mailio domain add example.org")]
