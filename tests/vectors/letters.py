"""Vectors of §6: the signed inner, its sealing, what is refused of either, receipts, whose From it may be."""

import hashlib
from typing import Any

from nacl import bindings

from protocol.cbor import Value
from protocol.identity import IdentityRecord, build_identity
from protocol.kdf import blake2b
from protocol.keys import Secrets, SigningKey, mailbox_of, x25519_public
from protocol.letter import (
    KIND,
    LETTER_LIFE_MS,
    Inner,
    check_from,
    envelope_id,
    open_envelope,
    payload_hash,
    read_inner,
    seal,
    sign_inner,
)
from protocol.prekeys import Chain
from protocol.receipt import Receipt, parse_receipt, sign_receipt
from protocol.record import Record, sign_record
from protocol.status import Status
from protocol.stream import ContentRef, Encoding, Place
from tests.vectors.handshakes import ALICE_SEED, NOW, agreed, raw_kdf
from tests.vectors.shape import Computed, Json, Topic, outcome

ALICE, EVE = (Secrets.derive(bytes([n]) * 32) for n in (1, 5))
BOB_ROOT = bytes([2]) * 32
BOB = Secrets.derive(BOB_ROOT)
IDENTITY = build_identity(ALICE, Chain.start(bytes([1]) * 32), price=6, created=NOW)
WEEK = NOW // 604_800_000
PREKEY = Chain.start(BOB_ROOT).private(WEEK)
EPHEMERAL = "ee" * 32
MESSAGE = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: Hi\r\n\r\nHello.\r\n"
CID = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


def _bytes(given: Json, name: str) -> bytes | None:
    return bytes.fromhex(given[name]) if name in given else None


def _ref(given: Json) -> ContentRef:
    place = given["place"]
    return ContentRef(
        given["filename"],
        given["mediaType"],
        given["size"],
        bytes.fromhex(given["hash"]),
        given["reference"],
        Place(
            place["offset"],
            Encoding(place["encoding"]),
            place.get("lineLength", 0),
            place.get("lastLineEnd", False),
        ),
        bytes.fromhex(given["key"]),
    )


def _inner(given: Json) -> Inner:
    return Inner(
        letter_id=bytes.fromhex(given["letterId"]),
        to=bytes.fromhex(given["to"]),
        sender=IdentityRecord.parse(bytes.fromhex(given["from"]), None),
        created=given["created"],
        previous=_bytes(given, "previous"),
        thid=given.get("thid"),
        pthid=given.get("pthid"),
        records=tuple(bytes.fromhex(record) for record in given.get("records", ())),
        message=_bytes(given, "message"),
        message_hash=_bytes(given, "messageHash"),
        refs=tuple(_ref(ref) for ref in given.get("refs", ())),
    )


def _sign(given: Json) -> Computed:
    seed = bytes.fromhex(given["seed"])
    signed = sign_inner(_inner(given), SigningKey.from_seed(seed))
    record = Record.decode(signed, len(signed))
    secret = bindings.crypto_sign_seed_keypair(seed)[1]
    signature = bindings.crypto_sign(b"mailio/letter/1\0" + record.payload, secret)[:64]
    mid = {"payload": record.payload.hex(), "signature": agreed(signature, record.signature)}
    hashed = hashlib.blake2b(record.payload, digest_size=32).digest()
    return mid, {"signed inner": signed.hex(), "payload hash": agreed(hashed, payload_hash(signed))}


_PLAIN: Json = {
    "seed": ALICE.identity_seed.hex(),
    "letterId": "07" * 32,
    "to": BOB.signing_key.public.hex(),
    "from": IDENTITY.record.hex(),
    "created": NOW,
    "thid": "07" * 32,
    "message": MESSAGE.hex(),
}
_RECORDS: Json = {
    "seed": ALICE.identity_seed.hex(),
    "letterId": "08" * 32,
    "to": BOB.signing_key.public.hex(),
    "from": IDENTITY.record.hex(),
    "created": NOW + 1,
    "previous": "07" * 32,
    "records": ["a0", "a16161" + "01"],
}
_REFS: Json = {
    **_PLAIN,
    "previous": "08" * 32,
    "pthid": "06" * 32,
    "messageHash": hashlib.blake2b(b"the whole message", digest_size=32).hexdigest(),
    "refs": [
        {
            "filename": "Zürich.pdf",
            "mediaType": "application/pdf",
            "size": 70_000,
            "hash": "0f" * 32,
            "reference": f"ipfs://{CID}",
            "key": "0c" * 32,
            "place": {"offset": 60, "encoding": "base64", "lineLength": 76, "lastLineEnd": True},
        },
        {
            "filename": "",
            "mediaType": "text/plain",
            "size": 0,
            "hash": "0e" * 32,
            "reference": f"ipfs://{CID}",
            "key": "0d" * 32,
            "place": {"offset": 61, "encoding": "identity"},
        },
    ],
}

