"""Our hosts, fitted to what they keep and to where the letters that wait there go."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from node.app.ground import Ground
from node.app.reading import Reading
from node.consent import Consent
from node.files import FOR_EVER, Files
from node.hosts import Hosts, Taken
from node.hosts.restoring import Restorer
from node.hosts.vault import KeptPeople, Vault
from node.identity import Identity
from node.outbox import Letter
from node.runtime.clock import DAY_MS
from node.storage import Batch
from protocol.account import KeptFile
from protocol.handshake import Handshake
from protocol.host import Waiting
from protocol.keys import SigningKey
from protocol.unixfs import parse_cid
from protocol.vault import VaultKeys

if TYPE_CHECKING:
    from node.exchange import Intake
    from node.network import Network


ON_ITS_WAY_DAYS: Final = 31
"""Days from this one on for which hosts are to keep what belongs to a letter on its way; renewed each day."""


class Doorstep:
    """Where letters that waited at hosts are handed in. The exchange, which stands above, is fitted later."""

    def __init__(self) -> None:
        self.intake: Intake | None = None

    async def take(self, waiting: Waiting, envelope: bytes) -> Taken:
        """Raises StoreUnavailable, WorkerError."""
        assert self.intake is not None, "hosts are drained once the exchange is open"
        settled = await self.intake.take_waiting(waiting, envelope)
        return Taken.SETTLED if settled else Taken.LATER


class SentFiles:
    """The files that hosts are to keep beside us, each with a seq that grows when anything of it changes."""

    def __init__(self, ground: Ground, files: Files) -> None:
        self._clock = ground.clock
        self._files = files
        self._told: dict[bytes, tuple[int, KeptFile]] = {}

    async def __call__(self) -> AsyncGenerator[tuple[int, KeptFile], None]:
        now, told = self._clock.now(), {}
        async with aclosing(self._files.outgoing()) as files:
            async for file in files:
                until = file.until
                if until == FOR_EVER:
                    until = (now // DAY_MS + ON_ITS_WAY_DAYS) * DAY_MS
                kept = KeptFile(file.cid, file.size, until)
                seq, before = self._told.get(file.cid, (0, None))
                told[file.cid] = (seq, kept) if before == kept else (max(seq + 1, now), kept)
                yield told[file.cid]
        self._told = told


def whereabouts(files: Files, hosts: Hosts) -> Callable[[Letter], str]:
    """Where what lies outside of a letter is, as `outbox --json` has it: "none" where nobody is to fetch
    anything, else as node.hosts says.
    """

    def where(letter: Letter) -> str:
        kept = [parse_cid(cid) for cid, name in letter.files.items() if files.is_outgoing(name)]
        return hosts.where(kept).value if kept else "none"

    return where


def fit_vault(ground: Ground, reading: Reading) -> Vault:
    consent, names = reading.consent, reading.names
    return Vault(
        ground.store,
        VaultKeys(reading.identity.secrets.vault_key),
        (consent.keeping, KeptPeople(names.keeping, consent.keeping)),
        ground.clock,
        ground.doubtful,
    )


def fit_restorer(ground: Ground, identity: Identity, consent: Consent, vault: Vault) -> Restorer:
    return Restorer(ground.store, VaultKeys(identity.secrets.vault_key), vault, consent.keeping)


def fit_hosts(
    ground: Ground,
    network: Network | None,
    reading: Reading,
    vault: Vault,
    doorstep: Doorstep,
) -> Hosts:
    identity, consent, files = reading.identity, reading.consent, reading.files
    hosts = Hosts(
        store=ground.store,
        network=network,
        identity=identity,
        consent=consent,
        clock=ground.clock,
        doubtful=ground.doubtful,
        events=ground.events,
        stamps=ground.searcher,
        use=ground.config.hosts.use,
        take=doorstep.take,
        pages=vault,
        former=fit_restorer(ground, identity, consent, vault).former,
        files=SentFiles(ground, files),
        newer=partial(_adopt, ground, consent),
        friend=partial(_friend, reading),
    )
    vault.on_written(hosts.poke)
    files.on_outgoing(lambda batch, name: hosts.poke())
    return hosts


async def _friend(reading: Reading, peer_id: bytes) -> SigningKey | None:
    """Our delivery key at a host whose owner is in our address book and has accepted us."""
    names = reading.names
    for contact in names.contacts():
        await trio.lowlevel.checkpoint()  # 0.2 ms for each
        if contact.address is None:
            continue
        if any(node.peer_id == peer_id for node in names.nodes_of(contact.address)):
            return reading.consent.delivery_key(contact.address, peer_id)
    return None


async def _adopt(ground: Ground, consent: Consent, handshake: Handshake) -> None:
    """A host has a word of ours that we have forgotten, with a disk that was restored."""
    batch = Batch()
    if consent.keeping.adopt(batch, handshake):
        await ground.store.write(batch)
        told = {"address": handshake.sender.name, "status": handshake.status.value}
        ground.events.publish("handshake", {"handshakeId": handshake.handshake_id} | told)
