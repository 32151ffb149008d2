"""The outbox on disk: rows, bodies, parcels, and the way from a receipt to its letter.

Only reads, and additions to batches; when to write and what it means is the outbox's.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from node.files import FOR_EVER, Files, Pin, PinKind
from node.letters import Rebuilder, Reduced
from node.outbox.letter import MAILIO, PIN_MS, ROUTES, Delivery, Letter, Outgoing, Recipient
from node.runtime.clock import Clock
from node.storage import Batch, Store
from node.storage import schema as spaces
from protocol.unixfs import REFERENCE

PIECE: Final = 1_048_576
"""Bytes of a body in one value: what goes sealed is in one, and since large parts lie outside the rest
too.
"""

HANDED_IN: Final = "handed in"
"""Stands where letters by their letterId have a recipient; no address looks so."""


class Ledger:
    """Letters in the outbox. Those with nothing left to do lie in a space of their own, so that the
    start reads only what still waits.
    """

    def __init__(self, store: Store, files: Files, clock: Clock) -> None:
        self._clock = clock
        self._store = store
        self._files = files
        self._rebuilder = Rebuilder(files)

    def add(self, batch: Batch, outgoing: Outgoing, now: int) -> Letter:
        """A new letter with its bodies; every delivery is queued."""
        letter = Letter(
            id=now.to_bytes(6, "big") + secrets.token_bytes(10),
            kind=outgoing.kind,
            letter_id=secrets.token_bytes(32),
            subject=outgoing.subject,
            created=outgoing.created,
            thid=outgoing.thid,
            pthid=outgoing.pthid,
            records=outgoing.records,
            deliveries=tuple(Delivery(recipient, "queued", since=now) for recipient in outgoing.to),
            sender=outgoing.sender,
            digest=outgoing.digest,
            files=_files(outgoing.bodies.values()),
            pin=outgoing.pin,
            message_id=outgoing.message_id,
        )
        for route, body in outgoing.bodies.items():
            for n, value in enumerate(_pieces(body)):
                batch.put(spaces.OUTBOX_BODY, _body_key(letter, route, n), value)
        for recipient in outgoing.to:
            bodies = outgoing.bodies.values() if recipient.address in outgoing.unsure else ()
            self._for_recipient(batch, letter, recipient, outgoing.bodies.get(recipient.route), *bodies)
        if letter.digest:
            batch.put(spaces.BY_LETTER, self._receipt_key(letter.digest, HANDED_IN), {"id": letter.id})
        self.put(batch, letter)
        return letter

    def put(self, batch: Batch, letter: Letter) -> None:
        """Write the row where it belongs; what only sending needed goes when it has ended."""
        self._repin(batch, letter)
        if not letter.ended:
            batch.put(spaces.OUTBOX, (letter.id,), _row_of(letter))
            return
        batch.delete(spaces.OUTBOX, (letter.id,))
        batch.put(spaces.OUTBOX_ENDED, (letter.id,), _row_of(replace(letter, records=())))
        for n in range(len(letter.deliveries)):
            batch.delete(spaces.PARCEL, (letter.id, n))
        for route in ROUTES:
            for n in range(self._number_of_pieces(letter, route)):
                batch.delete(spaces.OUTBOX_BODY, _body_key(letter, route, n))

    def move(self, batch: Batch, letter: Letter, before: Recipient, after: Recipient) -> None:
        """What was for one of its recipients is for another, by the other route. The row is not written."""
        self._files.unpin(batch, self._holder(letter, before))
        self._forget_answer(batch, letter, before)
        self._for_recipient(batch, letter, after, self.body(letter, after.route))

    def forget(self, batch: Batch, letter: Letter) -> None:
        """Drop the last trace of an ended letter."""
        batch.delete(spaces.OUTBOX_ENDED, (letter.id,))
        for delivery in letter.deliveries:
            self._forget_answer(batch, letter, delivery.recipient)
        last = self.by_digest(letter.digest)
        if last is not None and last.id == letter.id:
            batch.delete(spaces.BY_LETTER, self._receipt_key(letter.digest, HANDED_IN))

    def get(self, letter_id: bytes) -> Letter | None:
        for space in (spaces.OUTBOX, spaces.OUTBOX_ENDED):
            row: Any = self._store.get(space, (letter_id,))
            if row is not None:
                return _letter_of(letter_id, row)
        return None

    def waiting(self) -> Iterator[Letter]:
        """Every letter that still has something to do, oldest first."""
        rows: Any = self._store.walk(spaces.OUTBOX)
        for key, row in rows:
            yield _letter_of(key[0], row)

    def ended(self, limit: int, *, oldest_first: bool = False) -> list[Letter]:
        """Letters with nothing left to do, newest first unless told otherwise."""
        page: Any = self._store.scan(spaces.OUTBOX_ENDED, reverse=not oldest_first, limit=limit)
        return [_letter_of(key[0], row) for key, row in page]

    def by_receipt(self, letter_id: bytes, author: str) -> Letter | None:
        """The letter that a receipt from this owner is about."""
        return self._by(letter_id, author)

    def by_message(self, message_id: str, email: str) -> Letter | None:
        """The letter with this Message-ID that went to this e-mail address by ordinary mail, the last one if
        there were several.
        """
        return self._by(self._message_key(message_id), email)

    def by_digest(self, digest: bytes) -> Letter | None:
        """The letter that was last handed in with this digest (32 bytes)."""
        return self._by(digest, HANDED_IN) if digest else None

    def _by(self, what: bytes, who: str) -> Letter | None:
        row: Any = self._store.get(spaces.BY_LETTER, self._receipt_key(what, who))
        return self.get(row["id"]) if row is not None else None

    def body(self, letter: Letter, route: str) -> Reduced | None:
        """None where there is none, or the letter has ended."""
        head: Any = self._store.get(spaces.OUTBOX_BODY, _body_key(letter, route, 0))
        if head is None:
            return None
        pieces = [self._piece(letter, route, n) for n in range(head.get("pieces", 1))]
        return Reduced.load(b"".join(one for one in pieces if one is not None), head)

    async def load(self, letter: Letter, route: str) -> bytes | None:
        """The same as one whole message. Raises ContentMissing, ContentDamaged, StoreUnavailable."""
        body = self.body(letter, route)
        return None if body is None else await self._rebuilder.whole(body)

    def _piece(self, letter: Letter, route: str, n: int) -> bytes | None:
        row: Any = self._store.get(spaces.OUTBOX_BODY, _body_key(letter, route, n))
        return row["raw"] if row is not None else None

    def _number_of_pieces(self, letter: Letter, route: str) -> int:
        row: Any = self._store.get(spaces.OUTBOX_BODY, _body_key(letter, route, 0))
        return row.get("pieces", 1) if row is not None else 0

    def parcel(self, letter: Letter, recipient: Recipient) -> bytes | None:
        row: Any = self._store.get(spaces.PARCEL, (letter.id, _number(letter, recipient)))
        return row["parcel"] if row is not None else None

    def put_parcel(self, batch: Batch, letter: Letter, recipient: Recipient, parcel: bytes) -> None:
        batch.put(spaces.PARCEL, (letter.id, _number(letter, recipient)), {"parcel": parcel})

    def drop_parcel(self, batch: Batch, letter: Letter, recipient: Recipient) -> None:
        batch.delete(spaces.PARCEL, (letter.id, _number(letter, recipient)))

    def recall(self, batch: Batch, letter: Letter, recipient: Recipient, parcel: bytes) -> None:
        """Its author takes it back: what the carrier kept says where it may lie (recalls.py)."""
        batch.put(spaces.RECALL, (letter.id, _number(letter, recipient)), {"parcel": parcel})

    # ---- what lies outside

    def received(self, batch: Batch, letter: Letter, address: str, cids: Iterable[str]) -> None:
        """This recipient has fetched and checked these contents: they need not be kept for it."""
        names = [letter.files[cid] for cid in cids if cid in letter.files]
        if names:
            self._files.unpin(batch, self._for(PinKind.OUT, address, letter.letter_id), names)

    def revoked(self, batch: Batch, address: str) -> None:
        """Nothing is kept for this recipient any more."""
        self._files.unpin(batch, self._for(PinKind.OUT, address, b""))

    def _for_recipient(
        self, batch: Batch, letter: Letter, recipient: Recipient, *bodies: Reduced | None
    ) -> None:
        """As long as it is on its way nothing of it goes, and what comes back finds it."""
        for body in bodies:
            for name in body.names if body is not None else ():
                self._files.pin(batch, name, self._holder(letter, recipient), FOR_EVER)
        if key := self._answer_key(letter, recipient):
            batch.put(spaces.BY_LETTER, key, {"id": letter.id})

    def _repin(self, batch: Batch, letter: Letter) -> None:
        """Who does not get it, or has it whole, needs nothing of it kept. From when a sealed letter has
        arrived its attachments are there for its recipient to fetch, until a receipt says that they were.
        """
        before = self.get(letter.id) if letter.files else None
        for delivery in letter.deliveries if before is not None else ():
            holder = self._holder(letter, delivery.recipient)
            if delivery.open or before is None:
                continue
            if holder.kind is PinKind.SEND or delivery.state != "delivered":
                self._files.unpin(batch, holder)
            elif before.delivery(delivery.recipient).open:
                for name in self._files.held(holder):
                    self._files.pin(batch, name, holder, self._clock.now() + letter.pin)

    def _holder(self, letter: Letter, recipient: Recipient) -> Pin:
        kind = PinKind.OUT if recipient.route == MAILIO else PinKind.SEND
        return self._for(kind, recipient.address, letter.letter_id)

    def _for(self, kind: PinKind, address: str, letter_id: bytes) -> Pin:
        return Pin(kind, letter_id, self._store.index("pin", address.encode()))

    def _forget_answer(self, batch: Batch, letter: Letter, recipient: Recipient) -> None:
        key = self._answer_key(letter, recipient)
        row: Any = self._store.get(spaces.BY_LETTER, key) if key else None
        if key and row is not None and row["id"] == letter.id:  # else it is of a later letter
            batch.delete(spaces.BY_LETTER, key)

    def _answer_key(self, letter: Letter, recipient: Recipient) -> tuple[bytes, bytes] | None:
        """Where it is found from what comes back of it: a receipt, or another mail server's report."""
        if recipient.route == MAILIO:
            return self._receipt_key(letter.letter_id, recipient.address)
        message = self._message_key(letter.message_id)
        return self._receipt_key(message, recipient.address) if letter.message_id else None

    def _message_key(self, message_id: str) -> bytes:
        return self._store.index("message-id", message_id.encode())

    def _receipt_key(self, letter_id: bytes, address: str) -> tuple[bytes, bytes]:
        return letter_id, self._store.index("outbox", address.encode())


