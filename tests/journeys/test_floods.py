"""Attacks on a running node: good letters get in meanwhile, and nothing that others hide is believed."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tests.kit.floods import launch
from tests.kit.mailers import Server
from tests.kit.mailnode import OWNER, Desk, MailNode, a_desk, a_mail_node
from tests.kit.processes import until
from tests.kit.smuggling import FALSE_ENDS, smuggled
from tests.kit.talk import Tally, talk

FRIEND = "friend@outside.example"

SECONDS = "20"
"""Of an attack that lasts as long as it may; it is ended when the good letter is in."""

MASSES: dict[str, Sequence[str]] = {
    "idle": (),
    "slow-bodies": (),
    "slow-commands": (),
    "starttls-hang": (),
    "endless-body": (),
    "endless-lines": (),
    "endless-command": (),
    "unread": (),
    "junk": (),
    "drops": ("--count", "5"),
}
"""Attacks by mass and their arguments."""

REFUSED = ("500", "501", "503", "550")


async def test_good_letters_get_in_while_others_flood(tmp_path: Path) -> None:
    async with a_mail_node(tmp_path) as node:
        for number, (kind, arguments) in enumerate(MASSES.items()):
            before = sessions(node)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(launch, kind, node.receiver.port, "--seconds", SECONDS, *arguments)
                await until(f"the attack {kind}", lambda before=before: grown(node, before))  # type: ignore[misc]
                assert "250 2.0.0" == await good_letter(node.receiver, number), kind
                nursery.cancel_scope.cancel()
        subjects = [row["subject"] for row in node.listing("handshake")]
        good = sorted(subject for subject in subjects if subject.startswith("good"))
        assert sorted(f"good {number}" for number in range(len(MASSES))) == good
        assert 0 == counters(node)["faults"]


MORE = 150_000_000
"""Bytes that the node may take on top while all of that goes on: all bodies have 64 MiB together, a letter
25.
"""


async def test_memory_is_bounded_while_good_letters_get_in(tmp_path: Path) -> None:
    """200 MB of data without a line's end, 1,000 idle connections, a hundred bodies that trickle, at once."""
    async with a_mail_node(tmp_path) as node:
        before = node.process.rss if sys.platform == "linux" else 0
        async with trio.open_nursery() as nursery:
            port, seconds = node.receiver.port, ("--seconds", SECONDS)
            nursery.start_soon(launch, "slow-bodies", port, *seconds)
            nursery.start_soon(launch, "endless-body", port, *seconds)
            nursery.start_soon(partial(launch, "idle", port, *seconds, "--count", "1000"))
            await until("a thousand who say nothing", lambda: grown(node, 1_000))
            assert "250 2.0.0" == await good_letter(node.receiver, 1)
            nursery.cancel_scope.cancel()
        assert ["good 1"] == [row["subject"] for row in node.listing("handshake")]
        assert 0 == counters(node)["faults"]
        if sys.platform == "linux":
            assert node.process.peak_rss < before + MORE


async def test_nothing_hidden_is_believed_and_what_breaks_readers_breaks_none(tmp_path: Path) -> None:
    async with a_mail_node(tmp_path) as node:
        smuggling, bare, tls, letters = [
            await launch(kind, node.receiver.port)
            for kind in ("smuggling", "bare-ends", "starttls-injection", "hostile-letters")
        ]
        # One answer to the data, one to QUIT: nobody heard the commands between.
        assert {2} == {len(replies) for replies in smuggling["notes"].values()}
        assert {"550 5.6.0", "250 2.0.0"} == {replies[0] for replies in smuggling["notes"].values()}
        after_greeting = {said for replies in bare["notes"].values() for said in replies[1:-1]}
        assert after_greeting == {said for said in after_greeting if said.startswith(REFUSED)}
        assert ["503 5.5.1"] == tls["notes"]["insideTls"]
        assert {"250 2.0.0", "550 5.6.0"} == {told["answer"] for told in letters["notes"].values()}

        listed = node.listing("handshake")
        assert {"", "outer"} >= {row["subject"] for row in listed if row["subject"] not in letters["notes"]}
        for row in listed:
            assert row["id"] == node.read(row["id"])["id"]
        assert 0 == counters(node)["faults"]


async def test_nothing_hidden_goes_out(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        program = desk.node.submission
        for name, end in FALSE_ENDS.items():
            raw = smuggled(end, FRIEND).replace(b"outer@example.org", OWNER.encode())
            async with talk("127.0.0.1", program.port, Tally()) as conversation:
                await conversation.log_in(program.user, program.password)
                assert "354" == await conversation.envelope(OWNER, FRIEND)
                await conversation.push(raw + b"QUIT\r\n")
                assert (await conversation.reply())[:3] in ("250", "550"), name
                assert "221" == (await conversation.reply())[:3], name
        await until("the end of the outbox", lambda: all_gone(desk))
        assert {(OWNER, (FRIEND,))} == {(letter.sender, letter.recipients) for letter in desk.sink.taken}


async def good_letter(server: Server, number: int) -> str:
    """What is answered to a letter from somebody who means well."""
    sender = f"good{number}@example.org"
    raw = f"From: {sender}\r\nTo: {OWNER}\r\nSubject: good {number}\r\n\r\nHello.\r\n.\r\n"
    async with talk("127.0.0.1", server.port, Tally()) as conversation:
        await conversation.until_data(sender, OWNER)
        await conversation.push(raw.encode())
        return await conversation.reply()


async def all_gone(desk: Desk) -> bool | None:
    """Whether nothing is on its way any more."""
    return desk.node.process.ask("GET", "/api/v1/status")["outbox"]["queued"] == 0 or None


def counters(node: MailNode) -> dict[str, int]:
    found: dict[str, int] = node.process.ask("GET", "/api/v1/status")["smtp"]["receiver"]
    return found


def sessions(node: MailNode) -> int:
    return counters(node)["sessions"]


async def grown(node: MailNode, before: int) -> Any:
    """Whether somebody has connected since."""
    return sessions(node) > before or None
