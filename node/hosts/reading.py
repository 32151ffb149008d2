"""Reading what a former host has of ours: pages of the vault, and which handshakes. Nothing is changed there,
and nothing is believed but what we wrote ourselves.
"""

import logging
from collections.abc import AsyncGenerator, Container, Sequence
from contextlib import aclosing
from typing import Final

from node.hosts.talk import Talk
from protocol.account import Entry, Item, Space
from protocol.errors import RemoteProtocolError
from protocol.host import MAX_IDS, Get
from protocol.host import Page as AskPage
from protocol.vault import MAX_PAGES as MAX_VAULT_PAGES
from protocol.vault import Page, VaultKeys

log = logging.getLogger(__name__)

MAX_HELD: Final = 200_000
"""Handshakes of one owner; a host that names more is not honest."""

MAX_PAGES: Final = 1_000
"""Pages of entries read of one space; an honest one has 1,000 entries."""

MAX_BAD: Final = 8
"""Pages that can't be opened before a host is taken for a liar: a broken disk has fewer."""

Pages = list[tuple[Page, Item]]


async def vault_pages(talk: Talk, keys: VaultKeys, known: Container[tuple[bytes, int]]) -> Pages:
    """The pages of our vault that this host has, but for those of a known id and seq. Raises what Talk does,
    and RemoteProtocolError for a host that has none of ours in their place.
    """
    found: Pages = []
    bad = 0
    entries = [entry async for entry in entries_of(talk, Space.VAULT, MAX_VAULT_PAGES)]
    wanted = [entry.id for entry in entries if (entry.id, entry.seq) not in known]
    async with aclosing(items_of(talk, Space.VAULT, wanted)) as items:
        async for item in items:
            try:
                found.append((keys.open(item), item))
            except RemoteProtocolError as fault:
                bad += 1
                log.warning("a host has a page of the vault that is not ours: %s", fault)
                if bad >= MAX_BAD:
                    raise
    return found


async def held_seqs(talk: Talk) -> dict[bytes, int]:
    """Of which handshakes this host has which seq, by their tags."""
    return {entry.id: entry.seq async for entry in entries_of(talk, Space.HELD, MAX_HELD)}


async def entries_of(talk: Talk, space: Space, most: int) -> AsyncGenerator[Entry, None]:
    """Every entry of a space in order of ids. Raises RemoteProtocolError for another order, or too many."""
    after: bytes | None = None
    count = 0
    for _ in range(MAX_PAGES):
        answer = await talk.ask(AskPage(space, after))
        for entry in answer.entries:
            count += 1
            if count > most or (after is not None and entry.id <= after):
                raise RemoteProtocolError("a host's entries are out of order, or too many")
            after = entry.id
            yield entry
        if not answer.more:
            return
        if not answer.entries:
            raise RemoteProtocolError("a host's page is empty, and not the last")
    raise RemoteProtocolError("a host names more than an account holds")


async def items_of(talk: Talk, space: Space, ids: Sequence[bytes]) -> AsyncGenerator[Item, None]:
    """Those of the items that are there, as many turns as it takes."""
    left = list(ids)
    while left:
        items = (await talk.ask(Get(space, tuple(left[:MAX_IDS])))).items
        asked = {identifier: place for place, identifier in enumerate(left)}
        last = -1
        for item in items:
            place = asked.get(item.id, -1)
            if place <= last:
                raise RemoteProtocolError("a host gave items that were not asked for, or in another order")
            last = place
            yield item
        # Answered in order, as many as fit: whatever came before the last one is not there.
        left = left[last + 1 :] if items else left[MAX_IDS:]
