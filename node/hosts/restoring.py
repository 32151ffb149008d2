"""Putting back what a host has of ours and we do not: the vault's pages, and handshakes newer than those."""

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final

import trio

from node.consent.keeping import Keeping as Handshakes
from node.hosts.reading import held_seqs, items_of, vault_pages
from node.hosts.talk import Talk
from node.hosts.vault import Vault
from node.storage import Batch, Store
from protocol.account import Item, Space
from protocol.errors import RemoteProtocolError
from protocol.held import parse_held
from protocol.vault import VaultKeys

log = logging.getLogger(__name__)

AT_ONCE: Final = 20
"""Handshakes looked through between two checkpoints, 0.5 ms each."""


class Restorer:
    """What it raises is Talk's, and StoreUnavailable. Each act may be done again."""

    def __init__(self, store: Store, keys: VaultKeys, vault: Vault, handshakes: Handshakes) -> None:
        self._store = store
        self._keys = keys
        self.vault = vault
        self._handshakes = handshakes

    async def former(self, talk: Talk) -> Counter[str]:
        """An account of ours was open at this host before we knew of it: take in what is kept there, before
        anything is changed or dropped. How many entries of each kind came back.
        """
        restored = await self.vault.take_in(await vault_pages(talk, self._keys, ()))
        await self.take_held(talk, await held_seqs(talk))
        return restored

    async def take_held(self, talk: Talk, held: Mapping[bytes, int]) -> None:
        """Take the handshakes that are newer there (`held`: their seqs by tag) than in any vault: the node
        went down before its next page.
        """
        newer: dict[bytes, str] = {}
        for count, (tag, address, seq) in enumerate(self._handshakes.tags()):
            if held.get(tag, 0) > seq:
                newer[tag] = address
            if count % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        async with aclosing(items_of(talk, Space.HELD, tuple(newer))) as items:
            async for item in items:  # one by one: a host may say that it has newer ones of all, of any size
                await self._take_one(newer[item.id], item)

    async def _take_one(self, address: str, item: Item) -> None:
        batch = Batch()
        try:
            changed = self._handshakes.restore_held(batch, address, parse_held(item.data))
        except RemoteProtocolError as fault:
            log.warning("a host holds a handshake that is none of ours: %s", fault)
            return
        if changed:
            await self._store.write(batch)
