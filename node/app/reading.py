"""The rooms in which an owner's letters are judged, read and kept. Nothing runs here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from node.app.ground import Ground, files_of
from node.app.offline import Offline
from node.consent import Consent, Limits
from node.files import Files
from node.identity import Identity, ask_identity
from node.letters import Mailbox, UploadBook
from node.names import Names
from protocol.letter import SEALING

if TYPE_CHECKING:
    from node.network import Network


@dataclass(frozen=True, slots=True)
class Reading:
    """Open, and fitted to each other."""

    identity: Identity
    names: Names
    consent: Consent
    mailbox: Mailbox
    files: Files
    uploads: UploadBook


async def open_reading(
    ground: Ground, network: Network | None, identity: Identity, peer_id: bytes
) -> Reading:
    files, scope = files_of(ground), identity.address.encode()
    await files.start()
    uploads = UploadBook(ground.store, files, scope, ground.clock, ground.config.limits.attachment_size)
    names, mailbox = _names(ground, network), _mailbox(ground, files, scope)
    consent = _consent(ground, identity, peer_id, names, mailbox)
    await consent.start()
    return Reading(identity, names, consent, mailbox, files, uploads)


def _names(ground: Ground, network: Network | None) -> Names:
    directory = network or Offline()
    ask = partial(ask_identity, network) if network else Offline().ask
    return Names(ground.store, directory, ask, ground.clock, ground.doubtful)


def _mailbox(ground: Ground, files: Files, scope: bytes) -> Mailbox:
    limits = ground.config.limits
    return Mailbox(
        ground.store,
        ground.reader,
        ground.events,
        ground.store.index,
        files=files,
        scope=scope,
        unasked=ground.config.files.fetch,
        waiting_letters=limits.handshake_letters,
        waiting_bytes=limits.handshake_bytes,
        heavy=ground.porter,
        viewer=ground.viewer,
    )


def _consent(ground: Ground, identity: Identity, peer_id: bytes, names: Names, mailbox: Mailbox) -> Consent:
    limits = ground.config.limits
    return Consent(
        ground.store,
        identity.secrets,
        peer_id,
        ground.clock,
        ground.searcher,
        limits=Limits(letter_bytes=limits.letter_size + SEALING, price=limits.price),
        doubtful=ground.doubtful,
        fullness=mailbox.room,
        forgotten=names.forget,
    )
