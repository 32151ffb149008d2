"""One DKIM-Signature field, read strictly (RFC 6376 §3.5, §6.1.1). Whether it holds is verify.py's."""

import re
from dataclasses import dataclass
from typing import Final

from node.mailauth.tags import parse_base64, parse_list, parse_number, parse_tags
from protocol.email import MAX_DOMAIN, normal_domain
from protocol.errors import RemoteProtocolError

MAX_FIELD_BYTES: Final = 8 * 1024
"""Of the field; a usual one has 500."""

MAX_SIGNED: Final = 200
"""Names in h=; a usual one has ten."""

MAX_B: Final = 1_024
"""Bytes of a signature: one of RSA with 8,192 bits."""

CLOCK_SLACK_S: Final = 3_600
"""An hour by which the signer's clock may differ from ours, and a letter be late."""

ALGORITHMS: Final = frozenset({"rsa-sha256", "ed25519-sha256"})
"""What proves anything: SHA-1 does not any more (RFC 8301 §3.1)."""

_CANONS: Final = frozenset({"simple", "relaxed"})
_SELECTOR: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*", re.ASCII)
_FIELD_NAME: Final = re.compile(r"[\x21-\x39\x3b-\x7e]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a field says. `index` is its place among the fields of this name. Times in Unix seconds."""

    index: int
    domain: str
    selector: str
    algorithm: str
    header_canon: str
    body_canon: str
    signed: tuple[str, ...]
    body_hash: bytes
    value: bytes
    identity: str  # the domain of i=
    length: int | None

    @property
    def key_name(self) -> str:
        """Where its key is published (RFC 6376 §3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"


def domain_of(data: bytes) -> str:
    """What d= says, to name the signature by; "" where it can't be read."""
    try:
        return _domain(parse_tags(data[:MAX_FIELD_BYTES].removesuffix(b"\r\n")))
    except RemoteProtocolError:
        return ""


def parse_signature(data: bytes, index: int, now_s: int) -> Signature:
    """From all after the field's colon. Raises RemoteProtocolError for what can't prove anything now."""
    if len(data) > MAX_FIELD_BYTES:
        raise RemoteProtocolError("the signature is too long")
    tags = parse_tags(data.removesuffix(b"\r\n"))
    for tag in ("v", "a", "b", "bh", "d", "h", "s"):
        if tag not in tags:
            raise RemoteProtocolError(f"{tag}= is missing")
    _check_form(tags)
    _check_time(tags, now_s)
    domain = _domain(tags)
    header_canon, _, body_canon = tags.get("c", "simple").partition("/")
    return Signature(
        index=index,
        domain=domain,
        selector=_selector(tags["s"]),
        algorithm=tags["a"],
        header_canon=header_canon,
        body_canon=body_canon or "simple",
        signed=_signed(tags["h"]),
        body_hash=parse_base64(tags["bh"], "bh"),
        value=_value(tags["b"]),
        identity=_identity(tags.get("i"), domain),
        length=_length(tags.get("l")),
    )


def _check_form(tags: dict[str, str]) -> None:
    if tags["v"] != "1":
        raise RemoteProtocolError("not version 1")
    if tags["a"] not in ALGORITHMS:
        raise RemoteProtocolError("an algorithm that proves nothing")
    if "q" in tags and "dns/txt" not in parse_list(tags["q"]):
        raise RemoteProtocolError("its key is not in the DNS")
    canons = tags.get("c", "simple").split("/")
    if len(canons) > 2 or not _CANONS.issuperset(canons):
        raise RemoteProtocolError("an unknown canonicalization")


def _check_time(tags: dict[str, str], now_s: int) -> None:
    signed, expires = parse_number(tags, "t"), parse_number(tags, "x")
    if signed is not None and signed > now_s + CLOCK_SLACK_S:
        raise RemoteProtocolError("signed in the future")
    if expires is not None and expires < now_s - CLOCK_SLACK_S:
        raise RemoteProtocolError("expired")
    if signed is not None and expires is not None and expires <= signed:  # RFC 6376 §3.5, x=
        raise RemoteProtocolError("expired when it was made")


def _domain(tags: dict[str, str]) -> str:
    try:
        return normal_domain(tags.get("d", ""))
    except RemoteProtocolError:
        raise RemoteProtocolError("d= is no domain") from None


def _selector(text: str) -> str:
    if len(text) > MAX_DOMAIN or not _SELECTOR.fullmatch(text.lower()):
        raise RemoteProtocolError("s= is no name")
    return text.lower()


def _signed(text: str) -> tuple[str, ...]:
    names = tuple(name.lower() for name in parse_list(text))
    if len(names) > MAX_SIGNED or not all(map(_FIELD_NAME.fullmatch, names)):
        raise RemoteProtocolError("h= is no list of fields")
    if "from" not in names:  # RFC 6376 §5.4
        raise RemoteProtocolError("From is not signed")
    return names


def _value(text: str) -> bytes:
    value = parse_base64(text, "b")
    if not 0 < len(value) <= MAX_B:
        raise RemoteProtocolError("b= is no signature")
    return value


def _identity(text: str | None, domain: str) -> str:
    """Its domain: the signer's or one below (RFC 6376 §3.5, i=)."""
    if text is None:
        return domain
    try:
        identity = normal_domain(text.rpartition("@")[2])
    except RemoteProtocolError:
        raise RemoteProtocolError("i= has no domain") from None
    if "@" not in text or not f".{identity}".endswith(f".{domain}"):
        raise RemoteProtocolError("i= is not within d=")
    return identity


def _length(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 76):  # RFC 6376 §3.5, l=
        raise RemoteProtocolError("l= is no number")
    return int(text)
