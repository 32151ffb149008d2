"""Vectors of §5: pairs and invitations, the state table, handshakes of ours and of others, held/1."""

import base64
import hashlib
from typing import Any

from nacl import bindings

from protocol.errors import LocalProtocolError
from protocol.handshake import (
    KIND,
    Event,
    Handshake,
    Level,
    Sender,
    State,
    Terms,
    Type,
    parse_handshake,
    sign_handshake,
    transition,
)
from protocol.held import digest, held_nonce, open_held, parse_held, seal_held
from protocol.kdf import blake2b
from protocol.keys import SigningKey, address_of, x25519, x25519_public
from protocol.pair import Pair, invitation_delivery_key
from protocol.record import Record
from tests.kit.foreign import foreign_cbor
from tests.vectors.shape import Computed, Json, Topic, outcome

NOW = 1_795_392_000_000  # November 2026, ms
DAY_MS = 86_400_000
ALICE_SEED, BOB_SEED, ACCOUNT_SEED = "a1" * 32, "b0" * 32, "ac" * 32
ALICE = SigningKey.from_seed(bytes.fromhex(ALICE_SEED))
BOB = SigningKey.from_seed(bytes.fromhex(BOB_SEED))
ALICE_PAIR, BOB_PAIR = "11" * 32, "22" * 32
GRANT = bytes(range(16)).hex()
PEER = "002408011220" + "33" * 32
EMAIL_HASH = base64.b64encode(bytes(range(32))).decode()


def raw_kdf(secret: bytes, context: str, *items: bytes) -> bytes:
    """KDF of §11 once more, from hashlib alone."""
    message = f"mailio/{context}/1\0".encode()
    message += b"".join(len(item).to_bytes(8, "big") + item for item in items)
    return hashlib.blake2b(message, digest_size=32, key=secret).digest()


def agreed(by_hand: bytes, by_protocol: bytes) -> str:
    """A value computed twice; the vectors are worth little where both come from the same code."""
    assert by_hand == by_protocol
    return by_protocol.hex()


def _pair(given: Json) -> Computed:
    owner, sender = bytes.fromhex(given["owner private"]), bytes.fromhex(given["sender private"])
    owner_public, sender_public = x25519_public(owner), x25519_public(sender)
    names = (given["owner address"], given["sender address"])
    pair = Pair.derive(owner, sender_public, owner_public, sender_public, *names)
    assert pair == Pair.derive(sender, owner_public, owner_public, sender_public, *names)
    shared = bindings.crypto_scalarmult(owner, sender_public)
    secret = raw_kdf(shared, "pair-secret", owner_public, sender_public, *(name.encode() for name in names))
    grant, peer = bytes.fromhex(given["grant"]), bytes.fromhex(given["peer id"])
    seed = raw_kdf(secret, "delivery", grant, peer)
    mid = {
        "owner public": owner_public.hex(),
        "sender public": sender_public.hex(),
        "shared": agreed(shared, x25519(sender, owner_public)),
        "pair secret": agreed(secret, pair.secret),
        "delivery seed": seed.hex(),
    }
    public = bindings.crypto_sign_seed_keypair(seed)[0]
    return mid, {
        "tag": agreed(raw_kdf(secret, "tag"), pair.tag),
        "box key": agreed(raw_kdf(secret, "handshake-box"), pair.box_key),
        "delivery key": agreed(public, pair.delivery_key(grant, peer).public),
    }


def _pair_input(owner: str, sender: str, owner_key: SigningKey, sender_key: SigningKey) -> Json:
    return {
        "owner private": owner,
        "sender private": sender,
        "owner address": address_of(owner_key.public),
        "sender address": address_of(sender_key.public),
        "grant": GRANT,
        "peer id": PEER,
    }


PAIRS = Topic(
    "pairs",
    "Pair secret and what follows from it (§5, §11); each direction has its own",
    {
        "what alice lets bob do": _pair_input(ALICE_PAIR, BOB_PAIR, ALICE, BOB),
        "what bob lets alice do": _pair_input(BOB_PAIR, ALICE_PAIR, BOB, ALICE),
        "another grant": {**_pair_input(ALICE_PAIR, BOB_PAIR, ALICE, BOB), "grant": "ff" * 16},
        "another node": {**_pair_input(ALICE_PAIR, BOB_PAIR, ALICE, BOB), "peer id": "1220" + "44" * 32},
    },
    _pair,
)