INNERS = Topic(
    "letters",
    "letter/1 (§6): the inner as its author signs it",
    {"message": _PLAIN, "records only": _RECORDS, "references": _REFS},
    _sign,
)


def _signed(given: Json) -> bytes:
    return bytes.fromhex(_sign(given)[1]["signed inner"])


def _seal(given: Json) -> Computed:
    signed, week = bytes.fromhex(given["signed inner"]), given["week"]
    prekey, ephemeral = bytes.fromhex(given["prekey private"]), bytes.fromhex(given["ephemeral private"])
    prekey_public, ephemeral_public = x25519_public(prekey), x25519_public(ephemeral)
    envelope = seal(signed, week, prekey_public, ephemeral)
    assert signed == open_envelope(envelope, lambda w: prekey if w == week else None)
    header = b"\x01\x01" + week.to_bytes(4, "big") + ephemeral_public
    shared = bindings.crypto_scalarmult(prekey, ephemeral_public)
    key = raw_kdf(shared, "letter", ephemeral_public, prekey_public)
    padded = len(signed).to_bytes(4, "big") + signed + bytes(4_096 - 4 - len(signed))
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, header, bytes(24), key)
    mid = {
        "prekey public": prekey_public.hex(),
        "ephemeral public": ephemeral_public.hex(),
        "shared": shared.hex(),
        "key": key.hex(),
        "header": header.hex(),
        "padded": padded.hex(),
    }
    hashed = hashlib.blake2b(envelope, digest_size=32).digest()
    return mid, {
        "envelope": agreed(header + sealed, envelope),
        "envelopeId": agreed(hashed, envelope_id(envelope)),
    }


def _seal_input(signed: bytes) -> Json:
    return {
        "signed inner": signed.hex(),
        "week": WEEK,
        "prekey private": PREKEY.hex(),
        "ephemeral private": EPHEMERAL,
    }


ENVELOPES = Topic(
    "envelopes",
    "Sealing (§6, §11): version, suite, week (4 bytes, big-endian), ephemeral key; then the ciphertext",
    {"letter": _seal_input(_signed(_PLAIN)), "empty": _seal_input(b"")},
    _seal,
)


def _open(given: Json) -> Computed:
    private = bytes.fromhex(given["prekey private"])
    envelope = bytes.fromhex(given["envelope"]) + bytes(given.get("zeros", 0))

    def opened() -> Json:
        signed = open_envelope(envelope, lambda week: private if week == given["week"] else None)
        return {"signed inner hash": blake2b(signed).hex()}

    return {}, outcome(opened)


def _open_inputs() -> dict[str, Json]:
    good = seal(_signed(_PLAIN), WEEK, x25519_public(PREKEY), bytes.fromhex(EPHEMERAL))
    header = good[:38]
    key = raw_kdf(bindings.crypto_scalarmult(PREKEY, header[6:]), "letter", header[6:], x25519_public(PREKEY))

    def raw(padded: bytes) -> bytes:
        return header + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, header, bytes(24), key)

    cases = {
        "good": good,
        "unknown version": b"\x02" + good[1:],
        "unknown suite": good[:1] + b"\x02" + good[2:],
        "prekey gone": good[:2] + (WEEK - 1).to_bytes(4, "big") + good[6:],
        "ephemeral key of low order": good[:6] + bytes(32) + good[38:],
        "ephemeral key changed": good[:37] + bytes([good[37] ^ 1]) + good[38:],
        "ciphertext changed": good[:-1] + bytes([good[-1] ^ 1]),
        "cut short": good[:-1],
        "header alone": header,
        "padded with more than zeros": raw(bytes(4_095) + b"\x01"),
        "length beyond the end": raw(b"\0\0\x10\0" + bytes(4_092)),
        "not a Padmé size": raw(bytes(4_097)),
    }
    inputs: dict[str, Json] = {
        name: {"envelope": blob.hex(), "week": WEEK, "prekey private": PREKEY.hex()}
        for name, blob in cases.items()
    }
    inputs["too large"] = {**inputs["header alone"], "zeros": 1_032_209}
    return inputs


OPENED = Topic(
    "envelopes-read",
    "What opening refuses, and the status (§6); `zeros` more bytes follow the envelope where it is given",
    _open_inputs(),
    _open,
)


