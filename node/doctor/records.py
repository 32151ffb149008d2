"""What the DNS has of a domain against what it should have: values in, checks out. zone.py looks them up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.domains import DnsRecord
from node.runtime.rooms import Check, State
from protocol.dns import find_mailio_txt, parse_mailio_txt
from protocol.errors import RemoteProtocolError
from protocol.mtasts import find_id

SHOWN: Final = 200
"""Characters of somebody's record that are shown."""

MOST: Final = 5
"""Hosts or addresses that are named in a line."""

Txt = Sequence[bytes]


def publish(record: DnsRecord) -> str:
    """What mends a record that is not there."""
    return f"publish: {record.zone}"


def of_mx(record: DnsRecord, found: Sequence[tuple[int, str]]) -> Check:
    """Whether mail for the domain is brought to its host."""
    host = record.value.partition(" ")[2]
    hosts = [one for _, one in found]
    if host in hosts:
        others = [one for one in hosts if one != host]
        return Check("mx", "ok", f"mail is brought to {host}" + (f", or to {_and(others)}" if others else ""))
    if not hosts:
        return Check("mx", "fail", "nobody takes this domain's mail: it has no MX record", publish(record))
    if hosts == ["."]:
        return Check(
            "mx", "fail", "its MX record says that it takes no mail at all", f"instead, {publish(record)}"
        )
    text = f"mail is brought to {_and(hosts)}, and not to {host}"
    remedy = (
        f"if that is this server: mailio domain add {record.name} --host {hosts[0]}; else {publish(record)}"
    )
    return Check("mx", "warn", text, remedy)


def of_addresses(host: str, wanted: Sequence[DnsRecord], found: Sequence[str]) -> Check:
    """Whether the mail host's name leads here; `wanted` without values where that is not known."""
    ours = [one.value for one in wanted if one.value]
    if not found:
        first = wanted[0]
        remedy = publish(first) if ours else f"publish: {host}. IN A with the public address of this server"
        return Check("address", "fail", f"{host} has no address", remedy)
    if not ours or set(ours) & set(found):
        return Check("address", "ok", f"{host} is at {_and(found)}")
    text = f"{host} is at {_and(found)}, and this node sees itself at {_and(ours)}"
    return Check("address", "warn", text, f"if that is not this server: {publish(wanted[0])}")


def of_spf(record: DnsRecord, found: Txt) -> Check:
    """Whether the domain says who sends for it (RFC 7208 §4.5: two records are none)."""
    texts = [text for text in map(_text, found) if text.lower().partition(" ")[0] == "v=spf1"]
    if not texts:
        return Check(
            "spf", "fail", "nothing says who sends for this domain: such mail is put aside", publish(record)
        )
    if len(texts) > 1:
        return Check(
            "spf", "fail", "two SPF records count as none", f"leave one, and no other: {record.zone}"
        )
    there, wanted = texts[0].lower().split(), record.value.lower().split()
    missing = [word for word in wanted[1:-1] if word not in there]
    if missing:
        text = f"it does not name all who send: {texts[0][:SHOWN]}"
        return Check("spf", "warn", text, f"put {' '.join(missing)} in; as a whole: {record.zone}")
    return Check("spf", "ok", texts[0][:SHOWN])


@dataclass(frozen=True, slots=True)
class Key:
    """A DKIM key as the book has it; `signed`: letters bear another key's signature meanwhile."""

    selector: str
    state: str
    signed: bool


def of_dkim(key: Key, record: DnsRecord, found: Txt) -> Check:
    """Whether others find the key that letters are signed with (RFC 6376 §3.6.1)."""
    name = f"dkim-{key.selector}"
    wanted, texts = _tags(record.value).get("p", ""), [_tags(_text(one)) for one in found]
    if any(tags.get("p") == wanted for tags in texts):
        return Check(name, "ok", f"published ({key.state})")
    state, text = _without(key)
    if any("p" in tags for tags in texts):
        return Check(
            name,
            "fail",
            "another key is published at its name: signatures do not hold",
            f"instead, {publish(record)}",
        )
    return Check(name, state, text, publish(record))


def of_dmarc(record: DnsRecord, found: Txt) -> Check:
    """Whether the domain says what is to become of mail that only pretends to be its (RFC 7489 §6.6.3)."""
    texts = [text for text in map(_text, found) if text.replace(" ", "").startswith("v=DMARC1")]
    if not texts:
        return Check("dmarc", "warn", "others may put mail out in this domain's name", publish(record))
    if len(texts) > 1:
        return Check(
            "dmarc", "fail", "two DMARC records count as none", f"leave one, and no other: {record.zone}"
        )
    return Check("dmarc", "ok", texts[0][:SHOWN])


def of_mailio(record: DnsRecord, found: Txt) -> Check:
    """Whether other Mailio nodes learn from the domain that it is the owner's (MIR-5)."""
    try:
        key = find_mailio_txt([one] for one in found)
    except RemoteProtocolError as fault:
        return Check(
            "mailio-key", "fail", f"what is published can't be read: {fault}", f"instead, {publish(record)}"
        )
    if key is None:
        return Check(
            "mailio-key", "warn", "other Mailio nodes don't know that this domain is yours", publish(record)
        )
    if key != parse_mailio_txt([record.value]):
        text = "the key of another Mailio identity is published: its owner gets what is sent sealed"
        return Check("mailio-key", "fail", text, f"instead, {publish(record)}")
    return Check("mailio-key", "ok", "other Mailio nodes can see that this domain is yours")


def of_sts(record: DnsRecord, found: Txt) -> Check:
    """Whether the domain announces the policy that this node serves (RFC 8461 §3.1)."""
    try:
        announced = find_id([one] for one in found)
    except RemoteProtocolError as fault:
        return Check(
            "mta-sts", "fail", f"what is published counts as nothing: {fault}", f"instead, {publish(record)}"
        )
    if announced is None:
        text = "nobody asks for the policy that this node serves: it is not announced"
        return Check("mta-sts", "warn", text, publish(record))
    if announced != find_id([[record.value]]):
        text = "an earlier policy is announced: others keep it"
        return Check("mta-sts", "warn", text, f"instead, {publish(record)}")
    return Check("mta-sts", "ok", "the policy is announced")


def _without(key: Key) -> tuple[State, str]:
    """What it means that a key is not published."""
    if key.state == "used":
        return "fail", "not published: the signatures on your letters do not hold"
    if key.state == "waiting" and not key.signed:
        return "fail", "not published: your letters go out unsigned"
    if key.state == "waiting":
        return "warn", "not published yet: letters are signed with the key before it until it is"
    return "warn", "not published any more: letters on their way may not be believed"


def _tags(text: str) -> dict[str, str]:
    """`a=b; c=d` without its white space."""
    pairs = ("".join(part.split()).partition("=") for part in text.split(";"))
    return {name: value for name, equals, value in pairs if equals}


def _text(record: bytes) -> str:
    return record.decode("ascii", "replace").strip()


def _and(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
