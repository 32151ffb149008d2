"""The second part of the story: ordinary e-mail comes and goes. Told by scripts/demo.py.

A name server and a mail server on loopback play the world outside; Stella writes by hand, as her provider
would deliver it.
"""

import secrets
import signal
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP
from functools import partial
from typing import Any, Final

import trio

from protocol.keys import mailbox_of
from tests.kit.outside import ALICE, STELLA, World, a_mail, by_provider, deliver
from tests.kit.people import WAIT_S, came, require, standing
from tests.kit.processes import Process, until

DAVE: Final = "dave@dales.example"
DAY_MS: Final = 86_400_000

FILM_BYTES: Final = 8_000_000
"""Of an attachment to ordinary mail: a third of what most providers take."""

Tell = Callable[[str], None]


class MailStory:
    """Alice, and people who have only e-mail."""

    def __init__(self, world: World, alice: Process, bob: Process, tell: Tell) -> None:
        self.world, self.alice, self.bob, self.tell = world, alice, bob, tell

    async def tell_it(self) -> None:
        chapters = (
            self.stranger,
            self.friend,
            self.large,
            self.revoked,
            self.program,
            self.outage,
            self.both_ways,
        )
        for chapter in chapters:
            await chapter()

    async def stranger(self) -> None:
        """h: an unknown sender, proven by DKIM."""
        alice = self.alice
        require("the answer to Stella's letter", await self.stella("hello from Stella"), (250, "2.0.0 Ok"))
        row = await self.listed("handshake", "hello from Stella")
        require("its proven author", row["author"], STELLA)
        require("where else it is", await self.folders_of("hello from Stella"), ["handshake"])
        asks = await standing(alice, STELLA)
        require("what alice sees of her", asks and (asks["status"], asks["waiting"]), ("request", 1))
        self.tell("h. Stella writes by ordinary e-mail, signed by her domain: it waits in `handshake`.")

    async def friend(self) -> None:
        """i: accepted, and what is then still not believed."""
        alice = self.alice
        await alice.mailio("handshake", "accept", STELLA)
        require("where it is now", await self.folders_of("hello from Stella"), ["inbox"])
        require("the next", await self.stella("second letter"), (250, "2.0.0 Ok"))
        require("where that is", await self.folders_of("second letter"), ["inbox"])
        require("one without a signature", await self.stella("unsigned", signed=False), (250, "2.0.0 Ok"))
        require("where that is", await self.folders_of("unsigned"), ["handshake"])
        require("the second once more", await self.stella("second letter"), (250, "2.0.0 Ok"))
        self.tell(
            "i. alice accepts her: that and her next are in the inbox; the same address unsigned is not."
        )

    async def large(self) -> None:
        """j: a mail that is too large to lie in the store as it is."""
        letter = a_mail("my holiday film", STELLA, ALICE)
        letter.add_attachment(
            secrets.token_bytes(FILM_BYTES), maintype="video", subtype="mp4", filename="film.mp4"
        )
        raw = by_provider(letter)
        said = await trio.to_thread.run_sync(deliver, await self.port("smtp"), STELLA, raw)
        require("the answer to Stella's film", said, (250, "2.0.0 Ok"))
        row = await self.listed("inbox", "my holiday film")
        (film,) = (await self.alice.mailio("read", row["id"]))["attachments"]
        seen = (film["filename"], film["size"], film["state"])
        require("what alice sees of it", seen, ("film.mp4", FILM_BYTES, "complete"))
        given = await self.alice.written("read", "--raw", row["id"])
        require("whether alice's node gives it back byte for byte", given == raw, expected=True)
        self.tell(
            f"j. A mail of {len(raw) // 1_000_000} MB with a film is kept, and given back byte for byte."
        )

    async def revoked(self) -> None:
        """k: revoked, at MAIL and after DATA."""
        await self.alice.mailio("handshake", "revoke", STELLA)
        no = (550, "5.7.1 The recipient does not take mail from this sender")
        require("a revoked sender at MAIL", await self.stella("after that"), no)
        require("and after DATA", await self.stella("after that too", envelope="bounces@stars.example"), no)
        require("what is stored of them", await self.folders_of("after that", "after that too"), [])
        self.tell("k. alice revokes her: 550 at MAIL, or after DATA where only From names her.")

    async def program(self) -> None:
        """l: the mail program that alice has."""
        said = await self.alice.mailio("user", "add", "laptop")
        letter = a_mail("from my mail program", ALICE, DAVE)
        letter["Bcc"] = "secret@dales.example"
        await trio.to_thread.run_sync(
            partial(hand_in, await self.port("submission"), "laptop", said["password"], letter)
        )
        envelope, raw = await self.arrived("from my mail program")
        require("its envelope", (envelope["sender"], envelope["recipients"]), (ALICE, [DAVE]))
        require("Bcc in it", b"secret@dales" in raw, expected=False)
        row = await standing(self.alice, DAVE)
        days = round((row["expires"] - row["created"]) / DAY_MS) if row else 0
        require("dave, since alice wrote to him", row and (row["status"], days), ("accepted", 90))
        self.tell("l. alice's mail program hands a letter in; dave has it, and may answer for 90 days.")

    async def outage(self) -> None:
        """m: the way is shut and the node is killed; once is once."""
        alice, subject = self.alice, "through an outage"
        self.world.server.send_signal(signal.SIGSTOP)
        await alice.mailio("send", DAVE, "--subject", subject, "--no-wait", stdin="Still there?")
        await alice.kill()
        self.world.server.send_signal(signal.SIGCONT)
        await alice.start()
        await self.arrived(subject)
        await self.settled(subject)
        copies = [raw for _, raw in self.world.received() if self.subject(raw) == subject]
        require("copies at the mail server", len(copies), 1)
        self.tell(
            "m. The mail server hangs and alice's node is killed: dave has her letter in the end, once."
        )

    async def both_ways(self) -> None:
        """n: one letter to an owner and to an ordinary address."""
        alice, bob, subject = self.alice, self.bob, "to both of you"
        await alice.mailio("send", bob.address, DAVE, "--subject", subject, stdin="One letter, two ways.")
        letter = await came(bob, subject)
        require("who bob has it from", letter["from"], mailbox_of(alice.address))
        _, raw = await self.arrived(subject)
        header = BytesHeaderParser(policy=SMTP).parsebytes(raw)
        require("who dave has it from", header["From"], ALICE)
        require("Message-ID at both", header["Message-ID"], f"<{letter['messageId']}>")
        require("what dave learns of Mailio addresses", b"mailio.alt" in raw, expected=False)
        rows = await self.settled(subject)
        went = {(row["route"], row["state"]) for row in rows}
        require("how it went", went, {("mailio", "delivered"), ("smtp", "delivered")})
        self.tell(
            "n. One letter to bob and dave: sealed to the one, open to the other, each as he may see it."
        )

    # Parts of chapters

    async def stella(self, subject: str, *, signed: bool = True, envelope: str = STELLA) -> tuple[int, str]:
        """Deliver a letter of hers as her provider would; the last answer."""
        letter = a_mail(subject, STELLA, ALICE)
        raw = by_provider(letter) if signed else letter.as_bytes(policy=SMTP)
        port = await self.port("smtp")
        return await trio.to_thread.run_sync(partial(deliver, port, envelope, raw))

    async def port(self, listener: str) -> int:
        return int((await self.alice.mailio("status"))["listen"][listener].rpartition(":")[2])

    async def folders_of(self, *subjects: str) -> list[str]:
        """Where letters with these subjects lie; one entry for each letter."""
        found = []
        for folder in ("inbox", "handshake", "spam", "other"):
            found += [folder for one in await self.alice.mailio("list", folder) if one["subject"] in subjects]
        return found

    async def listed(self, folder: str, subject: str) -> dict[str, Any]:
        rows = [one for one in await self.alice.mailio("list", folder) if one["subject"] == subject]
        require(f"letters {subject!r} in {folder}", len(rows), 1)
        return dict(rows[0])

    async def arrived(self, subject: str) -> tuple[dict[str, Any], bytes]:
        """The letter with this subject, once the mail server has it."""

        async def look() -> tuple[dict[str, Any], bytes] | None:
            return next((one for one in self.world.received() if self.subject(one[1]) == subject), None)

        return await until(f"the letter {subject!r} at the mail server", look, WAIT_S)

    async def settled(self, subject: str) -> list[dict[str, Any]]:
        """Its recipients' rows in alice's outbox, once nothing waits."""

        async def look() -> list[dict[str, Any]] | None:
            letters = [one for one in await self.alice.mailio("outbox", "--all") if one["subject"] == subject]
            rows = [row for one in letters for row in one["recipients"]]
            return rows if rows and all(row["state"] != "queued" for row in rows) else None

        return await until(f"the end of {subject!r} in alice's outbox", look, WAIT_S)

    def subject(self, raw: bytes) -> str:
        return str(BytesHeaderParser(policy=SMTP).parsebytes(raw)["Subject"])


def hand_in(port: int, user: str, password: str, letter: EmailMessage) -> None:
    """As a mail program does; its Bcc recipients aside, whom this one forgets."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.login(user, password)
        client.sendmail(ALICE, [DAVE], letter.as_bytes(policy=SMTP))
