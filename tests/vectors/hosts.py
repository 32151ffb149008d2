"""Vectors of what is said with a host (§6, §8): proofs of accounts, its word on a deposit, items, each
request and each answer.
"""

from typing import Any

from nacl import bindings

from protocol.account import (
    Deposited,
    KeptFile,
    KeyRule,
    account_message,
    friend_message,
    parse_deposit,
    sign_deposit,
)
from protocol.cbor import Value, encode
from protocol.host import Answer, parse_request
from protocol.kdf import blake2b
from protocol.keys import SigningKey
from tests.vectors.handshakes import NOW, agreed
from tests.vectors.shape import Computed, Json, Topic, outcome

WEEK = NOW // 604_800_000
ACCOUNT, ID, OTHER, NONCE = "ac" * 32, "1d" * 32, "1e" * 32, "0a" * 32
PEER = "002408011220" + "ee" * 32
HASHED_PEER = "1220" + "dd" * 32


def _proof(given: Json) -> Computed:
    seed = bytes.fromhex(given["account seed"])
    public, secret = bindings.crypto_sign_seed_keypair(seed)
    host, client = bytes.fromhex(given["host"]), bytes.fromhex(given["client"])
    nonces = bytes.fromhex(given["host nonce"]), bytes.fromhex(given["client nonce"])
    message = b"mailio/account/1\0" + bytes([len(host)]) + host + bytes([len(client)]) + client
    message += nonces[0] + nonces[1] + public
    signature = bindings.crypto_sign(message, secret)[:64]
    mid = {"message": agreed(message, account_message(host, client, *nonces, public))}
    return mid, {
        "account": public.hex(),
        "signature": agreed(signature, SigningKey.from_seed(seed).sign(message)),
    }


ACCOUNT_PROOFS = Topic(
    "account-proofs",
    "What an account key signs on /mailio/host/1 (§6): peer ids behind their lengths, both nonces, itself",
    {
        "Ed25519 peers": {
            "account seed": "a1" * 32,
            "host": PEER,
            "client": "002408011220" + "cc" * 32,
            "host nonce": NONCE,
            "client nonce": "0b" * 32,
        },
        "a client with a hashed peer id": {
            "account seed": "a1" * 32,
            "host": PEER,
            "client": HASHED_PEER,
            "host nonce": NONCE,
            "client nonce": "0b" * 32,
        },
    },
    _proof,
)


def _friend(given: Json) -> Computed:
    public, secret = bindings.crypto_sign_seed_keypair(bytes.fromhex(given["delivery seed"]))
    message = b"mailio/account-open/1\0" + bytes.fromhex(given["account"])
    signature = bindings.crypto_sign(message, secret)[:64]
    agreed(message, friend_message(bytes.fromhex(given["account"])))
    return {"message": message.hex()}, {"key": public.hex(), "signature": signature.hex()}


FRIEND_PROOFS = Topic(
    "friend-proofs",
    "What a delivery key signs to open an account at the node that it is for (§6)",
    {"a friend": {"delivery seed": "de" * 32, "account": ACCOUNT}},
    _friend,
)


def _deposit(given: Json) -> Computed:
    key = SigningKey.from_seed(bytes.fromhex(given["peer seed"]))
    account, envelope = bytes.fromhex(given["account"]), bytes.fromhex(given["envelopeId"])
    payload = encode({"account": account, "envelopeId": envelope, "until": given["until"]})
    message = b"mailio/deposit/1\0" + payload
    signature = key.sign(message)
    record = encode(
        {"kind": "deposit/1", "payload": payload, "publicKey": key.public, "signature": signature}
    )
    deposited = Deposited(account, envelope, given["until"])
    host = bytes.fromhex("002408011220") + key.public
    assert deposited == parse_deposit(record, host)
    mid = {"payload": payload.hex(), "signed message": message.hex(), "host": host.hex()}
    return mid, {"record": agreed(record, sign_deposit(deposited, key))}


