"""E-mail hashes in threads: scrypt takes 0.15 s and 32 MiB each (protocol.md §2). Whose hash is needed, and
where it is kept, is the room's.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import trio

from node.consent.threads import Threads
from protocol.email import email_hash

AT_ONCE: Final = 2
"""Hashes worked out side by side: half of the threads stay free for stamps while a letter to a hundred new
addresses is handed in."""


async def hash_emails(emails: Iterable[str], threads: Threads) -> dict[str, str]:
    """E-mail address → hash, each once. `emails` in their normal form."""
    found: dict[str, str] = {}
    left = iter(tuple(dict.fromkeys(emails)))
    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(_hash, left, threads, found)
    return found


async def _hash(left: Iterator[str], threads: Threads, found: dict[str, str]) -> None:
    for email in left:
        found[email] = await threads.in_thread(email_hash, email)
