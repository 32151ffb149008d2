"""Vectors of the vault (§3): where entries lie, pages as hosts keep them, and what is no page."""

import hashlib

from nacl import bindings

from protocol.account import Item
from protocol.cbor import encode
from protocol.vault import Entry, Page, VaultKeys, merged
from tests.vectors.handshakes import agreed, raw_kdf
from tests.vectors.shape import Computed, Json, Topic, outcome

NOW = 1_795_392_000_000  # November 2026, ms
KEY = "7a" * 32
KEYS = VaultKeys(bytes.fromhex(KEY))

ANN: Json = {"kind": "contact/1", "name": b"ann".hex(), "value": encode({"name": "Ann"}).hex()}
BOB: Json = {"kind": "contact/1", "name": b"bob".hex(), "value": encode({"name": "Bob"}).hex()}
BOBS: Json = {"kind": "owner/1", "name": b"bob".hex(), "value": encode({"hints": []}).hex()}


def _entry(given: Json) -> Entry:
    return Entry(given["kind"], bytes.fromhex(given["name"]), bytes.fromhex(given["value"]))


def _page(given: Json) -> Page:
    entries = tuple(map(_entry, given["entries"]))
    return Page(given["page"], given["pages"], given["seq"], entries)


def _place(given: Json) -> Computed:
    key, name = bytes.fromhex(given["vault key"]), bytes.fromhex(given["name"])
    derived = raw_kdf(key, "vault-bucket", given["kind"].encode(), name)
    place = VaultKeys(key).place(given["kind"], name)
    assert int.from_bytes(derived[:4], "big") == place
    return {"derived": derived.hex()}, {
        "place": place,
        "page of": {str(n): place % n for n in (1, 2, 4, 1_024)},
    }


PLACES = Topic(
    "vault-places",
    "In which page of the vault an entry lies (§3)",
    {
        "a contact": {"vault key": KEY, "kind": "contact/1", "name": ANN["name"]},
        "another kind": {"vault key": KEY, "kind": "ours/1", "name": ANN["name"]},
        "another key": {"vault key": "7b" * 32, "kind": "contact/1", "name": ANN["name"]},
    },
    _place,
)


def _sealed(given: Json) -> Computed:
    key = bytes.fromhex(given["vault key"])
    item, page = VaultKeys(key).seal(_page(given)), _page(given)
    entries = sorted(given["entries"], key=lambda e: (e["kind"].encode(), bytes.fromhex(e["name"])))
    raw = [
        {"kind": e["kind"], "name": bytes.fromhex(e["name"]), "value": bytes.fromhex(e["value"])}
        for e in entries
    ]
    text = encode({"page": page.number, "pages": page.count, "entries": raw})
    padded = len(text).to_bytes(4, "big") + text
    padded += bytes(4_096 - len(padded))
    page_key = raw_kdf(key, "vault-page")
    identifier = raw_kdf(key, "vault-page-id", page.number.to_bytes(8, "big"))
    content = hashlib.blake2b(padded, digest_size=32).digest()
    associated = identifier + page.seq.to_bytes(8, "big")
    nonce = raw_kdf(page_key, "vault-nonce", identifier, page.seq.to_bytes(8, "big"), content)[:24]
    data = nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, associated, nonce, page_key)
    mid = {
        "page key": page_key.hex(),
        "text": text.hex(),
        "nonce": nonce.hex(),
        "associated data": associated.hex(),
    }
    assert set(VaultKeys(key).open(item).entries) == set(page.entries)
    return mid, {"id": agreed(identifier, item.id), "data": agreed(data, item.data)}


def _page_of(*entries: Json, pages: int = 1, page: int = 0, seq: int = NOW) -> Json:
    return {"vault key": KEY, "page": page, "pages": pages, "seq": seq, "entries": list(entries)}


def _of_four(entry: Json) -> int:
    return KEYS.place(entry["kind"], bytes.fromhex(entry["name"])) % 4


PAGES = Topic(
    "vault",
    "Pages of the vault as hosts keep them (§3, §11)",
    {
        "nothing": _page_of(),
        "all in one page, out of order": _page_of(BOBS, BOB, ANN),
        "one of four": _page_of(ANN, pages=4, page=_of_four(ANN), seq=NOW + 1),
    },
    _sealed,
)


