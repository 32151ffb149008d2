"""A node that delivers directly and a real Postfix send each other letters, TLS demanded both ways, then each
again while the other is down: nothing may be lost, nothing come twice.

`python -m tests.kit.exchange 1000` does it with so many letters each way and says how long it took.
"""

from __future__ import annotations

import argparse
import smtplib
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Final

import trio

from tests.kit.certificates import Authority
from tests.kit.dkim_keys import rsa_key, sign
from tests.kit.mailnode import DOMAIN, OWNER, MailNode, a_mail_node
from tests.kit.perl_dkim import perl_results_of
from tests.kit.policy_server import PolicyServer, open_policy_server
from tests.kit.postfix import MAILBOXES, Postfix, a_postfix, own_loopback
from tests.kit.processes import until

FRIEND: Final = f"friend@{MAILBOXES}"
MX: Final = f"mx.{MAILBOXES}"
SELECTOR: Final = "post"

PATIENCE_S: Final = 900.0
"""Seconds for a thousand letters on a slow machine."""

FROM_PROGRAMS: Final = 8
"""Connections by which letters are handed in at once."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Both. The node finds Postfix through `node.names` and its policy at `policies`."""

    node: MailNode
    postfix: Postfix
    policies: PolicyServer

    async def to_node_for_friend(self, subjects: Iterable[str]) -> None:
        """Hand letters to FRIEND in at the node, as a mail program does."""
        server, letters = self.node.submission, [written(OWNER, FRIEND, one) for one in subjects]
        login = server.user, server.password
        await _hand_in("127.0.0.1", server.port, login, OWNER, FRIEND, letters)

    async def to_postfix_for_owner(self, subjects: Iterable[str]) -> None:
        """Hand letters to OWNER in at Postfix, signed for its domain."""
        letters = [
            sign(written(FRIEND, OWNER, one), rsa_key(), MAILBOXES, SELECTOR, canon="relaxed/relaxed")
            for one in subjects
        ]
        await _hand_in(self.postfix.host, self.postfix.port, None, FRIEND, OWNER, letters)

    async def until_at_postfix(self, subjects: Sequence[str]) -> list[bytes]:
        """What came, once all of these have, each once."""

        async def look() -> list[bytes] | None:
            mails = self.postfix.mails(FRIEND)
            return mails if len(mails) >= len(subjects) else None

        mails = await until(f"{len(subjects)} letters at Postfix", look, PATIENCE_S)
        assert Counter(subjects) == Counter(map(_subject, mails))
        return mails

    async def until_at_node(self, subjects: Sequence[str]) -> None:
        """All of these are there, each once, by TLS and proven."""

        async def look() -> list[str] | None:
            found = [row["subject"] for row in self.node.listing("inbox")]
            return found if len(found) >= len(subjects) else None

        found = await until(f"{len(subjects)} letters at the node", look, PATIENCE_S)
        assert Counter(subjects) == Counter(found)

    def on_their_way(self) -> int:
        """Letters in the node's outbox."""
        count: int = self.node.process.ask("GET", "/api/v1/status")["outbox"]["queued"]
        return count


@asynccontextmanager
async def neighbours(directory: Path) -> AsyncIterator[Neighbours]:
    """Both running, with keys and MTA-STS in the DNS, and FRIEND accepted by OWNER."""
    authority = Authority(directory / "tls")
    host = own_loopback(443)
    shown = authority.certificate(f"mta-sts.{MAILBOXES}").server_context()
    settings = {"MAILIO_SMTP_DIRECT": "true", "MAILIO_SMTP_NETWORKS": "127.0.0.0/8"}
    async with (
        open_policy_server(shown, host, 443) as policies,
        a_postfix(authority.certificate(MX), standard=True) as postfix,
        a_mail_node(directory, authority, **settings) as node,
    ):
        policies.policy(MX)
        node.names.add(MAILBOXES, "MX", f"10 {MX}.")
        node.names.add(MX, "A", postfix.host)
        node.names.txt(f"_mta-sts.{MAILBOXES}", "v=STSv1; id=1;")
        node.names.add(f"mta-sts.{MAILBOXES}", "A", host)
        node.names.txt(f"{SELECTOR}._domainkey.{MAILBOXES}", rsa_key().txt)
        keys = node.process.ask("POST", "/local/domains/keys", {"name": DOMAIN, "now": True})["keys"]
        for key in keys:
            node.names.txt(key["name"], key["value"])
        await postfix.route(DOMAIN, node.receiver.port)
        await node.process.mailio("handshake", "accept", FRIEND)
        yield Neighbours(node, postfix, policies)


