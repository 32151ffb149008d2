"""Real mails, bent by chance, through the parser and the judge: python -m tests.kit.mutations COUNT [SEED]

Each is read as the receiver reads it, with records and keys in the DNS for the domains that stand in the
mails. Prints how many there were, what came of them and the slowest; exit 1 where one broke a promise.
"""

import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import trio

from node.letters.limits import check_bytes
from node.letters.parse import Summary, summarize
from node.mailauth import (
    Hop,
    Judgement,
    MailAuth,
    authentication_results,
    provider_results,
    without_results,
)
from node.mailauth.header import split_header
from node.mailauth.signature import parse_signature
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError
from tests.kit.corpus import mails
from tests.kit.dkim_keys import rsa_key
from tests.kit.mailauths import NOW, mail_auth
from tests.kit.names_server import Names, open_names

SLOW_S: Final = 1.0
"""Seconds that no mail may take."""

PIECES: Final = (
    b"\x00",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"From: x@example.org\r\n",
    b"From: a@example.org, b@example.net\r\n",
    b"From: friends: a@example.org, b@example.net;\r\n",
    b"From: \r\n",
    b"Sender: x@example.org\r\n",
    b"Authentication-Results: mx.provider.example; dkim=pass header.d=example.org\r\n",
    b"Authentication-Results : x\r\n (\r\n",
    b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=sel; h=from; bh=AA==; b=AA==\r\n",
    b"DKIM-Signature: " + b"v=1; " * 200 + b"\r\n",
    b"Content-Type: text/plain; charset=utf-16\r\n",
    b"Content-Type: text/plain; charset*=x''%00%ff\r\n",
    b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Subject: =?utf-7?B?/////w==?= =?x?q?=00?=\r\n",
    b"X: " + b"y" * 2_000 + b"\r\n",
    b"X: y\r\n" * 500,
    b"(" * 300,
    b'"' * 301,
)

SENDERS: Final = (
    "",
    "a@example.org",
    '"a b"@example.net',
    "x" * 300,
    "ä@exämple.org",
    "a@[192.0.2.1]",
    "a\x00@b.c",
)
CLIENTS: Final = ("", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "no address")
GREETINGS: Final = ("", "mx.example.org", "[192.0.2.1]", "x" * 300, "ä.example", "a\r\nb")
POLICIES: Final = (
    "v=spf1 a mx ptr include:example.net exists:%{ir}.%{l1r+}.%{d} -all",
    "v=spf1 +all",
    "v=spf1 redirect=example.org",
    "v=spf1 " + "ip4:192.0.2.1 " * 200,
    "v=spf1 %{",
)


@dataclass
class Tally:
    """What came of them."""

    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def mutated(chance: random.Random) -> bytes:
    """A mail of the corpus with up to eight places changed, half of them in its header."""
    raw = bytearray(chance.choice(mails())[1])
    for _ in range(chance.randrange(1, 9)):
        end = max(raw.find(b"\r\n\r\n"), 1) if chance.random() < 0.5 else len(raw)
        at = chance.randrange(end + 1)
        match chance.randrange(6):
            case 0:
                raw[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del raw[at : at + chance.choice((1, 10, 1_000))]
            case 2:
                raw[at:at] = raw[at : at + chance.choice((1, 100, 5_000))]
            case 3:
                raw[at:at] = chance.choice(PIECES)
            case 4:
                line = raw.rfind(b"\r\n", 0, at) + 2 if b"\r\n" in raw[:at] else 0
                raw[line:line] = chance.choice(PIECES)
            case _:
                other = chance.choice(mails())[1]
                raw[at:] = other[chance.randrange(len(other)) :]
    return bytes(raw)


def publish(names: Names) -> None:
    """Keys for the signatures in the corpus, policies for its authors and senders."""
    key = rsa_key().txt
    for name in {"sel._domainkey.example.org", *_key_names()}:
        names.txt(name, key)
    for number, domain in enumerate(
        sorted({"example.org", "example.net", "xn--exmple-cua.org", *_authors()})
    ):
        names.txt(domain, POLICIES[number % len(POLICIES)])
        names.add(domain, "MX", f"10 mx.{domain}.")
        names.add(f"mx.{domain}", "A", "192.0.2.1")
        names.txt(f"_dmarc.{domain}", f"v=DMARC1; p={('reject', 'quarantine', 'none')[number % 3]}; pct=50")


async def play(count: int, seed: int) -> Tally:
    """So many, one after the other; the same for a seed."""
    chance, tally = random.Random(seed), Tally()
    async with open_names() as names:
        publish(names)
        room = mail_auth(names)
        for number in range(count):
            raw = mutated(chance)
            begun = time.perf_counter()
            try:
                tally.outcomes[await _through(room, raw, chance)] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, is what is looked for
                tally.broken.append(f"{seed}/{number}: {error!r}")
            tally.slowest_s = max(tally.slowest_s, time.perf_counter() - begun)
    return tally


async def _through(room: MailAuth, raw: bytes, chance: random.Random) -> str:
    try:
        check_bytes(raw)
        summary = summarize(raw)
    except RemoteProtocolError:
        summary = None
    author = author_domain(summary)
    sender = chance.choice((*SENDERS, f"bob+x@{author}", f"bob+y@{author}"))
    hop = Hop(chance.choice(CLIENTS), chance.choice(GREETINGS), sender)
    judgement = await room.judge(raw, hop, author)
    _require_sound(raw, judgement, hop)
    came = f"SPF {judgement.spf.result}, DMARC {judgement.dmarc.result} {judgement.dmarc.disposition}"
    return f"{'read' if summary else 'refused'}, {came}"


def _require_sound(raw: bytes, judgement: Judgement, hop: Hop) -> None:
    left = without_results(raw)
    own = authentication_results(judgement, "mx.example.org", hop)
    assert left == without_results(own + left)
    assert left == without_results(left)
    provider_results(raw, frozenset({"mx.provider.example"}))
    assert judgement.dmarc.disposition == "none" or judgement.dmarc.result == "fail"


def author_domain(summary: Summary | None) -> str:
    """The one in From, as the receiver takes it."""
    if summary is None or len(summary.from_mailboxes) != 1:
        return ""
    try:
        return normal_email(summary.from_mailboxes[0]).rpartition("@")[2]
    except RemoteProtocolError:
        return ""


def _key_names() -> Iterator[str]:
    for _, raw in mails():
        try:
            for _, value in split_header(raw).named(b"dkim-signature"):
                yield parse_signature(value, 0, NOW).key_name
        except RemoteProtocolError:
            continue


def _authors() -> Iterator[str]:
    for _, raw in mails():
        for found in re.finditer(rb"(?im)^From:.*@([a-z0-9.-]+\.[a-z]+)", raw):
            yield found[1].decode().lower()


def main(arguments: list[str]) -> int:
    count, seed = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1
    begun = time.perf_counter()
    tally = trio.run(play, count, seed)
    seconds = time.perf_counter() - begun
    figures = {
        "mails": count,
        "seed": seed,
        "seconds": round(seconds, 1),
        "slowest_s": round(tally.slowest_s, 3),
    }
    print(json.dumps(figures | {"broken": tally.broken, "outcomes": tally.outcomes}, indent=1))
    return 1 if tally.broken or tally.slowest_s > SLOW_S else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
