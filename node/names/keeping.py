"""What of people's names and keys stands in the vault, and how it comes back from there (protocol.md §3).

IdentityRecords are not kept: their owners renew them each day, and they are found again by their address.
"""

from collections.abc import Callable, Iterator
from typing import Final

from node.names.contacts import ID_BYTES, Contacts, contact_of, value_of
from node.names.errors import ContactError
from node.names.nodes import SentNodes
from node.names.pins import MAX_HINT, MAX_HINTS, Pin, Pins
from node.storage import Batch
from protocol.cbor import Value, decode, encode
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.kdf import KEY_BYTES
from protocol.keys import address_of
from protocol.nodes import MAX_NODES_RECORD, NodesRecord
from protocol.vault import Entry

OWNER: Final = "owner/1"
CONTACT: Final = "contact/1"


class Keeping:
    """Reads names, pins and nodes for the vault, and writes back what the vault had."""

    def __init__(self, contacts: Contacts, pins: Pins, nodes: SentNodes) -> None:
        self._contacts = contacts
        self._pins = pins
        self._nodes = nodes

    def entries(self, known: Callable[[str], bool]) -> Iterator[Entry]:
        """The address book, and the pinned keys of contacts and of those whom `known` says; read in pages
        as they are asked for. What is pinned of strangers is not kept: they decide how much that is.
        """
        for pin in self._pins.all():
            if known(pin.address) or self._contacts.with_address(pin.address) is not None:
                yield Entry(OWNER, pin.address.encode(), encode(self._owner(pin)))
        for contact in self._contacts.all():
            yield Entry(CONTACT, contact.id, encode(value_of(contact)))

    def restore(self, batch: Batch, entry: Entry) -> bool:
        """Put an entry back where nothing is in its place yet; whether it was. Raises RemoteProtocolError
        for one that we did not write. What is restored must be written before the next.
        """
        if entry.kind == OWNER:
            return self._restore_owner(batch, entry)
        if entry.kind == CONTACT:
            return self._restore_contact(batch, entry)
        return False

    def _owner(self, pin: Pin) -> dict[str, Value]:
        value: dict[str, Value] = {"publicKey": pin.public_key, "hints": list(pin.hints)}
        if pin.next is not None:
            value["next"] = pin.next
        nodes = self._nodes.record(pin.address)
        return value if nodes is None else value | {"nodes": nodes}

    def _restore_owner(self, batch: Batch, entry: Entry) -> bool:
        fields = Fields.decode(entry.value, OWNER)
        public_key = fields.bytes("publicKey", length=KEY_BYTES)
        address = address_of(public_key)
        if address.encode() != entry.name:
            raise RemoteProtocolError(f"{OWNER}: another one's entry")
        following = fields.optional_bytes("next", length=KEY_BYTES)
        hints = fields.texts("hints", MAX_HINTS, MAX_HINT)
        nodes = fields.optional_bytes("nodes", most=MAX_NODES_RECORD)
        changed = self._pins.restore(batch, Pin(address, public_key, following, hints=hints))
        if nodes is not None:
            record = NodesRecord.parse(nodes, None)
            if record.public_key != public_key:
                raise RemoteProtocolError(f"{OWNER}: another one's nodes")
            changed |= self._nodes.restore(batch, record)
        return changed

    def _restore_contact(self, batch: Batch, entry: Entry) -> bool:
        if len(entry.name) != ID_BYTES:
            raise RemoteProtocolError(f"{CONTACT}: not a contact's id")
        contact = contact_of(entry.name, decode(entry.value))
        try:
            return self._contacts.restore(batch, contact)
        except ContactError:
            return False  # another has its name or address by now, and that stays
