"""Vectors of binding/1 and unbound/1: a domain's signed answers about e-mail addresses."""

from functools import partial

from protocol.binding import Binding, parse_binding, sign_binding
from protocol.cbor import encode
from protocol.email import email_hash
from protocol.keys import SigningKey
from protocol.record import Record, sign_record
from tests.vectors.identities import CREATED, DAY_MS
from tests.vectors.shape import Computed, Json, Topic, outcome

DOMAIN_SEED, MEMBER_SEED = "11" * 32, "22" * 32
NONCE = bytes(range(32)).hex()
EMAIL = "alice@example.org"
HASH = email_hash(EMAIL)


def _public(seed: str) -> bytes:
    return SigningKey.from_seed(bytes.fromhex(seed)).public


def _binding(given: Json) -> Computed:
    domain = SigningKey.from_seed(bytes.fromhex(given["domain seed"]))
    hashed = email_hash(given["e-mail"])
    owner = bytes.fromhex(given["owner"]) if "owner" in given else None
    nonce = bytes.fromhex(given["nonce"])
    data = sign_binding(Binding(hashed, nonce, owner, given["created"], given["expires"]), domain)
    record = Record.decode(data, len(data))
    mid = {
        "e-mail hash": hashed,
        "domain key": domain.public.hex(),
        "kind": record.kind,
        "payload": record.payload.hex(),
        "signature": record.signature.hex(),
    }
    out: Json = {"record": data.hex()}
    for name, now in given["read at"].items():
        out[name] = outcome(partial(_read, data, domain.public, hashed, nonce, now))
    return mid, out


def _read(data: bytes, domain: bytes, hashed: str, nonce: bytes, now: int) -> Json:
    found = parse_binding(data, domain, hashed, nonce, now)
    return {"address": found.address, "expires": found.expires}


_ASKED = {
    "domain seed": DOMAIN_SEED,
    "e-mail": EMAIL,
    "nonce": NONCE,
    "created": CREATED,
    "expires": CREATED + DAY_MS,
}
_READ_AT = {
    "at created": CREATED,
    "1 ms too early": CREATED - 600_001,
    "just before expiry": CREATED + DAY_MS - 1,
    "at expiry": CREATED + DAY_MS,
}

BINDINGS = Topic(
    "bindings",
    "binding/1 and unbound/1 (§4), signed by the key in the domain's TXT record",
    {
        "the domain's owner": {**_ASKED, "owner": _public(DOMAIN_SEED).hex(), "read at": _READ_AT},
        "another owner": {**_ASKED, "owner": _public(MEMBER_SEED).hex(), "read at": {}},
        "nobody": {**_ASKED, "read at": _READ_AT},
        "as long as may be": {**_ASKED, "expires": CREATED + 7 * DAY_MS, "read at": {}},
    },
    _binding,
)


def _answered(given: Json) -> Computed:
    nonce = bytes.fromhex(given["nonce"])
    domain, record = bytes.fromhex(given["domain key"]), bytes.fromhex(given["record"])
    return {}, outcome(partial(_read, record, domain, given["e-mail hash"], nonce, given["now"]))


def _answers() -> dict[str, Json]:
    key = SigningKey.from_seed(bytes.fromhex(DOMAIN_SEED))
    other = SigningKey.from_seed(bytes.fromhex(MEMBER_SEED))
    good = Binding(HASH, bytes.fromhex(NONCE), key.public, CREATED, CREATED + DAY_MS)
    signed = sign_binding(good, key)
    payload = dict(Record.decode(signed, len(signed)).verify())
    bare = {name: value for name, value in payload.items() if name != "owner"}

    def made(kind: str, **changes: object) -> bytes:
        return sign_record(kind, encode({**payload, **changes}), key).encode()  # type: ignore[dict-item]  # bad ones too

    records = {
        "good": signed,
        "with a field to come": made("binding/1", later=True),
        "signed by another": sign_record("binding/1", payload, other).encode(),
        "another nonce": made("binding/1", nonce=bytes(32)),
        "another hash": made("binding/1", emailHash=email_hash("bob@example.org")),
        "without an owner": sign_record("binding/1", bare, key).encode(),
        "for eight days": made("binding/1", expires=CREATED + 8 * DAY_MS),
        "over before it began": made("binding/1", expires=CREATED),
        "another kind": made("identity/1"),
        "signature changed": signed[:-1] + bytes([signed[-1] ^ 1]),
        "empty": b"",
    }
    asked = {"domain key": key.public.hex(), "e-mail hash": HASH, "nonce": NONCE, "now": CREATED}
    return {name: {**asked, "record": record.hex()} for name, record in records.items()}


ANSWERS = Topic(
    "bindings-read",
    "What an asker believes of a domain's answer (§4)",
    _answers(),
    _answered,
)

TOPICS = (BINDINGS, ANSWERS)
