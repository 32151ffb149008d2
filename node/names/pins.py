"""What is pinned of each owner at first sight: key, next key, newest record, and where links said it was.
Finding out more is find.py's.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.names.errors import KeyChanged
from node.storage import Batch, Kind, Store, note_change
from node.storage.schema import PIN
from protocol.cbor import Value
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.identity import MAX_IDENTITY, IdentityRecord, check_pin
from protocol.kdf import KEY_BYTES
from protocol.keys import address_bytes, address_of
from protocol.link import ContactLink
from protocol.peers import MAX_ADDR, MAX_PEER_ID

MAX_HINTS: Final = 8
"""Multiaddrs kept from links, the newest first; as many as one link holds."""

MAX_HINT: Final = MAX_ADDR + 2 * MAX_PEER_ID
"""Bytes of one with its `/p2p/` part."""

MAX_PARSED: Final = 512
"""Verified records kept in memory, 3 KB each: verifying one anew takes 0.2 ms, once a letter."""

MAX_CONFLICTS: Final = 64
"""Changed keys remembered for `status`; the oldest goes first."""


_LASTING: Final = ("publicKey", "next", "hints")
"""What hosts are told of when it changes; records are made anew each day, and are found again."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What is believed of one owner. `next` and `record` are None until a record was seen; `checked` is
    when (Unix ms) the record was last looked for with success; `hints` are multiaddrs with `/p2p/`.
    """

    address: str
    public_key: bytes
    next: bytes | None = None
    record: IdentityRecord | None = None
    checked: int = 0
    hints: tuple[str, ...] = ()


class Pins:
    """Reads and changes pins. What takes a batch adds to it only; the caller writes it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parsed: OrderedDict[bytes, IdentityRecord] = OrderedDict()
        self._conflicts: OrderedDict[str, None] = OrderedDict()

    def get(self, address: str) -> Pin | None:
        """What is pinned for an address, if anything."""
        value = self._store.get(PIN, self._place(address))
        return None if value is None else self._read(address, value)

    def all(self) -> Iterator[Pin]:
        """Every pin without its record, read in pages as they are asked for."""
        for _, value in self._store.walk(PIN):
            yield _bare(Fields(value, "pin"))

    def restore(self, batch: Batch, pin: Pin) -> bool:
        """Put back what was pinned before a disk was lost; whether anything changed. What was seen first
        counts, so the old `next` takes the place of one that was seen since.
        """
        known = self.get(pin.address)
        if known is None:
            self._put(batch, pin)
            return True
        hints = tuple(dict.fromkeys((*known.hints, *pin.hints)))[:MAX_HINTS]
        following = known.next if pin.next is None else pin.next
        after = replace(known, next=following, hints=hints)
        if following != known.next and known.next is not None:
            after = replace(after, record=None, checked=0)
        if after == known:
            return False
        self._put(batch, after)
        return True

    def learn(self, batch: Batch, record: IdentityRecord) -> bool:
        """Pin the keys of a verified record at first sight, and keep it if it is the newest; whether
        anything changed. Raises KeyChanged for other keys than those pinned (protocol §2).
        """
        pin = self.fitting(record)
        if pin is None:
            pin = Pin(record.address, record.public_key)
        elif pin.record is not None and not record.replaces(pin.record):
            return False
        self._put(batch, replace(pin, next=record.next, record=record))
        return True

    def looked_up(self, batch: Batch, record: IdentityRecord, now: int) -> IdentityRecord:
        """`learn` what a look-up gave and remember when (Unix ms); returns the newest record."""
        pin = self.fitting(record) or Pin(record.address, record.public_key)
        newest = record if pin.record is None or record.replaces(pin.record) else pin.record
        self._put(batch, replace(pin, next=newest.next, record=newest, checked=now))
        return newest

    def learn_link(self, batch: Batch, link: ContactLink) -> None:
        """Pin the full key that a link carries, and remember where it says the owner is.

        Raises KeyChanged.
        """
        pin = self.get(link.address) or Pin(link.address, link.public_key)
        if pin.public_key != link.public_key:
            raise self._conflict(link.address)
        hints = tuple(dict.fromkeys((*link.addrs, *pin.hints)))[:MAX_HINTS]
        self._put(batch, replace(pin, hints=hints))

    def learn_key(self, batch: Batch, public_key: bytes) -> None:
        """Pin the full key of whom a domain has named. Raises KeyChanged."""
        address = address_of(public_key)
        pin = self.get(address)
        if pin is None:
            self._put(batch, Pin(address, public_key))
        elif pin.public_key != public_key:
            raise self._conflict(address)

    def forget(self, batch: Batch, address: str) -> None:
        """Pin nothing for this address any longer."""
        (place,) = self._place(address)
        if self._store.get(PIN, (place,)) is not None:
            note_change(batch, Kind.PIN, place, address)
        batch.delete(PIN, (place,))

    def fitting(self, record: IdentityRecord) -> Pin | None:
        """The pin that this record fits, None where there is none yet.

        Raises KeyChanged, and remembers the conflict.
        """
        pin = self.get(record.address)
        if pin is None:
            return None
        try:
            check_pin(pin.public_key, record.next if pin.next is None else pin.next, record)
        except RemoteProtocolError as fault:
            raise self._conflict(record.address) from fault
        return pin

    @property
    def conflicts(self) -> Sequence[str]:
        """Addresses that showed other keys than those pinned since we were started."""
        return tuple(self._conflicts)

    def _conflict(self, address: str) -> KeyChanged:
        self._conflicts[address] = None
        while len(self._conflicts) > MAX_CONFLICTS:
            self._conflicts.popitem(last=False)
        return KeyChanged(address)

    def _put(self, batch: Batch, pin: Pin) -> None:
        value: dict[str, Value] = {
            "publicKey": pin.public_key,
            "checked": pin.checked,
            "hints": list(pin.hints),
        }
        if pin.next is not None:
            value["next"] = pin.next
        if pin.record is not None:
            value["record"] = pin.record.record
            self._remember(pin.record)
        (place,) = self._place(pin.address)
        before = self._store.get(PIN, (place,))
        batch.put(PIN, (place,), value)
        if not isinstance(before, dict) or any(before.get(n) != value.get(n) for n in _LASTING):
            note_change(batch, Kind.PIN, place, pin.address)

    def _place(self, address: str) -> tuple[bytes]:
        return (self._store.index("pin", address_bytes(address)),)

    def _read(self, address: str, value: Value) -> Pin:
        fields = Fields(value, "pin")
        record = fields.optional_bytes("record", most=MAX_IDENTITY)
        return replace(
            _bare(fields, address),
            record=None if record is None else self._parse(record),
            checked=fields.int("checked"),
        )

    def _parse(self, data: bytes) -> IdentityRecord:
        """A record that was verified when it was stored; verified again only after a restart."""
        record = self._parsed.get(data)
        if record is None:
            record = IdentityRecord.parse(data, None)
        self._remember(record)
        return record

    def _remember(self, record: IdentityRecord) -> None:
        self._parsed[record.record] = record
        self._parsed.move_to_end(record.record)
        while len(self._parsed) > MAX_PARSED:
            self._parsed.popitem(last=False)


def _bare(fields: Fields, address: str | None = None) -> Pin:
    public_key = fields.bytes("publicKey", length=KEY_BYTES)
    return Pin(
        address=address or address_of(public_key),
        public_key=public_key,
        next=fields.optional_bytes("next", length=KEY_BYTES),
        hints=fields.texts("hints", MAX_HINTS, MAX_HINT),
    )