DEPOSITS = Topic(
    "deposits",
    "deposit/1: a host's word that it has an envelope, signed by the key in its peer id (§6)",
    {
        "a month": {
            "peer seed": "5e" * 32,
            "account": ACCOUNT,
            "envelopeId": ID,
            "until": NOW + 30 * 86_400_000,
        }
    },
    _deposit,
)


def _deposit_read(given: Json) -> Computed:
    def read() -> Json:
        found = parse_deposit(bytes.fromhex(given["record"]), bytes.fromhex(given["host"]))
        return {"account": found.account.hex(), "envelopeId": found.envelope_id.hex(), "until": found.until}

    return {}, outcome(read)


def _deposits_read() -> dict[str, Json]:
    key = SigningKey.from_seed(bytes.fromhex("5e" * 32))
    host = "002408011220" + key.public.hex()
    deposited = Deposited(bytes.fromhex(ACCOUNT), bytes.fromhex(ID), NOW)
    record = sign_deposit(deposited, key).hex()
    return {
        "its host's": {"record": record, "host": host},
        "another host's": {"record": record, "host": PEER},
        "of a host with a hashed peer id": {"record": record, "host": HASHED_PEER},
        "a signature changed": {"record": record[:-2] + "00", "host": host},
        "cut short": {"record": record[:-2], "host": host},
    }


DEPOSITS_READ = Topic(
    "deposits-read", "Which deposit/1 records are taken from which host", _deposits_read(), _deposit_read
)


def _rule(given: Json) -> Computed:
    rule = KeyRule(given["interval"], given["share"], given["until"])
    data = encode({"interval": given["interval"], "share": given["share"], "until": given["until"]})
    assert rule == KeyRule.parse(data)
    return {}, {"data": agreed(data, rule.encode())}


RULES = Topic(
    "delivery-rules",
    "Items of the space `key`: for whose deposits there is room (§6); the item's id is the delivery key",
    {
        "no pause, no end": {"interval": 0, "share": 10_000_000, "until": 0},
        "once a week": {"interval": 604_800_000, "share": 1_000_000, "until": NOW},
    },
    _rule,
)


def _kept(given: Json) -> Computed:
    kept = KeptFile(bytes.fromhex(given["cid"]), given["size"], given["until"])
    data = encode({"cid": kept.cid, "size": kept.size, "until": kept.until})
    assert kept == KeptFile.parse(data)
    return {}, {"id": agreed(blake2b(kept.cid), kept.id), "data": agreed(data, kept.encode())}


KEPT_FILES = Topic(
    "kept-files",
    "Items of the space `file` (§6): which sealed blocks a host is to keep, and until when",
    {
        "a leaf": {"cid": "01551220" + "1f" * 32, "size": 4_112, "until": NOW},
        "a tree": {"cid": "01701220" + "2f" * 32, "size": 2**31, "until": NOW},
    },
    _kept,
)


def _value(given: Any) -> Value:
    """A map of the wire from JSON: bytes are {"hex": …}."""
    if isinstance(given, dict):
        if given.keys() == {"hex"}:
            return bytes.fromhex(given["hex"])
        return {name: _value(item) for name, item in given.items()}
    return [_value(item) for item in given] if isinstance(given, list) else given


def _x(text: str) -> Json:
    return {"hex": text}


_ITEM: Json = {"id": _x(ID), "seq": NOW, "data": _x("00ff")}


def _request(given: Json) -> Computed:
    data = encode(_value(given))

    def read() -> Json:
        return {"request": agreed(data, parse_request(data).encode())}

    return {}, outcome(read)


