"""The DNS records that a domain needs, as they are typed into a form and as a zone file has them. Nothing is
looked up here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from node.domains.book import Domain
from protocol import dns, mtasts

STRING: Final = 255
"""Bytes of one string of a TXT record (RFC 1035 §3.3.14)."""

SENDERS: Final = {
    "gmail.com": "_spf.google.com",
    "google.com": "_spf.google.com",
    "office365.com": "spf.protection.outlook.com",
    "outlook.com": "spf.protection.outlook.com",
    "messagingengine.com": "spf.messagingengine.com",
    "fastmail.com": "spf.messagingengine.com",
    "sendgrid.net": "sendgrid.net",
    "mailgun.org": "mailgun.org",
    "amazonaws.com": "amazonses.com",
}
"""What the providers of these smarthosts have their customers include in SPF."""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """`name` and names in `value` without the last dot; `value` is "" where only its owner knows it. `why`
    says what it is for, in a sentence's half.
    """

    name: str
    type: str
    value: str
    why: str

    @property
    def zone(self) -> str:
        """Its line in a zone file, "" while it has no value; a long TXT in strings of 255 bytes, which are
        one text to readers.
        """
        value = self.value
        if not value:
            return ""
        if self.type == "TXT":
            strings = (value[at : at + STRING] for at in range(0, len(value), STRING))
            value = " ".join('"{}"'.format(one.replace("\\", "\\\\").replace('"', '\\"')) for one in strings)
        elif self.type in ("MX", "CNAME"):
            value += "."
        return f"{self.name}. IN {self.type} {value}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What records say of this node besides its keys. `addresses` are the public ones of its machine, as far
    as they are known; `smarthost` is who sends for it, "" where it sends itself; `policy` is None where none
    is served.
    """

    identity_public: bytes
    addresses: tuple[str, ...] = ()
    smarthost: str = ""
    policy: mtasts.Policy | None = None


def records_of(domain: Domain, facts: Facts, now: int) -> tuple[DnsRecord, ...]:
    """All that are to be published, in the order in which they matter."""
    return (
        DnsRecord(domain.name, "MX", f"10 {domain.host}", "brings the mail of your domain to this server"),
        *_addresses(domain.host, facts.addresses),
        DnsRecord(domain.name, "TXT", *_spf(facts.smarthost)),
        *dkim_records(domain, now),
        DnsRecord(
            f"_dmarc.{domain.name}",
            "TXT",
            "v=DMARC1; p=quarantine",
            "has others put mail aside that only pretends to be from your domain",
        ),
        DnsRecord(
            dns.txt_name(domain.name),
            "TXT",
            dns.format_key(facts.identity_public),
            "tells other Mailio nodes whose this domain is, so that they send sealed letters",
        ),
        *_mta_sts(domain, facts.policy),
    )


def dkim_records(domain: Domain, now: int) -> Iterator[DnsRecord]:
    """Of the keys that have to be published."""
    for key in domain.keys:
        if key.state(now) == "remove":
            continue
        why = {
            "waiting": "the key that your letters are to be signed with",
            "used": "the key that your letters are signed with",
        }.get(key.state(now), "an earlier key, for letters still on their way")
        yield DnsRecord(key.name(domain.name), "TXT", key.txt, why)


def _addresses(host: str, addresses: Sequence[str]) -> Iterator[DnsRecord]:
    if not addresses:
        yield DnsRecord(host, "A", "", "leads to this server: put its public IPv4 address here (AAAA: IPv6)")
    for address in addresses:
        kind = "A" if ip_address(address).version == 4 else "AAAA"
        yield DnsRecord(host, kind, address, "leads to this server")


def _spf(smarthost: str) -> tuple[str, str]:
    """Value and reason. `~all` while not all is known who sends: with `-all` good mail would be refused."""
    if not smarthost:
        return "v=spf1 mx -all", "says that only this server sends mail of your domain"
    for ending, include in SENDERS.items():
        if f".{smarthost}".endswith(f".{ending}"):
            return f"v=spf1 mx include:{include} -all", f"says that {smarthost} sends for your domain"
    return (
        "v=spf1 mx ~all",
        f"says who sends: put what {smarthost} wants (include:…) before ~all, then make it -all",
    )


def _mta_sts(domain: Domain, policy: mtasts.Policy | None) -> Iterator[DnsRecord]:
    if policy is None:
        return
    yield DnsRecord(
        mtasts.policy_host(domain.name), "CNAME", domain.host, "leads to the policy that this node serves"
    )
    yield DnsRecord(
        mtasts.txt_name(domain.name),
        "TXT",
        mtasts.format_txt(policy),
        "has others bring mail only encrypted, to servers of the policy; it changes with the policy",
    )
