"""What the domain in From asks for where nothing proves that a message is its own (DMARC, RFC 7489). Reports
are not sent, so the addresses for them are passed over.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from node.mailauth.alignment import aligned, organisation
from node.mailauth.judgement import Dmarc, Hop, Proof, Spf
from node.runtime.errors import DnsLater
from protocol.email import normal_domain
from protocol.errors import RemoteProtocolError

MAX_RECORD_BYTES: Final = 4_096
"""Of a TXT record; a usual one has 100."""

MAX_TAGS: Final = 64
"""Tags in it; the RFC knows eleven."""

SAMPLE_BYTES: Final = 64 * 1024
"""Bytes at a message's beginning by which pct= draws its lot: the same one when it comes again."""

_WEAKER: Final = {"none": "none", "quarantine": "none", "reject": "quarantine"}
"""What happens to those that pct= leaves out (RFC 7489 §6.6.4)."""

_SPACE: Final = " \t"


@dataclass(frozen=True, slots=True)
class Record:
    """What a domain has published. `policy` is for itself, `below` for names below it."""

    policy: str
    below: str
    strict_dkim: bool = False
    strict_spf: bool = False
    percent: int = 100


class Names(Protocol):
    """The DNS, as Resolver is it."""

    async def txt(self, name: str) -> tuple[bytes, ...]: ...


class Policy:
    """What the domain in From asks for, on its way. As long as that was not answered it is `later`."""

    def __init__(self, names: Names, author_domain: str) -> None:
        self._names = names
        self.record: Record | None = None
        self.below = False  # whether the domain is one below that of the record
        try:
            self.domain = normal_domain(author_domain)
        except RemoteProtocolError:
            self.domain = ""
        self.later = bool(self.domain)

    async def ask(self) -> None:
        """At the domain, then at its organisational domain (RFC 7489 §6.6.3)."""
        if not self.domain:
            return
        top = organisation(self.domain)
        try:
            records = await self._records(self.domain)
            if not records and top is not None and top != self.domain:
                records, self.below = await self._records(top), True
        except DnsLater:
            return
        self.later = False
        if len(records) == 1:
            self.record = _record_or_none(records[0])

    async def _records(self, domain: str) -> list[bytes]:
        return [text for text in await self._names.txt(f"_dmarc.{domain}") if _is_record(text)]


def evaluate(policy: Policy, proof: Proof, spf: Spf, hop: Hop, raw: bytes) -> Dmarc:
    """What comes of it (RFC 7489 §6.6.2). As long as something might still pass, nothing is refused."""
    if policy.later:
        return Dmarc("temperror", policy.domain, "none")
    record = policy.record
    if record is None:
        return Dmarc("none", policy.domain, "none")
    passed = [spf.domain] if spf.result == "pass" else []
    if _any(record.strict_dkim, policy.domain, proof.domains) or _any(
        record.strict_spf, policy.domain, passed
    ):
        return Dmarc("pass", policy.domain, "none")
    unsure = [spf.domain] if spf.result == "temperror" else []
    if _any(record.strict_dkim, policy.domain, proof.later) or _any(record.strict_spf, policy.domain, unsure):
        return Dmarc("temperror", policy.domain, "none")
    if not hop.client:
        return Dmarc("none", policy.domain, "none")
    asked = record.below if policy.below else record.policy
    return Dmarc("fail", policy.domain, asked if _drawn(raw, record.percent) else _WEAKER[asked])


def parse_record(data: bytes) -> Record:
    """Of what is a record by its beginning. Raises RemoteProtocolError where it says nothing (§6.6.3);
    what is wrong in other places is passed over (§6.3).
    """
    if len(data) > MAX_RECORD_BYTES or not data.isascii():
        raise RemoteProtocolError("not a DMARC record")
    specs = data.decode().split(";")
    if len(specs) > MAX_TAGS:
        raise RemoteProtocolError(f"more than {MAX_TAGS} tags")
    tags: dict[str, str] = {}
    for name, _, value in (spec.partition("=") for spec in specs):
        if tags.setdefault(name.strip(_SPACE), value.strip(_SPACE)) != value.strip(_SPACE):
            raise RemoteProtocolError("a tag with two values")
    policy = tags.get("p", "").lower()
    below = tags.get("sp", policy).lower()
    if policy not in _WEAKER or below not in _WEAKER:
        if "mailto:" not in tags.get("rua", "").lower():
            raise RemoteProtocolError("no policy")
        policy = below = "none"
    return Record(
        policy,
        below,
        tags.get("adkim", "").lower() == "s",
        tags.get("aspf", "").lower() == "s",
        _percent(tags.get("pct", "")),
    )


def _is_record(text: bytes) -> bool:
    """Whether it begins as one (RFC 7489 §6.4, dmarc-version)."""
    name, equals, value = text[:MAX_RECORD_BYTES].partition(b";")[0].partition(b"=")
    return bool(equals) and name.rstrip(b" \t") == b"v" and value.strip(b" \t") == b"DMARC1"


def _record_or_none(data: bytes) -> Record | None:
    try:
        return parse_record(data)
    except RemoteProtocolError:
        return None


def _percent(text: str) -> int:
    """100 where it is no percentage."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 100 else 100


def _any(strict: bool, author: str, domains: Iterable[str]) -> bool:
    return author in domains or (not strict and aligned(author, domains))


def _drawn(raw: bytes, percent: int) -> bool:
    digest = hashlib.blake2b(raw[:SAMPLE_BYTES], digest_size=8).digest()
    return int.from_bytes(digest) % 100 < percent