def _read(given: Json) -> Computed:
    def read() -> Json:
        inner = read_inner(
            bytes.fromhex(given["signed inner"]),
            to=bytes.fromhex(given["to"]),
            now=given["now"],
            doubtful=given["doubtful"],
        )
        values: dict[str, Any] = {
            "letterId": inner.letter_id.hex(),
            "author": inner.sender.address,
            "created": inner.created,
            "expires": inner.expires,
            "records": len(inner.records),
            "refs": len(inner.refs),
        }
        return values

    return {}, outcome(read)


def _read_inputs() -> dict[str, Json]:
    record = Record.decode(_signed(_PLAIN), 8_192)
    payload = dict(record.verify(KIND))
    alice, eve = ALICE.signing_key, EVE.signing_key

    def made(key: SigningKey = alice, kind: str = KIND, without: str = "", **change: Value) -> bytes:
        fields = {name: value for name, value in {**payload, **change}.items() if name != without}
        return sign_record(kind, fields, key).encode()

    def case(
        signed: bytes, now: int = NOW, doubtful: bool = False, to: bytes = BOB.signing_key.public
    ) -> Json:
        return {"signed inner": signed.hex(), "to": to.hex(), "now": now, "doubtful": doubtful}

    good, end = made(), NOW + LETTER_LIFE_MS
    return {
        "good": case(good),
        "references": case(_signed(_REFS)),
        "records only": case(_signed(_RECORDS)),
        "unknown fields": case(made(mood="good")),
        "for another": case(good, to=eve.public),
        "10 minutes ahead": case(good, NOW - 600_000),
        "more than 10 minutes ahead": case(good, NOW - 600_001),
        "last moment": case(good, end - 1),
        "past its 30 days": case(good, end),
        "past its 30 days by a doubtful clock": case(good, end, True),
        "signed by another": case(made(eve)),
        "another kind": case(made(kind="letter/2")),
        "signature changed": case(good[:-1] + bytes([good[-1] ^ 1])),
        "identity not valid then": case(made(created=NOW + 91 * 86_400_000), NOW + 91 * 86_400_000),
        "no identity": case(made(without="from")),
        "neither message nor records": case(made(without="message")),
        "messageHash without references": case(made(messageHash=bytes(32))),
        "short letterId": case(made(letterId=bytes(31))),
        "65 records": case(made(records=[b"\xa0"] * 65)),
        "empty": case(b""),
    }


READ = Topic("letters-read", "What reading an inner refuses, and the status (§6)", _read_inputs(), _read)


def _from(given: Json) -> Computed:
    def check() -> Json:
        check_from(given["from"], given["author"], set(given["verified"]))
        return {"is": "bound"}

    return {}, outcome(check)


def _from_input(*mailboxes: str) -> Json:
    return {"from": list(mailboxes), "author": ALICE.address, "verified": ["alice@example.com"]}


FROM = Topic(
    "from",
    "From is bound (§6): the mailboxes of all From fields, the author, its verified e-mail addresses",
    {
        "own": _from_input(mailbox_of(ALICE.address)),
        "own in capitals": _from_input(mailbox_of(ALICE.address).upper()),
        "verified": _from_input("Alice@EXAMPLE.com"),
        "not verified": _from_input("alice@example.org"),
        "another owner's": _from_input(mailbox_of(EVE.address)),
        "none": _from_input(),
        "two": _from_input(mailbox_of(ALICE.address), "alice@example.com"),
        "no address": _from_input("alice"),
    },
    _from,
)


def _receipt(given: Json) -> Computed:
    seed = bytes.fromhex(given["seed"])
    receipt = Receipt(
        bytes.fromhex(given["letterId"]),
        bytes.fromhex(given["hash"]),
        Status.parse(given["status"]),
        tuple(given["cids"]),
        given["time"],
    )
    data = sign_receipt(receipt, SigningKey.from_seed(seed))
    record = Record.decode(data, len(data))
    assert receipt == parse_receipt(data, record.public_key)
    secret = bindings.crypto_sign_seed_keypair(seed)[1]
    signature = bindings.crypto_sign(b"mailio/receipt/1\0" + record.payload, secret)[:64]
    mid = {"payload": record.payload.hex(), "signature": agreed(signature, record.signature)}
    return mid, {"record": data.hex()}


_TAKEN: Json = {
    "seed": ALICE_SEED,
    "letterId": "07" * 32,
    "hash": "0f" * 32,
    "status": "2.0.0",
    "cids": [],
    "time": NOW,
}

RECEIPTS = Topic(
    "receipts",
    "receipt/1 (§6)",
    {"taken": _TAKEN, "fetched": {**_TAKEN, "cids": [CID]}, "refused": {**_TAKEN, "status": "5.8.2"}},
    _receipt,
)

TOPICS: tuple[Topic, ...] = (INNERS, ENVELOPES, OPENED, READ, FROM, RECEIPTS)
