"""The records that ride in a letter, told apart by kind. What they change is the room's."""

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.handshake import KIND as HANDSHAKE
from protocol.nodes import NODES_KIND
from protocol.receipt import KIND as RECEIPT
from protocol.receipt import MAX_RECORD_BYTES, Receipt, parse_receipt
from protocol.record import Record


@dataclass(frozen=True, slots=True)
class Sent:
    """What a letter's author sent along: receipts are checked, the others still bytes."""

    handshakes: tuple[bytes, ...]
    receipts: tuple[Receipt, ...]
    nodes: tuple[bytes, ...]


def sort_records(records: Iterable[bytes], author: bytes) -> Sent:
    """Records in a letter signed by the key `author`; kinds that we don't know are passed over.

    Raises RemoteProtocolError for what is no record, and for a receipt of another.
    """
    by_kind: dict[str, list[bytes]] = {}
    for data in records:
        by_kind.setdefault(Record.decode(data, MAX_RECORD_BYTES).kind, []).append(data)
    return Sent(
        tuple(by_kind.get(HANDSHAKE, ())),
        tuple(parse_receipt(data, author) for data in by_kind.get(RECEIPT, ())),
        tuple(by_kind.get(NODES_KIND, ())),
    )
