"""From a letter in the outbox to a parcel: signed once, sealed for one owner (protocol.md §6).

On disk before anything is sent. Where it goes then is the sender's.
"""

from __future__ import annotations

from typing import Any

from node.consent import Consent
from node.exchange.parcel import Parcel
from node.identity import Identity
from node.letters import Mailbox, Reduced
from node.names import Names
from node.outbox import Consignment, Letter, Recipient
from node.runtime.clock import Clock
from node.storage import Batch, Store
from node.storage import schema as spaces
from protocol.errors import RemoteProtocolError
from protocol.handshake import State
from protocol.identity import IdentityRecord
from protocol.letter import Inner, sign_inner
from protocol.offer import MAX_FIRST_CONTACT_BYTES, MAX_NOTE_BYTES


class Sealer:
    """Makes parcels, and says what a stranger may send."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        names: Names,
        consent: Consent,
        mailbox: Mailbox,
        clock: Clock,
    ) -> None:
        self._store = store
        self._identity = identity
        self._names = names
        self._consent = consent
        self._mailbox = mailbox
        self._clock = clock

    async def parcel(self, recipient: Recipient, consignment: Consignment, record: IdentityRecord) -> Parcel:
        """The parcel that was kept, or a new one. Raises LocalProtocolError for a letter too large."""
        kept = consignment.parcel(recipient)
        return Parcel.decode(kept) if kept else await self._seal(recipient, consignment, record)

    async def anew(
        self, recipient: Recipient, consignment: Consignment, parcel: Parcel, identity: bytes
    ) -> tuple[IdentityRecord, Parcel]:
        """The same signed inner for a prekey that its owner still has, as `identity` says (§6, *Once*).
        Raises RemoteProtocolError for another's identity.
        """
        now = self._clock.now()
        record = IdentityRecord.parse(identity, now)
        if record.address != recipient.address:
            raise RemoteProtocolError("a node answered with another owner's identity")
        batch = Batch()
        self._names.learn(batch, record)
        fresh = parcel.anew(record, now)
        await consignment.keep(batch, recipient, fresh.encode())
        return record, fresh

    async def fits_first_contact(self, parcel: Parcel, body: Reduced | None) -> bool:
        """Whether a stranger may send this (§6): small, and plain text if there is a message at all."""
        if len(parcel.envelope()) > MAX_FIRST_CONTACT_BYTES or (body and body.refs):
            return False
        if body is None:
            return True
        try:
            summary = await self._mailbox.summary(body.message)
        except RemoteProtocolError:
            return False
        return summary.plain_only and summary.text_bytes <= MAX_NOTE_BYTES

    async def _seal(self, recipient: Recipient, consignment: Consignment, record: IdentityRecord) -> Parcel:
        """Sign and seal once, with the way back that rides in it."""
        batch, now, letter = Batch(), self._clock.now(), consignment.letter
        records = letter.records + self._handshake(batch, letter, record, now)
        records += self._nodes(batch, recipient.address, now)
        body, sender = consignment.body("mailio"), self._identity.record(now)
        # By a clock that runs behind it would be older than who wrote it, and nobody would ever take it.
        created = max(now, sender.seq, sender.created)
        inner = Inner(
            letter_id=letter.letter_id,
            to=record.public_key,
            sender=sender,
            created=created,
            previous=self._previous(batch, recipient.address, letter.letter_id),
            thid=letter.thid or letter.letter_id.hex(),
            pthid=letter.pthid or None,
            records=records,
            message=body.message if body else None,
            message_hash=body.hash if body else None,
            refs=body.refs if body else (),
        )
        parcel = Parcel.make(sign_inner(inner, self._identity.signing_key), record, created)
        await consignment.keep(batch, recipient, parcel.encode())
        return parcel

    def _handshake(self, batch: Batch, letter: Letter, record: IdentityRecord, now: int) -> tuple[bytes, ...]:
        """Our `accepted` for the way back; a request always carries the present one (§5)."""
        if letter.kind not in ("letter", "request"):
            return ()
        ours = self._consent.way_back(batch, record, now)
        entry = self._consent.ours(record.address, batch)
        if ours or letter.kind == "letter" or entry is None or not entry.record:
            return ours
        return (entry.record,)

    def _previous(self, batch: Batch, address: str, letter_id: bytes) -> bytes | None:
        """The letter before this one to this owner; noted so that the next one can name this. A letter
        signed anew after it was held is not its own predecessor.
        """
        place = (self._store.index("last-sent", address.encode()),)
        row: Any = self._store.get(spaces.LAST_SENT, place) or {"letterId": b"", "before": b""}
        before = row["before"] if row["letterId"] == letter_id else row["letterId"]
        batch.put(spaces.LAST_SENT, place, {"letterId": letter_id, "before": before})
        return before or None

    def _nodes(self, batch: Batch, address: str, now: int) -> tuple[bytes, ...]:
        """Where our nodes are, for whom we have accepted, if not everyone may know (§3, `nodes/1`)."""
        if self._consent.state(address, now, batch) is not State.ACCEPTED:
            return ()
        nodes = self._identity.nodes_record(now)
        if nodes is None:
            return ()
        self._identity.save(batch)
        return (nodes,)
