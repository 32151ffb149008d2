"""Vectors of what goes over streams (§6, §8), of attachments (§7), and the folder rule as a whole table."""

from itertools import product
from typing import Any

from nacl import bindings

from protocol.exchange_identity import IdentityAnswer, IdentityRequest
from protocol.folder import Arrival, Relation, folder_for
from protocol.kdf import blake2b
from protocol.keys import SigningKey
from protocol.letter import MAX_ENVELOPE, MIN_ENVELOPE
from protocol.offer import (
    Challenge,
    GoAhead,
    KeyProof,
    Offer,
    Result,
    Stamp,
    encode_answer,
    offer_proof_message,
    parse_answer,
    prove_offer,
)
from protocol.status import Status
from protocol.stream import CHUNK_BYTES, chunk_count, decrypt_chunk, encrypt_chunk, padded_size
from tests.vectors.handshakes import EMAIL_HASH, NOW, agreed
from tests.vectors.letters import ALICE, IDENTITY
from tests.vectors.shape import Computed, Json, Topic, outcome

WEEK = NOW // 604_800_000
ID, ACCOUNT, DELIVERY_SEED = "1d" * 32, "ac" * 32, "de" * 32


def _bytes(given: Json, name: str) -> bytes | None:
    return bytes.fromhex(given[name]) if name in given else None


def _proof(given: Json, account: bytes | None, envelope_id: bytes) -> tuple[KeyProof | Stamp | None, Json]:
    if "challenge" in given:
        return Stamp(bytes.fromhex(given["challenge"]), bytes.fromhex(given["nonce"])), {}
    if "delivery seed" not in given:
        return None, {}
    public, secret = bindings.crypto_sign_seed_keypair(bytes.fromhex(given["delivery seed"]))
    message = b"mailio/offer/1\0" + (account or bytes(32)) + envelope_id
    proof = prove_offer(SigningKey.from_seed(bytes.fromhex(given["delivery seed"])), account, envelope_id)
    signature = bindings.crypto_sign(message, secret)[:64]
    return proof, {
        "delivery key": agreed(public, proof.key),
        "message": agreed(message, offer_proof_message(account, envelope_id)),
        "signature": agreed(signature, proof.signature),
    }


def _offer(given: Json) -> Computed:
    envelope_id, account = bytes.fromhex(given["envelopeId"]), _bytes(given, "account")
    proof, mid = _proof(given, account, envelope_id)
    cancel, service = _bytes(given, "cancel"), given.get("service", False)
    offer = Offer(envelope_id, given["size"], given["week"], account, proof, cancel, service)
    assert offer == Offer.parse(offer.encode())
    return mid, {"offer": offer.encode().hex(), "proof holds": offer.proof_holds()}


_DIRECT: Json = {"envelopeId": ID, "size": 12_345, "week": WEEK}

OFFERS = Topic(
    "offers",
    "Offers on /mailio/letter/1 (§6, §11)",
    {
        "direct": {**_DIRECT, "delivery seed": DELIVERY_SEED},
        "deposit": {**_DIRECT, "account": ACCOUNT, "delivery seed": DELIVERY_SEED, "cancel": "ca" * 32},
        "stamp": {**_DIRECT, "challenge": "c0" * 16, "nonce": "00000000000000a1"},
        "first contact, nothing yet": _DIRECT,
        "service": {**_DIRECT, "delivery seed": DELIVERY_SEED, "service": True},
    },
    _offer,
)


def _offer_read(given: Json) -> Computed:
    def read() -> Json:
        offer = Offer.parse(bytes.fromhex(given["offer"]))
        return {"size": offer.size, "proof holds": offer.proof_holds()}

    return {}, outcome(read)


def _offer_inputs() -> dict[str, Json]:
    envelope_id, key = bytes.fromhex(ID), SigningKey.from_seed(bytes.fromhex(DELIVERY_SEED))
    direct = prove_offer(key, None, envelope_id)
    offers = {
        "smallest": Offer(envelope_id, MIN_ENVELOPE, WEEK),
        "too small": Offer(envelope_id, MIN_ENVELOPE - 1, WEEK),
        "largest": Offer(envelope_id, MAX_ENVELOPE, WEEK),
        "too large": Offer(envelope_id, MAX_ENVELOPE + 1, WEEK),
        "proof of another account": Offer(envelope_id, 12_345, WEEK, bytes.fromhex(ACCOUNT), direct),
        "proof of another envelope": Offer(bytes(32), 12_345, WEEK, None, direct),
        "service over 16 KiB": Offer(envelope_id, 16_385, WEEK, service=True),
        "short envelopeId": Offer(envelope_id[1:], 12_345, WEEK),
        "short nonce": Offer(envelope_id, 12_345, WEEK, proof=Stamp(bytes(16), bytes(7))),
    }
    return {name: {"offer": offer.encode().hex()} for name, offer in offers.items()}


OFFERS_READ = Topic(
    "offers-read", "What an offer may say, and the status else (§6)", _offer_inputs(), _offer_read
)


def _answer(given: Json) -> Computed:
    answer: GoAhead | Challenge | Result
    match given["answer"]:
        case "go":
            answer = GoAhead()
        case "challenge":
            names = ("price", "until", "firstWeek", "weeks", "size")
            answer = Challenge(bytes.fromhex(given["challenge"]), *(given[name] for name in names))
        case _:
            answer = Result(
                Status.parse(given["status"]),
                given.get("text"),
                given.get("until"),
                _bytes(given, "receipt"),
                _bytes(given, "identity"),
            )
    assert answer == parse_answer(encode_answer(answer))
    return {}, {"bytes": encode_answer(answer).hex()}


