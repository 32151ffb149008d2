"""The room's one object: what a person typed becomes a target, and an address becomes an owner's record.
The parts are contacts.py, pins.py, nodes.py and find.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from node.names.contacts import Contact, Contacts, same_name
from node.names.errors import ContactError, UnknownRecipient
from node.names.find import Ask, Directory, Finder
from node.names.keeping import Keeping
from node.names.nodes import SentNodes
from node.names.pins import Pin, Pins
from node.runtime.clock import Clock
from node.runtime.errors import UsageError
from node.runtime.rooms import Warning_
from node.storage import Batch, Store
from protocol.errors import RemoteProtocolError
from protocol.identity import IdentityRecord
from protocol.link import ContactLink
from protocol.recipient import (
    AddressRecipient,
    EmailRecipient,
    LinkRecipient,
    NameRecipient,
    Recipient,
    parse_recipient,
)

if TYPE_CHECKING:
    from node.network.addresses import PeerAddress

MAX_SUGGESTIONS: Final = 3
"""Contacts named when a name fits none; more don't help."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a person meant. With kind "mailio" `address` is a Mailio address, with "email" an e-mail address
    in its normal form that no contact with a Mailio address has. `name` is the contact's, where one fits;
    `email` the e-mail address by which a Mailio owner was found.
    """

    kind: Literal["mailio", "email"]
    address: str
    link: ContactLink | None = None
    name: str | None = None
    email: str = ""


class Names:
    """Who people are and where. What takes a batch adds to it only; the caller writes it."""

    def __init__(
        self, store: Store, directory: Directory, ask: Ask, clock: Clock, doubtful: Callable[[], bool]
    ) -> None:
        """`directory` is the network, `ask` identity.ask_identity fitted to it, `doubtful` whether the clock
        is not to be believed.
        """
        self._clock = clock
        self._contacts = Contacts(store)
        self._pins = Pins(store)
        self._nodes = SentNodes(store, doubtful)
        self.keeping = Keeping(self._contacts, self._pins, self._nodes)
        self._finder = Finder(self._pins, self._nodes, store, directory, ask, clock, doubtful)

    # The address book

    def contacts(self) -> list[Contact]:
        """All contacts by name."""
        return self._contacts.list()

    def contact(self, name: str) -> Contact:
        """The contact of that name. Raises UnknownRecipient."""
        contact = self._contacts.named(name)
        if contact is None:
            raise self._unknown(name)
        return contact

    def name_of(self, address: str) -> str | None:
        """What the address book calls a Mailio address."""
        contact = self._contacts.with_address(address)
        return None if contact is None else contact.name

    def add(self, batch: Batch, name: str, who: Sequence[str]) -> Contact:
        """Add a contact; `who` are e-mail addresses and at most one Mailio address, DID or contact link,
        which pins. Raises NodeError, KeyChanged.
        """
        address, emails = self._whereabouts(batch, name, who)
        return self._contacts.add(batch, name, address, emails, self._clock.now())

    def edit(
        self, batch: Batch, name: str, *, new_name: str | None = None, who: Sequence[str] | None = None
    ) -> Contact:
        """Change a contact's name, or all that it stands for. Raises NodeError, KeyChanged."""
        contact = self.contact(name)
        if who is None:
            return self._contacts.change(batch, contact, name=new_name)
        address, emails = self._whereabouts(batch, new_name or name, who)
        return self._contacts.change(batch, contact, name=new_name, whereabouts=(address, emails))

    def remove(self, batch: Batch, name: str) -> Contact:
        """Take a contact out of the address book; what is pinned stays. Raises UnknownRecipient."""
        contact = self.contact(name)
        self._contacts.remove(batch, contact)
        return contact

    def resolve(self, text: str) -> Target:
        """Whom a person meant by a name, e-mail address, Mailio address, DID or contact link (protocol §4:
        the address book comes first). Raises UnknownRecipient, UsageError.
        """
        recipient = _parse(text)
        match recipient:
            case AddressRecipient(address):
                return Target("mailio", address, name=self.name_of(address))
            case LinkRecipient(link):
                return Target("mailio", link.address, link=link, name=self.name_of(link.address))
            case EmailRecipient(email):
                contact = self._contacts.with_email(email)
                return Target("email", email) if contact is None else _target(contact, email)
            case NameRecipient(name):
                return _target(self.contact(name), None)

    # Pins and finding

    def pinned(self, address: str) -> Pin | None:
        """What is pinned for an address, if anything."""
        return self._pins.get(address)

    def learn(self, batch: Batch, record: IdentityRecord) -> bool:
        """Pin a verified record's keys at first sight and keep it if it is the newest; whether anything
        changed. Raises KeyChanged, which `warnings` then tells.
        """
        return self._pins.learn(batch, record)

    def learn_link(self, batch: Batch, link: ContactLink) -> None:
        """Pin the key that a link carries, and remember where it says the owner is. Raises KeyChanged."""
        self._pins.learn_link(batch, link)

    def learn_key(self, batch: Batch, public_key: bytes) -> None:
        """Pin the key that a domain has named. Raises KeyChanged."""
        self._pins.learn_key(batch, public_key)

    def learn_nodes(self, batch: Batch, records: Sequence[bytes], author: IdentityRecord, now: int) -> bool:
        """Keep the newest `nodes/1` record of a letter's author; whether anything changed. Raises
        RemoteProtocolError for one that is not the author's, or is ahead of `now` (Unix ms).
        """
        return self._nodes.learn(batch, records, author, now)

    def forget(self, batch: Batch, address: str) -> None:
        """Forget what is known of an owner who is nobody to us; of a contact everything stays."""
        if self._contacts.with_address(address) is None:
            self._pins.forget(batch, address)
            self._nodes.forget(batch, address)

    def cached(self, address: str, now: int) -> IdentityRecord | None:
        """The known record, if it is valid at `now` (Unix ms)."""
        return self._finder.cached(address, now)

    async def find(self, address: str, now: int, fresh: bool = False) -> IdentityRecord:
        """The owner's record: the known one for some hours, else the newest that its nodes or the DHT give;
        with `fresh` always asked for. Raises NotFoundYet ("later", never "no"), KeyChanged, StoreUnavailable.
        """
        return await self._finder.find(address, now, fresh=fresh)

    def nodes_of(self, address: str) -> "list[PeerAddress]":
        """The owner's nodes as far as known; one without addresses is for the network to find."""
        return self._finder.nodes_of(address)

    def warnings(self) -> list[Warning_]:
        """What the owner should know."""
        return [
            Warning_(
                "key-changed",
                f"{self.name_of(address) or address} shows other keys than those you know",
                "ask them on another way whether this is true; letters to them wait until then",
            )
            for address in self._pins.conflicts
        ]

    def status(self) -> dict[str, object]:
        """Nothing but warnings."""
        return {"warnings": self.warnings()}

    def _whereabouts(self, batch: Batch, name: str, who: Sequence[str]) -> tuple[str | None, list[str]]:
        addresses: dict[str, None] = {}
        emails: list[str] = []
        for text in who:
            match _parse(text):
                case AddressRecipient(address):
                    addresses[address] = None
                case LinkRecipient(link):
                    self._pins.learn_link(batch, link)
                    addresses[link.address] = None
                case EmailRecipient(email):
                    emails.append(email)
                case NameRecipient(other):
                    raise UsageError(
                        "contact-who",
                        f"{other!r} is no e-mail address, Mailio address, DID or contact link",
                        f"put a name of several words in quotes, as in: mailio contact add {name!r} …",
                    )
        if len(addresses) > 1:
            raise ContactError("contact-addresses", "a contact has one Mailio address", "add two contacts")
        return next(iter(addresses), None), emails

    def _unknown(self, name: str) -> UnknownRecipient:
        wanted = same_name(name)
        near = [one.name for one in self._contacts.list() if wanted and wanted in same_name(one.name)]
        hint = f"did you mean {', '.join(near[:MAX_SUGGESTIONS])}? " if near else ""
        return UnknownRecipient(
            "unknown-recipient",
            f"there is no contact called {name}",
            f"{hint}see: mailio contact list; or use an address or a contact link",
        )


def _parse(text: str) -> Recipient:
    try:
        return parse_recipient(text)
    except RemoteProtocolError as fault:
        raise UsageError("recipient", f"{text[:100]!r}: {fault}") from fault


def _target(contact: Contact, email: str | None) -> Target:
    if contact.address is not None:
        return Target("mailio", contact.address, name=contact.name)
    return Target("email", email or contact.emails[0], name=contact.name)