def _read(given: Json) -> Computed:
    item = Item(bytes.fromhex(given["id"]), given["seq"], bytes.fromhex(given["data"]))
    keys = VaultKeys(bytes.fromhex(given["vault key"]))

    def read() -> Json:
        page = keys.open(item)
        entries = [{"kind": e.kind, "name": e.name.hex(), "value": e.value.hex()} for e in page.entries]
        return {"page": page.number, "pages": page.count, "entries": entries}

    return {}, outcome(read)


def _given(text: bytes, *, seq: int = NOW, page: int = 0, padded: bool = True) -> Json:
    """A page that whoever has the key made of any text."""
    key = bytes.fromhex(KEY)
    identifier, page_key = raw_kdf(key, "vault-page-id", page.to_bytes(8, "big")), raw_kdf(key, "vault-page")
    plain = len(text).to_bytes(4, "big") + text if padded else text
    plain += bytes(4_096 - len(plain))
    associated, nonce = identifier + seq.to_bytes(8, "big"), bytes(24)
    data = nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, associated, nonce, page_key)
    return {"vault key": KEY, "id": identifier.hex(), "seq": seq, "data": data.hex()}


def _text(*entries: Json, page: int = 0, pages: int = 1) -> bytes:
    raw = [
        {"kind": e["kind"], "name": bytes.fromhex(e["name"]), "value": bytes.fromhex(e["value"])}
        for e in entries
    ]
    return encode({"page": page, "pages": pages, "entries": raw})


_WRONG = (_of_four(ANN) + 1) % 4

READ = Topic(
    "vault-read",
    "What an owner takes as a page of its vault (§3)",
    {
        "a page": _given(_text(ANN, BOB)),
        "another seq": _given(_text(ANN, BOB)) | {"seq": NOW + 1},
        "another id": _given(_text(ANN, BOB)) | {"id": raw_kdf(bytes.fromhex(KEY), "vault-page-id").hex()},
        "another key": _given(_text(ANN, BOB)) | {"vault key": "7b" * 32},
        "another page's number": _given(_text(pages=2, page=1)),
        "an entry of another page": _given(_text(ANN, page=_WRONG, pages=4), page=_WRONG),
        "three pages": _given(_text(pages=3)),
        "beyond the last page": _given(_text(pages=1, page=1), page=1),
        "out of order": _given(_text(BOB, ANN)),
        "twice": _given(_text(ANN, ANN)),
        "not padded": _given(b"\xff" * 4_096, padded=False),
        "cut short": _given(_text(ANN)) | {"data": "00" * 43},
    },
    _read,
)


def _merged(given: Json) -> Computed:
    said = merged(map(_page, given["versions"]), VaultKeys(bytes.fromhex(given["vault key"])))
    found = sorted(said, key=lambda entry: entry.key)
    return {}, {"entries": [{"kind": e.kind, "name": e.name.hex(), "value": e.value.hex()} for e in found]}


ANNE: Json = ANN | {"value": encode({"name": "Anne"}).hex()}


def _version(seq: int, *entries: Json, pages: int = 1, page: int = 0) -> Json:
    return {"page": page, "pages": pages, "seq": seq, "entries": list(entries)}


MERGED = Topic(
    "vault-merged",
    "What pages from several hosts say together: the newest page that an entry falls into decides (§3)",
    {
        "the newer wins": {"vault key": KEY, "versions": [_version(2, ANNE), _version(1, ANN)]},
        "in any order": {"vault key": KEY, "versions": [_version(1, ANN), _version(2, ANNE)]},
        "gone is gone": {"vault key": KEY, "versions": [_version(1, ANN, BOB), _version(2, BOB)]},
        "one of four is newer": {
            "vault key": KEY,
            "versions": [
                _version(1, ANN, BOB, BOBS),
                _version(2, ANNE, pages=4, page=_of_four(ANN)),
            ],
        },
    },
    _merged,
)

TOPICS: tuple[Topic, ...] = (PLACES, PAGES, READ, MERGED)
