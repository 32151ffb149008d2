"""One letter on its way to one owner, as the parts of the way out hand it to each other."""

from __future__ import annotations

from dataclasses import dataclass

from node.exchange.parcel import Parcel
from node.letters import Reduced
from node.outbox import Letter, Recipient
from protocol.identity import IdentityRecord
from protocol.keys import SigningKey
from protocol.letter import envelope_id
from protocol.offer import MAX_SERVICE_BYTES, Offer, Stamp, prove_offer

SERVICE = frozenset({"accept", "revocation", "receipt"})
"""Kinds of letters that only carry records, and do not count for frequency (§6)."""


@dataclass(frozen=True, slots=True)
class Trip:
    """`body` is the letter's message, None if it only carries records; `approved`: its author agreed to a
    high price.
    """

    letter: Letter
    recipient: Recipient
    record: IdentityRecord
    parcel: Parcel
    body: Reduced | None
    approved: bool

    @property
    def address(self) -> str:
        return self.recipient.address

    def offer(self, envelope: bytes, proof: SigningKey | Stamp | None, account: bytes | None = None) -> Offer:
        """What announces this envelope: under a delivery key, for a stamp, or to be told what one costs; to a
        host for an `account`.
        """
        named = envelope_id(envelope)
        return Offer(
            envelope_id=named,
            size=len(envelope),
            week=self.parcel.week,
            account=account,
            proof=prove_offer(proof, account, named) if isinstance(proof, SigningKey) else proof,
            cancel=self.parcel.cancel if account is not None else None,
            service=self.letter.kind in SERVICE and len(envelope) <= MAX_SERVICE_BYTES,
        )
