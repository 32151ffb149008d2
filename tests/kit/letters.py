"""Letters for tests: a message, its summary, and its arrival at a mailbox."""

import hashlib
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from node.letters import Arrival, Draft, Mailbox, Reduced, render_draft
from node.letters.parse import summarize
from protocol.status import OK

NOW = 1_795_381_200_000
ALICE = "0x" + "aa" * 20
BOB = "0x" + "bb" * 20


def written(
    subject: str = "Hello", *, author: str = ALICE, text: str = "Hi.", message_id: str = "m"
) -> bytes:
    """A message from `author` to Bob."""
    to = (("Bob", f"{BOB}@mailio.alt"),)
    draft = Draft(from_name="", from_mailbox=f"{author}@mailio.alt", to=to, subject=subject, text=text)
    return render_draft(draft, NOW, message_id)


async def whole(mailbox: Mailbox, letter: bytes) -> bytes:
    """A letter's message as it came."""
    async with aclosing(await mailbox.whole(letter)) as pieces:
        return b"".join([piece async for piece in pieces])


def arrival(number: int = 0, *, author: str = ALICE, raw: bytes | None = None, **changes: Any) -> Arrival:
    """Letter `number` of `author`, which came `number` seconds after NOW."""
    raw = written(f"Letter {number}", author=author) if raw is None else raw
    name = f"{author} {number}".encode()
    letter = Arrival(
        message=Reduced(raw),
        summary=summarize(raw),
        folder="inbox",
        author=author,
        letter_id=hashlib.blake2b(b"letter " + name, digest_size=32).digest(),
        envelope_id=hashlib.blake2b(b"envelope " + name, digest_size=32).digest(),
        status=OK,
        created=NOW - 5_000,
        arrived=NOW + number * 1_000,
        expires=NOW + 60 * 86_400_000,
        thid="thread",
    )
    return replace(letter, **changes)
