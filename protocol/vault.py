"""The pages of the vault (protocol.md §3): what an owner keeps at its hosts, so that 24 words bring it back.

Only the owner writes and opens pages; a host sees their names, sizes and seqs. What the entries say is for
their rooms.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import nacl.exceptions
from nacl import bindings

from protocol.account import MAX_VAULT_BYTES, Item
from protocol.cbor import Value, encode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.kdf import blake2b, kdf
from protocol.padding import LENGTH_BYTES, pad, unpad

LEAST_PAGE: Final = 4_096  # bytes: the vaults of owners who know few people all look alike
FULL_BYTES: Final = 131_072  # 128 KiB of entries: with more in any page the pages become twice as many
MAX_PAGES: Final = 1_024  # 128 MiB in all, more than an account holds by default
MAX_KIND: Final = 16  # bytes of a kind's name
MAX_NAME: Final = 512  # bytes; an e-mail address has at most 320
MAX_VALUE: Final = 24_576  # bytes; the largest, a handshake with its request's note, has some 10,000
MAX_ENTRIES: Final = 10_000  # of one page; the smallest that there are fill it with some 2,000

_NONCE_BYTES: Final = 24  # XChaCha20-Poly1305
_AEAD_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = 24  # of an entry beside its parts: the names of its fields, and lengths


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing kept: its kind with the version of its form (`ours/1`), its name that never changes, and its
    deterministic CBOR.
    """

    kind: str
    name: bytes
    value: bytes

    @property
    def key(self) -> tuple[bytes, bytes]:
        """What no two entries have in common; pages hold them in this order."""
        return self.kind.encode(), self.name

    @property
    def size(self) -> int:
        """Bytes that it takes in a page, at most."""
        return len(self.kind) + len(self.name) + len(self.value) + _HEAD_BYTES


@dataclass(frozen=True, slots=True)
class Page:
    """An opened page: the `number`th of `count`, which is a power of two, as of `seq`; all the entries whose
    place falls into it.
    """

    number: int
    count: int
    seq: int
    entries: tuple[Entry, ...]


class VaultKeys:
    """What follows from the vault key: where entries have their place, how pages are named and sealed."""

    __slots__ = ("_page_key", "_vault_key")

    def __init__(self, vault_key: bytes) -> None:
        self._vault_key = vault_key
        self._page_key = kdf(vault_key, "vault-page")

    def place(self, kind: str, name: bytes) -> int:
        """The first 32 bits of the entry's derivation. In a vault of `count` pages it lies in the page
        `place % count`, so that a page's entries go to two when the pages become twice as many.
        """
        return int.from_bytes(kdf(self._vault_key, "vault-bucket", kind, name)[:4], "big")

    def page_id(self, number: int) -> bytes:
        """Under which a host keeps this page."""
        return kdf(self._vault_key, "vault-page-id", number)

    def seal(self, page: Page) -> Item:
        """The page as hosts keep it: the same bytes for the same page. Raises LocalProtocolError for more
        entries than a page holds.
        """
        plain = pad(encode(_page_map(page)), LEAST_PAGE)
        if len(plain) + _AEAD_TAG_BYTES > MAX_VAULT_BYTES or len(page.entries) > MAX_ENTRIES:
            raise LocalProtocolError(f"a page of the vault is over {MAX_VAULT_BYTES} bytes")
        identifier = self.page_id(page.number)
        # Derived, not drawn: own nodes write the same bytes, and no two pages share a nonce.
        nonce = kdf(self._page_key, "vault-nonce", identifier, page.seq, blake2b(plain))[:_NONCE_BYTES]
        sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            plain, _associated(identifier, page.seq), nonce, self._page_key
        )
        return Item(identifier, page.seq, nonce + sealed)

    def open(self, item: Item) -> Page:
        """The page that a host gave. Raises RemoteProtocolError for one that this owner did not write as
        this item.
        """
        if not _NONCE_BYTES + _AEAD_TAG_BYTES + LENGTH_BYTES <= len(item.data) <= MAX_VAULT_BYTES:
            raise RemoteProtocolError("a page of the vault has not the size of one")
        nonce, sealed = item.data[:_NONCE_BYTES], item.data[_NONCE_BYTES:]
        try:
            plain = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed, _associated(item.id, item.seq), nonce, self._page_key
            )
        except nacl.exceptions.CryptoError:
            raise RemoteProtocolError("a page of the vault can't be opened") from None
        page = _read_page(unpad(plain, LEAST_PAGE), item.seq)
        if item.id != self.page_id(page.number):
            raise RemoteProtocolError("a page of the vault under another one's name")
        if any(self.place(e.kind, e.name) % page.count != page.number for e in page.entries):
            raise RemoteProtocolError("a page of the vault holds what belongs into another")
        return page


def merged(pages: Iterable[Page], keys: VaultKeys) -> Iterator[Entry]:
    """What several pages, old ones and those of other counts among them, say together, each entry once: the
    newest page that it falls into decides, also that it is gone.
    """
    found: set[tuple[bytes, bytes]] = set()
    spoken: set[tuple[int, int]] = set()
    for page in sorted(pages, key=lambda page: -page.seq):
        counts = {count for count, _ in spoken}
        for entry in page.entries:
            place = keys.place(entry.kind, entry.name)
            if entry.key not in found and all((count, place % count) not in spoken for count in counts):
                found.add(entry.key)
                yield entry
        spoken.add((page.count, page.number))


def _page_map(page: Page) -> dict[str, Value]:
    if not (0 <= page.number < page.count <= MAX_PAGES and page.count.bit_count() == 1):
        raise LocalProtocolError(f"no vault has a page {page.number} of {page.count}")
    entries: list[Value] = []
    for entry in sorted(page.entries, key=lambda entry: entry.key):
        if len(entry.kind) > MAX_KIND or len(entry.name) > MAX_NAME or len(entry.value) > MAX_VALUE:
            raise LocalProtocolError(f"an entry of the vault is too large: {entry.kind}")
        entries.append({"kind": entry.kind, "name": entry.name, "value": entry.value})
    return {"page": page.number, "pages": page.count, "entries": entries}


def _read_page(data: bytes, seq: int) -> Page:
    fields = Fields.decode(data, "page of the vault")
    count = fields.int("pages", least=1, most=MAX_PAGES)
    if count.bit_count() != 1:
        raise fields.fault("pages", "is not a power of two")
    entries = tuple(map(_read_entry, fields.maps("entries", MAX_ENTRIES)))
    keys = [entry.key for entry in entries]
    if any(former >= later for former, later in itertools.pairwise(keys)):
        raise fields.fault("entries", "are not in order")
    return Page(fields.int("page", most=count - 1), count, seq, entries)


def _read_entry(fields: Fields) -> Entry:
    return Entry(
        fields.text("kind", MAX_KIND, least=1),
        fields.bytes("name", most=MAX_NAME),
        fields.bytes("value", most=MAX_VALUE),
    )


def _associated(identifier: bytes, seq: int) -> bytes:
    return identifier + seq.to_bytes(8, "big")
