"""A recipient's signed word on what became of a letter (protocol.md §6).

Who keeps it and what it makes of a recipient's state is the outbox's business.
"""

from dataclasses import dataclass
from typing import Final

from protocol.cbor import Value
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.kdf import HASH_BYTES
from protocol.keys import SigningKey
from protocol.record import Record, sign_record
from protocol.status import Status

KIND: Final = "receipt/1"

LETTER_ID_BYTES: Final = 32

MAX_CIDS: Final = 1_000  # As many as a letter has references.
MAX_CID_BYTES: Final = 100  # A CIDv1 with sha2-256 in base32 has 59; the rest is room for another hash.
MAX_RECORD_BYTES: Final = 131_072  # All CIDs at their longest and the rest of the record.


@dataclass(frozen=True, slots=True)
class Receipt:
    """`payload_hash` is that of the letter's payload; `cids` are those fetched and checked; `time` in ms.

    Of two receipts for a letter the later one counts.
    """

    letter_id: bytes
    payload_hash: bytes
    status: Status
    cids: tuple[str, ...]
    time: int


def sign_receipt(receipt: Receipt, identity: SigningKey) -> bytes:
    """The record's bytes."""
    payload: dict[str, Value] = {
        "letterId": receipt.letter_id,
        "hash": receipt.payload_hash,
        "status": receipt.status.code,
        "cids": list(receipt.cids),
        "time": receipt.time,
    }
    return sign_record(KIND, payload, identity).encode()


def parse_receipt(data: bytes, recipient: bytes) -> Receipt:
    """Read a receipt that must be signed by the identity key `recipient`; raises RemoteProtocolError."""
    record = Record.decode(data, MAX_RECORD_BYTES)
    if record.public_key != recipient:
        raise RemoteProtocolError("the receipt is not signed by the letter's recipient")
    fields = Fields(record.verify(KIND), KIND)
    return Receipt(
        letter_id=fields.bytes("letterId", length=LETTER_ID_BYTES),
        payload_hash=fields.bytes("hash", length=HASH_BYTES),
        status=Status.parse(fields.text("status")),
        cids=fields.texts("cids", MAX_CIDS, MAX_CID_BYTES),
        time=fields.int("time"),
    )