async def both_ways(world: Neighbours, letters: int) -> list[bytes]:
    """So many each way at once; what Postfix has then."""
    out, back = subjects("out", letters), subjects("back", letters)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.to_node_for_friend, out)
        nursery.start_soon(world.to_postfix_for_owner, back)
    mails = await world.until_at_postfix(out)
    await world.until_at_node(back)
    assert 0 == world.on_their_way()
    return mails


async def postfix_down(world: Neighbours, before: int, letters: int) -> None:
    """The node's letters wait in its outbox, and all go once Postfix is back."""
    await world.postfix.stop()
    late = subjects("late", letters)
    await world.to_node_for_friend(late)
    assert letters == world.on_their_way()
    await world.postfix.start()
    waiting = world.node.process.ask("GET", "/api/v1/outbox")[0]["id"]
    await world.node.process.mailio("outbox", "retry", waiting)  # a minute would be waited else
    await world.until_at_postfix([*subjects("out", before), *late])


async def node_down(world: Neighbours, before: int, letters: int) -> None:
    """Postfix's letters wait in its queue, and all come once the node is back."""
    process = world.node.process
    await process.stop()
    late = subjects("later", letters)
    await world.to_postfix_for_owner(late)
    assert world.postfix.waiting()  # how many can't be told: it moves them about
    process.environment = {**process.environment, "MAILIO_SMTP_PORT": str(world.node.receiver.port)}
    await process.start()
    await world.until_at_node([*subjects("back", before), *late])

    async def empty() -> bool | None:
        return world.postfix.waiting() == 0 or None

    await until("an empty queue of Postfix", empty, PATIENCE_S)


async def verify(world: Neighbours, mails: Sequence[bytes]) -> None:
    """Every letter's RSA signature holds for Mail::DKIM, which knows no Ed25519."""
    for results in await perl_results_of(mails, world.node.names):
        assert ["rsa-sha256", "pass"] in [list(one) for one in results], results


def subjects(word: str, count: int) -> list[str]:
    return [f"{word}-{n}" for n in range(count)]


def written(author: str, recipient: str, subject: str) -> bytes:
    """A letter with what relays have stumbled over: dots, white space, empty lines at its end, 8 bits."""
    return (
        f"From: {author}\r\nTo: {recipient}\r\nSubject: {subject}\r\n"
        f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@{author.partition('@')[2]}>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        "\r\n.\r\n..\r\nFrom here: Grüße \t \r\n\r\n\r\n"
    ).encode()


def _subject(raw: bytes) -> str:
    return str(BytesHeaderParser().parsebytes(raw)["Subject"])


async def _hand_in(
    host: str,
    port: int,
    login: tuple[str, str] | None,
    sender: str,
    recipient: str,
    letters: Sequence[bytes],
) -> None:
    def some(share: Sequence[bytes]) -> None:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # whom it is, is known here
        with smtplib.SMTP(host, port, local_hostname="tests.example", timeout=60) as session:
            session.starttls(context=tls)
            if login is not None:
                session.login(*login)
            for raw in share:
                session.sendmail(sender, [recipient], raw, ["BODY=8BITMIME"])

    async with trio.open_nursery() as nursery:
        for start in range(min(FROM_PROGRAMS, len(letters))):
            nursery.start_soon(trio.to_thread.run_sync, some, letters[start::FROM_PROGRAMS])


async def _main(letters: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with neighbours(Path(folder)) as world:
            begun = time.perf_counter()

            def told(what: str) -> None:
                sys.stdout.write(f"{time.perf_counter() - begun:7.1f} s  {what}\n")
                sys.stdout.flush()

            mails = await both_ways(world, letters)
            told(f"{letters} letters each way, each once")
            await verify(world, mails)
            told(f"Mail::DKIM accepts {len(mails)} of {len(mails)}")
            await postfix_down(world, letters, letters)
            told(f"{letters} letters written while Postfix was down are there")
            await node_down(world, letters, letters)
            told(f"{letters} letters that came while the node was down are there")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.kit.exchange")
    parser.add_argument("letters", type=int)
    trio.run(_main, parser.parse_args().letters)