ANSWERS = Topic(
    "answers",
    "Answers on /mailio/letter/1 (§6): to an offer any of the three, to an envelope a status",
    {
        "go ahead": {"answer": "go"},
        "challenge": {
            "answer": "challenge",
            "challenge": "c0" * 16,
            "price": 6,
            "until": NOW + 600_000,
            "firstWeek": WEEK - 5,
            "weeks": 18,
            "size": 16_384,
        },
        "taken": {"answer": "status", "status": "2.0.0", "receipt": "a0"},
        "too often": {"answer": "status", "status": "4.8.10", "text": "once a week", "until": NOW},
        "prekey gone": {"answer": "status", "status": "4.8.1", "identity": IDENTITY.record.hex()},
        "a code that is not known": {"answer": "status", "status": "5.99.999"},
    },
    _answer,
)


def _answer_read(given: Json) -> Computed:
    return {}, outcome(lambda: {"is": type(parse_answer(bytes.fromhex(given["bytes"]))).__name__})


ANSWERS_READ = Topic(
    "answers-read",
    "What an answer may say",
    {
        "unknown field": {"bytes": "a2646d6f6f6400" + "66616e7377657262676f"},
        "unknown answer": {"bytes": "a166616e73776572656d61796265"},
        "status of class 3": {"bytes": "a266616e7377657266737461747573" + "66737461747573" + "65332e302e30"},
        "empty": {"bytes": ""},
        "no map": {"bytes": "80"},
    },
    _answer_read,
)


def _request(given: Json) -> Computed:
    request = IdentityRequest(given.get("address"), given.get("emailHash"), _bytes(given, "nonce"))
    assert request == IdentityRequest.parse(request.encode())
    return {}, {"bytes": request.encode().hex()}


REQUESTS = Topic(
    "identity-requests",
    "Requests on /mailio/identity/1 (§8)",
    {
        "by address": {"address": ALICE.address},
        "by e-mail hash": {"emailHash": EMAIL_HASH, "nonce": "0e" * 32},
    },
    _request,
)


def _identity_answer(given: Json) -> Computed:
    answer = IdentityAnswer(given["time"], Status.parse(given["status"]), _bytes(given, "record"))
    assert answer == IdentityAnswer.parse(answer.encode())
    return {}, {"bytes": answer.encode().hex()}


IDENTITY_ANSWERS = Topic(
    "identity-answers",
    "Answers on /mailio/identity/1 (§8)",
    {
        "found": {"time": NOW, "status": "2.0.0", "record": IDENTITY.record.hex()},
        "not found": {"time": NOW, "status": "4.4.1"},
    },
    _identity_answer,
)


def _stream(given: Json) -> Computed:
    key, size = bytes.fromhex(given["key"]), given["size"]
    padded = padded_size(size)
    data = bytes((i + 1) % 251 for i in range(size)) + bytes(padded - size)
    count, mid, out = chunk_count(padded), [], []
    for index in range(count):
        chunk = data[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        nonce = bytes(16) + index.to_bytes(7, "big") + bytes([index == count - 1])
        total = padded.to_bytes(8, "big")
        by_hand = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(chunk, total, nonce, key)
        sealed = encrypt_chunk(key, index, padded, chunk)
        assert (by_hand, chunk) == (sealed, decrypt_chunk(key, index, padded, sealed))
        mid.append({"nonce": nonce.hex(), "length": len(chunk), "hash": blake2b(chunk).hex()})
        out.append({"length": len(sealed), "hash": blake2b(sealed).hex(), "tag": sealed[-16:].hex()})
    about = {"padded": padded, "associated data": padded.to_bytes(8, "big").hex(), "chunks": mid}
    return about, {"sealed chunks": out}


STREAM = Topic(
    "stream",
    "STREAM (§7) over a file whose byte i is (i + 1) mod 251; hashes are BLAKE2b-256",
    {str(size): {"key": "0c" * 32, "size": size} for size in (0, 1, 4_097, 262_128, 262_129)},
    _stream,
)


def _folder(given: Json) -> Computed:
    values: dict[str, Any] = {**given, "relation": Relation(given["relation"])}
    return {}, {"folder": folder_for(Arrival(**values))}


# Letters before this one and how many of them were read: the ninth, the tenth, and around 30 % of 30.
_READING = {"ninth": (8, 0), "tenth": (9, 0), "8 of 30 read": (30, 8), "9 of 30 read": (30, 9)}
_FLAGS = ("sent_copy", "quarantined", "subscription", "bulk")


def _folder_inputs() -> dict[str, Json]:
    inputs = {}
    for relation, flags, reading in product(Relation, product((False, True), repeat=4), _READING):
        names = [relation.value, *(flag for flag, on in zip(_FLAGS, flags, strict=True) if on), reading]
        recent, recent_read = _READING[reading]
        inputs[", ".join(names)] = {
            "relation": relation.value,
            **dict(zip(_FLAGS, flags, strict=True)),
            "recent": recent,
            "recent_read": recent_read,
        }
    return inputs


FOLDERS = Topic("folders", "The folder rule of §6 as a whole table", _folder_inputs(), _folder)

TOPICS: tuple[Topic, ...] = (
    OFFERS,
    OFFERS_READ,
    ANSWERS,
    ANSWERS_READ,
    REQUESTS,
    IDENTITY_ANSWERS,
    STREAM,
    FOLDERS,
)