def _files(bodies: Iterable[Reduced]) -> dict[str, bytes]:
    """What `files` calls the contents outside of these, by their CIDs."""
    parts = [part for body in bodies for part in zip(body.refs, body.names, strict=True)]
    return {ref.reference.removeprefix(REFERENCE): name for ref, name in parts}


def _pieces(body: Reduced) -> Iterator[dict[str, Any]]:
    """Values of a body; the first one says how many there are, if there are more, and what lies outside."""
    raw, head = body.message, body.outside()
    number = -(-len(raw) // PIECE)
    yield head | {"raw": raw[:PIECE]} | ({"pieces": number} if number > 1 else {})
    for start in range(PIECE, len(raw), PIECE):
        yield {"raw": raw[start : start + PIECE]}


def _body_key(letter: Letter, route: str, piece: int) -> tuple[bytes, int]:
    """The number of a route, and then those beyond all routes for its further pieces."""
    return letter.id, ROUTES[route] + piece * len(ROUTES)


def _number(letter: Letter, recipient: Recipient) -> int:
    return next(n for n, d in enumerate(letter.deliveries) if d.recipient == recipient)


def _row_of(letter: Letter) -> dict[str, Any]:
    return {
        "kind": letter.kind,
        "letterId": letter.letter_id,
        "subject": letter.subject,
        "created": letter.created,
        "thid": letter.thid,
        "pthid": letter.pthid,
        "records": list(letter.records),
        "sender": letter.sender,
        "digest": letter.digest,
        "files": dict(letter.files),
        "pin": letter.pin,
        "delayed": letter.delayed,
        "messageId": letter.message_id,
        "to": [
            {
                "to": d.recipient.to,
                "route": d.recipient.route,
                "address": d.recipient.address,
                "state": d.state,
                "since": d.since,
                "code": d.code,
                "detail": d.detail,
                "next": d.next,
                "cause": d.cause,
                "approved": d.approved,
                "until": d.until,
            }
            for d in letter.deliveries
        ],
    }


def _letter_of(letter_id: bytes, row: Mapping[str, Any]) -> Letter:
    return Letter(
        id=letter_id,
        kind=row["kind"],
        letter_id=row["letterId"],
        subject=row["subject"],
        created=row["created"],
        thid=row["thid"],
        pthid=row["pthid"],
        sender=row.get("sender", ""),  # rows from before ordinary mail, or attachments, have none of these
        digest=row.get("digest", b""),
        files=row.get("files", {}),
        pin=row.get("pin", PIN_MS),
        delayed=row.get("delayed", 0),
        message_id=row.get("messageId", ""),
        records=tuple(row["records"]),
        deliveries=tuple(
            Delivery(
                recipient=Recipient(d["to"], d["route"], d["address"]),
                state=d["state"],
                since=d["since"],
                code=d["code"],
                detail=d["detail"],
                next=d["next"],
                cause=d["cause"],
                approved=d["approved"],
                until=d.get("until", 0),  # rows of 0.1 and 0.2 know no hosts
            )
            for d in row["to"]
        ),
    )