def _agreement(given: Json) -> Computed:
    private, public = bytes.fromhex(given["private"]), bytes.fromhex(given["public"])
    return {}, outcome(lambda: {"shared": x25519(private, public).hex()})


AGREEMENT = Topic(
    "x25519",
    "X25519 agreement; keys of low order are refused (§5)",
    {
        "good": {"private": ALICE_PAIR, "public": x25519_public(bytes.fromhex(BOB_PAIR)).hex()},
        "zero": {"private": ALICE_PAIR, "public": "00" * 32},
        "one": {"private": ALICE_PAIR, "public": "01" + "00" * 31},
        "order 8": {
            "private": ALICE_PAIR,
            "public": "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        },
        "p - 1": {"private": ALICE_PAIR, "public": "ec" + "ff" * 30 + "7f"},
        "p": {"private": ALICE_PAIR, "public": "ed" + "ff" * 30 + "7f"},
        "31 bytes": {"private": ALICE_PAIR, "public": "05" * 31},
    },
    _agreement,
)


def _invitation(given: Json) -> Computed:
    secret, owner = bytes.fromhex(given["secret"]), given["owner address"]
    seed = raw_kdf(secret, "invitation", owner.encode())
    public = bindings.crypto_sign_seed_keypair(seed)[0]
    return {"seed": seed.hex()}, {
        "delivery key": agreed(public, invitation_delivery_key(secret, owner).public)
    }


INVITATIONS = Topic(
    "invitations",
    "The delivery key of a one-time invitation (§5, §11)",
    {
        "alice's": {"secret": "5e" * 32, "owner address": address_of(ALICE.public)},
        "bob's": {"secret": "5e" * 32, "owner address": address_of(BOB.public)},
    },
    _invitation,
)


def _state(given: Json) -> Computed:
    try:
        return {}, {"to": transition(State(given["from"]), Event(given["event"])).value}
    except LocalProtocolError:
        return {}, {"to": None}


STATES = Topic(
    "handshake-states",
    "The whole table of §5; null where it has a dash",
    {f"{s.value}, {e.value}": {"from": s.value, "event": e.value} for s in State for e in Event},
    _state,
)


def _handshake(given: Json) -> Handshake:
    key = SigningKey.from_seed(bytes.fromhex(given["seed"]))
    grant = given.get("grant")
    return Handshake(
        status=State(given["status"]),
        owner_public_key=key.public,
        owner_address=address_of(key.public),
        sender=Sender(given.get("address"), given.get("emailHash")),
        terms=Terms(
            Type(given["type"]),
            Level(given["level"]),
            given.get("expires"),
            given.get("signupSubType"),
            given.get("frequencyMinutes", 0),
        ),
        created=given["created"],
        seq=given["seq"],
        grant=bytes.fromhex(grant) if grant else None,
        origin_domain=given.get("domain"),
        origin_ip=given.get("ip"),
    )


def _sign(given: Json) -> Computed:
    key = SigningKey.from_seed(bytes.fromhex(given["seed"]))
    signed = sign_handshake(_handshake(given), key)
    record = Record.decode(signed.record, len(signed.record))
    secret = bindings.crypto_sign_seed_keypair(bytes.fromhex(given["seed"]))[1]
    signature = bindings.crypto_sign(signed.payload, secret)[:64]  # over the bare payload (§3)
    sender = given.get("address") or given["emailHash"]
    by_hand = hashlib.sha256((signed.owner_address + sender).encode()).hexdigest()
    assert by_hand == signed.handshake_id
    mid = {"payload": signed.payload.hex(), "signature": agreed(signature, record.signature)}
    return mid, {"handshakeId": signed.handshake_id, "record": signed.record.hex()}


_ACCEPTED: Json = {
    "seed": ALICE_SEED,
    "status": "accepted",
    "type": "personal",
    "level": "none",
    "address": address_of(BOB.public),
    "created": NOW,
    "seq": NOW,
    "expires": NOW + 90 * DAY_MS,
    "grant": GRANT,
}
_REVOKED: Json = {
    "seed": ALICE_SEED,
    "status": "revoked",
    "type": "personal",
    "level": "none",
    "address": address_of(BOB.public),
    "created": NOW + 1,
    "seq": NOW + 1,
    "grant": GRANT,
}
_FULL: Json = {
    "seed": ALICE_SEED,
    "status": "accepted",
    "type": "signup",
    "level": "recaptchaV3",
    "emailHash": EMAIL_HASH,
    "signupSubType": "newsletter",
    "frequencyMinutes": 1_440,
    "domain": "example.com",
    "ip": "203.0.113.7",
    "created": NOW,
    "seq": NOW + 5,
    "expires": NOW + DAY_MS,
    "grant": GRANT,
}

SIGNED = Topic(
    "handshakes",
    "Handshakes as this software signs them (§5): Ed25519 over the bare payload",
    {"accepted": _ACCEPTED, "revoked": _REVOKED, "every field, to an e-mail address": _FULL},
    _sign,
)


def _read(given: Json) -> Computed:
    def read() -> Json:
        handshake = parse_handshake(bytes.fromhex(given["record"]), given["now"])
        values: dict[str, Any] = {
            "handshakeId": handshake.handshake_id,
            "status": handshake.status.value,
            "type": handshake.terms.type.value,
            "level": handshake.terms.level.value,
            "owner": handshake.owner_address,
            "sender": handshake.sender.name,
            "created": handshake.created,
            "seq": handshake.seq,
            "expires": handshake.terms.expires,
            "frequencyMinutes": handshake.terms.frequency_minutes,
            "grant": handshake.grant.hex() if handshake.grant else None,
        }
        return values

    return {}, outcome(read)


_FOREIGN: dict[str, object] = {
    "handshakeId": "0d9d",
    "originServer": {"domain": "localhost:8080"},
    "type": "user",
    "status": "accepted",
    "level": "none",
    "ownerPublicKey": base64.b64encode(ALICE.public).decode(),
    "ownerAddress": address_of(ALICE.public),
    "created": float(NOW),
    "senderMetadata": {"emailHash": EMAIL_HASH},
    "signatureScheme": "EdDSA_X25519",
}


def _foreign(now: int = NOW, key: SigningKey = ALICE, **change: object) -> Json:
    payload = foreign_cbor({**_FOREIGN, **change})
    record = Record(KIND, payload, key.public, key.sign(payload)).encode()
    return {"record": record.hex(), "now": now}


_BOTH = {"emailHash": EMAIL_HASH, "address": address_of(BOB.public)}

READ = Topic(
    "handshakes-read",
    "Handshakes of other software (§3, §5): what is read and what is refused",
    {
        "time as a float": _foreign(),
        "time in seconds": _foreign(created=NOW // 1_000),
        "time in seconds as a float": _foreign(created=NOW / 1_000 + 0.25),
        "time in a wide integer": _foreign(created=NOW),
        "seq of its own": _foreign(seq=NOW + 7),
        "nulls and unknown fields": _foreign(grant=None, signupRules=None, expires=None, mood={"a": None}),
        "rules as floats": _foreign(signupRules={"frequencyMinutes": 60.0}, expires=float(NOW + DAY_MS)),
        "a request": _foreign(status="request"),
        "a revocation never expires": _foreign(status="revoked", expires=float(NOW + DAY_MS)),
        "10 minutes ahead": _foreign(now=NOW - 600_000),
        "more than 10 minutes ahead": _foreign(now=NOW - 600_001),
        "another signer": _foreign(key=BOB),
        "another owner's address": _foreign(ownerAddress=address_of(BOB.public)),
        "key without padding": _foreign(ownerPublicKey=base64.b64encode(ALICE.public).decode()[:-1]),
        "two senders": _foreign(senderMetadata=_BOTH),
        "no sender": _foreign(senderMetadata={}),
        "unknown type": _foreign(type="boss"),
        "unknown level": _foreign(level="high"),
        "unsigned state": _foreign(status="none"),
        "not a number": _foreign(created=float("nan")),
        "time beyond 2^53": _foreign(created=2**60),
        "no time": _foreign(created=None),
        "signed as one of our own kinds": {
            "record": Record(
                KIND,
                foreign_cbor(_FOREIGN),
                ALICE.public,
                ALICE.sign(b"mailio/handshake/1\0" + foreign_cbor(_FOREIGN)),
            )
            .encode()
            .hex(),
            "now": NOW,
        },
    },
    _read,
)


def _held(given: Json) -> Computed:
    pair = Pair(bytes.fromhex(given["pair secret"]))
    handshake = parse_handshake(bytes.fromhex(given["handshake"]))
    account = SigningKey.from_seed(bytes.fromhex(given["account seed"]))
    nonce = bytes.fromhex(given["nonce"])
    held = parse_held(seal_held(handshake, pair, account, nonce))
    assert handshake == open_held(held, pair)
    length = max(1_024, 4 + len(handshake.record))
    assert length == 1_024  # both a Padmé size, and what makes the two look alike
    padded = len(handshake.record).to_bytes(4, "big") + handshake.record
    padded += bytes(length - len(padded))
    tag, box_key = raw_kdf(pair.secret, "tag"), raw_kdf(pair.secret, "handshake-box")
    associated = tag + handshake.seq.to_bytes(8, "big")
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, associated, nonce, box_key)
    mid = {
        "tag": agreed(tag, held.tag),
        "box key": box_key.hex(),
        "padded": padded.hex(),
        "associated data": associated.hex(),
        "ciphertext": agreed(nonce + sealed, held.ciphertext),
    }
    return mid, {"seq": held.seq, "account": held.account.hex(), "record": held.record.hex()}


def _nonce(given: Json) -> Computed:
    pair = Pair(bytes.fromhex(given["pair secret"]))
    handshake = parse_handshake(bytes.fromhex(given["handshake"]))
    box_key = raw_kdf(pair.secret, "handshake-box")
    record_hash = hashlib.blake2b(handshake.record, digest_size=32).digest()
    by_hand = raw_kdf(box_key, "held-nonce", record_hash)[:24]
    return {"box key": box_key.hex(), "record hash": record_hash.hex()}, {
        "nonce": agreed(by_hand, held_nonce(handshake, pair))
    }


def _held_input(handshake: Json, nonce: str) -> Json:
    return {
        "pair secret": "0a" * 32,
        "handshake": sign_handshake(_handshake(handshake), ALICE).record.hex(),
        "account seed": ACCOUNT_SEED,
        "nonce": nonce,
    }


HELD = Topic(
    "held",
    "held/1 (§5, §11): accepted and revoked have the same size",
    {"accepted": _held_input(_ACCEPTED, "01" * 24), "revoked": _held_input(_REVOKED, "02" * 24)},
    _held,
)


NONCES = Topic(
    "held-nonces",
    "The nonce of a held/1 record that its owner makes again (§11): the same for the same handshake",
    {
        name: {key: value for key, value in one.items() if key in ("pair secret", "handshake")}
        for name, one in HELD.inputs.items()
    },
    _nonce,
)


def _digest(given: Json) -> Computed:
    entries = [
        (bytes.fromhex(e["tag"]), e["seq"], blake2b(bytes.fromhex(e["record"]))) for e in given["entries"]
    ]
    joined = b"".join(sorted(tag + seq.to_bytes(8, "big") + record for tag, seq, record in entries))
    by_hand = hashlib.blake2b(joined, digest_size=32).digest()
    return {"hashed": joined.hex()}, {"digest": agreed(by_hand, digest(entries))}


DIGESTS = Topic(
    "held-digest",
    "The digest by which owner and host compare what is kept (§11)",
    {
        "nothing": {"entries": []},
        "two, out of order": {
            "entries": [
                {"tag": "ff" * 32, "seq": 1, "record": "aa"},
                {"tag": "00" * 32, "seq": NOW, "record": "bb"},
            ]
        },
    },
    _digest,
)

TOPICS: tuple[Topic, ...] = (PAIRS, AGREEMENT, INVITATIONS, STATES, SIGNED, READ, HELD, NONCES, DIGESTS)
