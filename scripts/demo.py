"""The story that scripts/demo tells: people, their letters, and those who should not get through.

Every node is a process of its own and is driven by `mailio --json`; only Mallory is made by hand, since
no node would do what she does.
"""

import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import trio

from node.network import PeerAddress, parse_peer
from protocol.identity import IdentityRecord
from protocol.keys import SigningKey, mailbox_of
from protocol.link import ContactLink
from protocol.offer import Answer, GoAhead, Result
from scripts.demo_files import FilesStory
from scripts.demo_hosts import HostsStory
from scripts.demo_mail import MailStory
from tests.kit.client import Client, open_client
from tests.kit.outside import World, open_world
from tests.kit.people import (
    WAIT_S,
    came,
    counted,
    deliver,
    delivered,
    heard,
    require,
    send,
    standing,
    states,
    stored,
)
from tests.kit.processes import Process, Unmet, Village, a_village, until

LETTER_BYTES: Final = 10_000
"""Of the text of a letter, as in the figures of docs/performance.md."""

TWENTY: Final = 20
BEFORE_THE_STOP, DURING_IT = 10, 5
"""Of the twenty letters: delivered before bob's node is suspended, and handed in while it is."""


def tell(text: str) -> None:
    print(text, flush=True)


def a_text(size: int = LETTER_BYTES) -> str:
    """Text of its own in lines that no mail program has to fold."""
    lines = [secrets.token_hex(36) for _ in range(size // 73 + 1)]
    return "\n".join(lines)[:size]


class Story:
    """The people, and what happens to them."""

    def __init__(self, village: Village, mallory: Client, world: World) -> None:
        self.village, self.mallory = village, mallory
        self.alice: Process = village.node("alice", **world.settings)
        self.bob: Process = village.node("bob")

    # The chapters

    async def meet(self) -> None:
        """a: found by a bare address; asked and accepted."""
        alice, bob, mallory = self.alice, self.bob, self.mallory
        for one in (alice, bob):

            async def look(one: Process = one) -> IdentityRecord | None:
                return await mallory.find(one.address)

            record = await until(f"{one.name}'s record in the DHT", look, WAIT_S)
            require(f"address of {one.name}'s record", record.address, one.address)
        tell("a. A newcomer who knows only the bootstrap node finds alice and bob by their bare addresses.")
        row = (await alice.mailio("handshake", "request", bob.address, "--note", "alice from the demo"))[
            "recipients"
        ][0]
        require("alice's request", row["state"], "delivered")
        asks = await standing(bob, alice.address)
        require("what bob sees of it", asks and asks["status"], "request")
        require("bob's inbox before he accepts", await bob.mailio("list", "inbox"), [])
        seen = await counted(bob)
        require("first contacts at bob's", seen["firstContacts"], 1)
        tell("   alice asks bob with a stamp of a second's work; bob sees her request, and an empty inbox.")
        accepted = await bob.mailio("handshake", "accept", alice.address)
        require("the handshake that bob made", accepted["status"], "accepted")
        await heard(alice, bob)
        tell("   bob accepts, and alice's node has heard of it.")

    async def write(self) -> None:
        """b: a letter arrives, is receipted, and is what was written."""
        alice, bob, text = self.alice, self.bob, a_text()
        await deliver(alice, bob.address, "ten thousand bytes", text)
        letter = await came(bob, "ten thousand bytes")
        read = await bob.mailio("read", letter["id"])
        require("its text at bob's", read["text"].rstrip("\n"), text)
        require("who it is from", read["from"], mailbox_of(alice.address))
        seen = await counted(bob)
        require("letters that bob's node took as first contacts", seen["firstContacts"], 1)
        tell("b. alice's letter of 10 KB is in bob's inbox, equal to the byte, and she holds his receipt.")

    async def answer(self) -> None:
        """c: the way back needs no stamp."""
        before = await counted(self.alice)
        await deliver(self.bob, self.alice.address, "the answer", a_text(500))
        await came(self.alice, "the answer")
        after = await counted(self.alice)
        require("letters taken by alice's node", after["taken"], before["taken"] + 1)
        require("first contacts at alice's", after["firstContacts"], before["firstContacts"])
        tell("c. bob answers; alice's node took it by his delivery key, with no stamp asked or paid.")

    async def revoke(self) -> None:
        """d: a revoked sender is refused before the body, and may come back."""
        alice, bob = self.alice, self.bob
        await bob.mailio("handshake", "revoke", alice.address)
        before, letters = await counted(bob), await stored(bob)
        row = await send(alice, bob.address, "after the revocation", a_text())
        require("state of alice's letter", (row["state"], row["code"]), ("refused", "5.8.2"))
        after = await counted(bob)
        require("refusals before the body", after["refusedBeforeBody"], before["refusedBeforeBody"] + 1)
        require("refusals after it", after["refusedAfterBody"], before["refusedAfterBody"])
        require("letters at bob's", await stored(bob), letters)
        tell("d. bob revokes alice: her next letter is refused with 5.8.2 before a byte of it is taken.")
        peer, record, key = await self.invite(bob)
        envelope = self.letter(record, "by invitation")
        answers = await self.mallory.deliver(peer, envelope, key=key)
        require("answers to Mallory's letter", kinds(answers), ["go", "2.0.0"])
        await came(bob, "by invitation")
        await bob.mailio("handshake", "revoke", self.mallory.address)
        letters = await stored(bob)
        answers = await self.mallory.deliver(peer, self.letter(record, "once more"), key=key)
        require("answers to Mallory's offer once revoked", kinds(answers), ["5.8.2"])
        require("letters at bob's", await stored(bob), letters)
        tell("   Mallory, by hand: taken by invitation, then revoked; her offer alone is answered 5.8.2.")
        await bob.mailio("handshake", "accept", alice.address)
        await heard(alice, bob)
        await deliver(alice, bob.address, "friends again", a_text(500))
        await came(bob, "friends again")
        tell("   bob accepts alice again, and letters flow.")

    async def forge(self) -> None:
        """e: a From that is not the author's."""
        alice, bob, mallory = self.alice, self.bob, self.mallory
        await bob.mailio("handshake", "accept", mallory.address)
        peer, record, key = await self.invite(bob)
        message = mallory.message(
            "Send me your words.",
            to=mailbox_of(bob.address),
            sender=mailbox_of(alice.address),
            subject="from alice",
        )
        envelope = mallory.seal(mallory.sign(mallory.inner(record, message)), record)
        letters = await stored(bob)
        answers = await mallory.deliver(peer, envelope, key=key)
        require("answers to the forged letter", kinds(answers), ["go", "5.7.1"])
        require("letters at bob's", await stored(bob), letters)
        tell("e. Mallory writes in alice's name: refused with 5.7.1, and nothing of it is stored.")

    async def bring_in(self) -> None:
        """f: a one-time invitation, and a second bearer of it."""
        bob = self.bob
        link = (await bob.mailio("handshake", "link"))["link"]
        carol = await self.village.owner("carol")
        await carol.mailio("handshake", "open", link)
        await heard(carol, bob)
        row = await standing(bob, carol.address)
        require("what bob's node made of carol", row and row["status"], "accepted")
        await deliver(carol, bob.address, "carol was here", a_text(500))
        await came(bob, "carol was here")
        tell(
            "f. carol, a stranger, opens bob's invitation: without bob she is accepted, and her letter is in."
        )
        async with open_client(self.village.bootstrap) as second:
            invitation = ContactLink.parse(link)
            assert invitation.invitation is not None
            peer, record = await self.ask_for(second, bob)
            message = second.message("Me too.", to=mailbox_of(bob.address), subject="second bearer")
            envelope = second.seal(second.sign(second.inner(record, message)), record)
            key = second.invitation_key(invitation.invitation, bob.address)
            letters = await stored(bob)
            answers = await second.deliver(peer, envelope, key=key)
            require("answers to the second bearer", kinds(answers)[-1], "4.8.9")
            require("what bob's node made of the second", await standing(bob, second.address), None)
        require("letters at bob's", await stored(bob), letters)
        tell("   A second stranger with the same link is told 4.8.9, and is nobody to bob.")

    async def survive(self) -> None:
        """g: twenty letters, a suspended recipient and a killed sender."""
        alice, bob = self.alice, self.bob
        subjects = [f"letter {n} of twenty" for n in range(1, TWENTY + 1)]
        for subject in subjects[:BEFORE_THE_STOP]:
            await self.hand_in(subject)
        await delivered(alice, subjects[:BEFORE_THE_STOP])
        bob.send_signal(signal.SIGSTOP)
        for subject in subjects[BEFORE_THE_STOP : BEFORE_THE_STOP + DURING_IT]:
            await self.hand_in(subject)
        under_way = await states(alice, subjects[BEFORE_THE_STOP : BEFORE_THE_STOP + DURING_IT])
        require("letters that have arrived while bob's node slept", under_way.count("delivered"), 0)
        await alice.kill()
        bob.send_signal(signal.SIGCONT)
        tell(
            "g. Ten of twenty letters are there, five on their way to bob's sleeping node: alice's is killed."
        )
        await alice.start()
        for subject in subjects[BEFORE_THE_STOP + DURING_IT :]:
            await self.hand_in(subject)
        await delivered(alice, subjects)
        there = [one["subject"] for one in await bob.mailio("list", "--limit", "200")]
        require("letters of the twenty in bob's inbox", sorted(set(subjects) & set(there)), sorted(subjects))
        require("letters there more than once", [one for one in subjects if there.count(one) > 1], [])
        tell("   alice's node is started again: all twenty arrive, each once, all delivered in her outbox.")

    async def end(self) -> None:
        """u: a clean end."""
        took = {}
        for one in self.village.nodes:
            if one.running is not None:
                took[one.name] = await one.stop()
        slowest = max(took.values())
        tell(f"u. {', '.join(took)}: each ended with 0 after SIGTERM, the slowest within {slowest:.1f} s.")

    # Parts of chapters

    async def ask_for(self, who: Client, owner: Process) -> tuple[PeerAddress, IdentityRecord]:
        """An owner's node, and the record that it gives of itself."""
        peer = parse_peer((await owner.mailio("id"))["addrs"][0])
        record = await who.ask(peer, owner.address)
        if record is None:
            raise Unmet(f"{owner.name}'s node does not say who it is")
        return peer, record

    async def invite(self, owner: Process) -> tuple[PeerAddress, IdentityRecord, SigningKey]:
        """What Mallory needs to write by a new invitation of this owner."""
        link = ContactLink.parse((await owner.mailio("handshake", "link"))["link"])
        assert link.invitation is not None
        peer, record = await self.ask_for(self.mallory, owner)
        return peer, record, self.mallory.invitation_key(link.invitation, owner.address)

    def letter(self, to: IdentityRecord, subject: str) -> bytes:
        """An honest envelope of Mallory's."""
        mallory = self.mallory
        message = mallory.message("Nothing to see here.", to=mailbox_of(to.address), subject=subject)
        return mallory.seal(mallory.sign(mallory.inner(to, message)), to)

    async def hand_in(self, subject: str) -> None:
        await self.alice.mailio("send", self.bob.address, "--subject", subject, "--no-wait", stdin=a_text())


def kinds(answers: list[Answer]) -> list[str]:
    """Answers in a word each: go, challenge, or a status code."""
    return [
        "go" if isinstance(one, GoAhead) else one.status.code if isinstance(one, Result) else "challenge"
        for one in answers
    ]


async def tell_story(directory: Path) -> None:
    begun = time.monotonic()
    async with a_village(directory) as village:
        await village.open_bootstrap()
        tell(f"   A bootstrap node runs: {village.bootstrap[0]}")
        async with open_world(directory) as world, open_client(village.bootstrap) as mallory:
            story = Story(village, mallory, world)
            for one in (story.alice, story.bob):
                await one.init()
                took = await one.start()
                tell(f"   {one.name} is {one.address}; the node answers after {took:.1f} s.")
            chapters = (
                story.meet,
                story.write,
                story.answer,
                story.revoke,
                story.forge,
                story.bring_in,
                story.survive,
            )
            for chapter in chapters:
                await chapter()
            await MailStory(world, story.alice, story.bob, tell).tell_it()
            await FilesStory(directory, story.alice, story.bob, tell).tell_it()
            await HostsStory(directory, village, story.bob, tell).tell_it()
        await story.end()
    tell(f"Everything was as it should be, in {time.monotonic() - begun:.0f} s.")


def main() -> int:
    """Exit 0 if all of it was so; else the logs stay."""
    directory = Path(tempfile.mkdtemp(prefix="mailio-demo-"))
    try:
        trio.run(tell_story, directory)
    except Unmet as fault:
        tell(f"\nNot so: {fault}\nThe nodes' homes and logs are in {directory}")
        return 1
    except BaseException:
        tell(f"\nThe demo itself failed. The nodes' homes and logs are in {directory}")
        raise
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