REQUESTS = Topic(
    "host-requests",
    "Requests on /mailio/host/1 (§6, §8)",
    {
        "hello": {"verb": "hello"},
        "prove": {
            "verb": "prove",
            "account": _x(ACCOUNT),
            "nonce": _x(NONCE),
            "signature": _x("51" * 64),
        },
        "open": {"verb": "open", "identity": _x("a0"), "nodes": [_x(PEER)], "firstWeek": WEEK - 5},
        "open, with a stamp": {
            "verb": "open",
            "identity": _x("a0"),
            "nodes": [],
            "firstWeek": WEEK,
            "proof": {"challenge": _x("c0" * 16), "nonce": _x("00000000000000a1")},
        },
        "open, by a friend": {
            "verb": "open",
            "identity": _x("a0"),
            "nodes": [_x(HASHED_PEER), _x(PEER)],
            "firstWeek": WEEK,
            "proof": {"key": _x("de" * 32), "signature": _x("51" * 64)},
        },
        "open, with a voucher": {
            "verb": "open",
            "identity": _x("a0"),
            "nodes": [],
            "firstWeek": WEEK,
            "voucher": _x("b0" * 16),
        },
        "put": {"verb": "put", "space": "vault", "items": [_ITEM], "drop": [_x(OTHER)]},
        "get": {"verb": "get", "space": "held", "ids": [_x(ID), _x(OTHER)]},
        "digest": {"verb": "digest"},
        "page": {"verb": "page", "space": "key"},
        "page, after": {"verb": "page", "space": "file", "after": _x(ID)},
        "list": {"verb": "list", "after": 0},
        "wait": {"verb": "wait", "after": 7, "seconds": 240},
        "fetch": {"verb": "fetch", "envelopeId": _x(ID)},
        "acknowledge": {"verb": "acknowledge", "envelopeIds": [_x(ID), _x(OTHER)]},
        "find": {"verb": "find", "account": _x(ACCOUNT), "tag": _x(ID)},
        "deposit": {"verb": "deposit", "offer": _x("a0")},
        "cancel": {"verb": "cancel", "account": _x(ACCOUNT), "envelopeId": _x(ID), "secret": _x("5c" * 32)},
        "unknown verb": {"verb": "register"},
        "unknown space": {"verb": "page", "space": "mail"},
        "waits too long": {"verb": "wait", "after": 0, "seconds": 241},
        "a rule too large": {
            "verb": "put",
            "space": "key",
            "items": [_ITEM | {"data": _x("00" * 129)}],
            "drop": [],
        },
    },
    _request,
)


def _answer(given: Json) -> Computed:
    data = encode(_value(given))

    def read() -> Json:
        return {"answer": agreed(data, Answer.parse(data).encode())}

    return {}, outcome(read)


def _said(status: str = "2.0.0", **fields: Any) -> Json:
    return {"answer": "host", "status": status, **fields}


ANSWERS = Topic(
    "host-answers",
    "Answers on /mailio/host/1 (§6, §8); a deposit's, and a challenge for an account, are those of `answers`",
    {
        "done": _said(),
        "refused": _said("4.2.2", text="the host is full"),
        "hello": _said(nonce=_x(NONCE)),
        "prove": _said(opened=True),
        "put": _said(refused=[{"id": _x(ID), "status": "4.8.3"}]),
        "get": _said(items=[_ITEM], more=True),
        "digest": _said(
            digests={
                "held": _x("d0" * 32),
                "key": _x("d1" * 32),
                "vault": _x("d2" * 32),
                "file": _x("d3" * 32),
            },
            used=1_000,
            quota=100_000_000,
            last=12,
        ),
        "page": _said(
            entries=[
                {"id": _x(ID), "seq": NOW, "hash": _x("44" * 32)},
                {"id": _x(OTHER), "seq": NOW + 1, "hash": _x("55" * 32), "whole": True},
            ],
            more=True,
        ),
        "list": _said(
            letters=[
                {"n": 1, "envelopeId": _x(ID), "size": 4_150, "arrived": NOW},
                {
                    "n": 2,
                    "envelopeId": _x(OTHER),
                    "size": 5_000,
                    "arrived": NOW,
                    "key": _x("de" * 32),
                    "signature": _x("51" * 64),
                    "service": True,
                },
            ]
        ),
        "wait": _said(last=2),
        "find": _said(record=_x("a0")),
        "not a host's": {"answer": "go"},
        "no status": {"answer": "host"},
    },
    _answer,
)

TOPICS: tuple[Topic, ...] = (
    ACCOUNT_PROOFS,
    FRIEND_PROOFS,
    DEPOSITS,
    DEPOSITS_READ,
    RULES,
    KEPT_FILES,
    REQUESTS,
    ANSWERS,
)
