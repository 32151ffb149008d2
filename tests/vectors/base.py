"""Vectors of the lowest floor: derivation, padding, CBOR, frames, records, stamps."""

from typing import Any

from protocol.cbor import Value, decode, encode
from protocol.errors import RemoteProtocolError
from protocol.frames import FrameReader, encode_frame
from protocol.kdf import blake2b, kdf
from protocol.keys import SigningKey
from protocol.padding import pad, padme
from protocol.record import newer, sign_record, signed_message
from protocol.stamps import birth_tag, leading_zero_bits, stamp_tag, verify_birth
from tests.vectors.shape import Computed, Json, Topic, jsonable

COUNTING = bytes(range(32)).hex()


def _item(item: Json) -> bytes | str | int:
    if "hex" in item:
        return bytes.fromhex(item["hex"])
    value: str | int = item["text"] if "text" in item else int(item["int"])
    return value


def _plain(item: bytes | str | int) -> bytes:
    if isinstance(item, str):
        return item.encode()
    return item.to_bytes(8, "big") if isinstance(item, int) else item


def _kdf(given: Json) -> Computed:
    secret = bytes.fromhex(given["secret"])
    items = [_item(item) for item in given["items"]]
    message = b"mailio/" + given["context"].encode() + b"/1\0"
    for item in map(_plain, items):
        message += len(item).to_bytes(8, "big") + item
    return {"message": message.hex()}, {"key": kdf(secret, given["context"], *items).hex()}


KDF = Topic(
    "kdf",
    "KDF of protocol.md §11: BLAKE2b-256 keyed with secret over message",
    {
        "no items": {"secret": COUNTING, "context": "vault", "items": []},
        "generation": {"secret": COUNTING, "context": "identity", "items": [{"int": 0}]},
        "largest integer": {"secret": "00" * 32, "context": "identity", "items": [{"int": str(2**64 - 1)}]},
        "each type": {
            "secret": "ff" * 32,
            "context": "pair-secret",
            "items": [{"hex": "0102"}, {"text": "0xé"}, {"int": 3}, {"hex": ""}],
        },
        "lengths divide items": {
            "secret": COUNTING,
            "context": "x",
            "items": [{"text": "ab"}, {"text": "c"}],
        },
        "and differently": {"secret": COUNTING, "context": "x", "items": [{"text": "a"}, {"text": "bc"}]},
    },
    _kdf,
)


def _padding(given: Json) -> Computed:
    data = bytes.fromhex(given["data"])
    least = max(given["least"], 4 + len(data))
    padded = pad(data, given["least"])
    return {"unrounded": least, "total": padme(least)}, {"padded": padded.hex()}


PADDING = Topic(
    "padding",
    "Padding of §11: 4-byte length, data, zeros up to Padmé(max(least, 4 + length))",
    {
        "empty, no least": {"data": "", "least": 0},
        "least wins": {"data": "6869", "least": 64},
        "data wins": {"data": "61" * 100, "least": 64},
        "exact": {"data": "62" * 60, "least": 64},
        "one over": {"data": "63" * 61, "least": 64},
    },
    _padding,
)

PADME = Topic(
    "padme",
    "Padmé sizes",
    {str(n): {"length": n} for n in (0, 1, 2, 3, 8, 9, 15, 16, 17, 100, 1_024, 4_095, 4_096, 4_097)}
    | {str(n): {"length": n} for n in (10_000, 65_537, 1_032_191, 1_032_192, 1_032_193, 2**31 + 1)},
    lambda given: ({}, {"padded": padme(given["length"])}),
)


def _cbor(given: Json) -> Computed:
    data = bytes.fromhex(given["cbor"])
    out: Json = {}
    for form, foreign in (("own", False), ("foreign", True)):
        try:
            value = decode(data, foreign=foreign)
        except RemoteProtocolError:
            out[form] = {"refused": "5.6.0"}
        else:
            out[form] = {"value": jsonable(value)}
    return {}, out


def _nested(depth: int) -> str:
    return "81" * (depth - 1) + "80"


CBOR = Topic(
    "cbor",
    "What the strict scanner of §3 takes in our own kinds and in handshakes of other software",
    {
        name: {"cbor": text}
        for name, text in {
            "zero": "00",
            "23": "17",
            "24": "1818",
            "24 long": "190018",
            "255 as 16 bits": "1900ff",
            "256": "190100",
            "65536": "1a00010000",
            "65535 as 32 bits": "1a0000ffff",
            "2^32": "1b0000000100000000",
            "2^32 - 1 as 64 bits": "1b00000000ffffffff",
            "2^53 - 1": "1b001fffffffffffff",
            "2^53": "1b0020000000000000",
            "2^64 - 1": "1bffffffffffffffff",
            "-1": "20",
            "-(2^53 - 1)": "3b001ffffffffffffe",
            "-2^53": "3b001fffffffffffff",
            "bytes": "43010203",
            "bytes cut short": "430102",
            "bytes with a huge length": "5b7fffffffffffffff00",
            "text": "62c3a9",
            "text not UTF-8": "62c328",
            "text with half a surrogate pair": "63eda080",
            "array": "830102f5",
            "array with a huge count": "9b7fffffffffffffff00",
            "empty map": "a0",
            "map": "a2616101626262f4",
            "map out of order": "a2626262f4616101",
            "map ordered by letters, not length": "a262616101616202",
            "map with a key twice": "a2616101616102",
            "map with a key twice, once long": "a261610178016102",
            "map with an integer key": "a10102",
            "map with a byte-string key": "a1416102",
            "map cut short": "a16161",
            "true": "f5",
            "null": "f6",
            "undefined": "f7",
            "simple value 16": "f0",
            "simple value 255": "f8ff",
            "true long": "f815",
            "half 1.5": "f93e00",
            "single 1.5": "fa3fc00000",
            "double 1.1": "fb3ff199999999999a",
            "half NaN": "f97e00",
            "double NaN": "fb7ff8000000000000",
            "half infinity": "f97c00",
            "tag 0": "c074323032362d30312d30315430303a30303a30305a",
            "tag 28, cyclic": "d81c81d81d00",
            "tag 35, regular expression": "d8236161",
            "big number": "c249010000000000000000",
            "indefinite bytes": "5f4101ff",
            "indefinite text": "7f6161ff",
            "indefinite array": "9f01ff",
            "indefinite map": "bf616101ff",
            "break alone": "ff",
            "reserved 28": "1c",
            "empty": "",
            "trailing byte": "0000",
            "depth 16": _nested(16),
            "depth 17": _nested(17),
        }.items()
    },
    _cbor,
)

FRAMES = Topic(
    "frames",
    "Frames of §8: unsigned varint of the length, then the bytes",
    {str(n): {"byte": "61", "times": n} for n in (1, 127, 128, 16_383, 16_384)},
    lambda given: (
        {"length": given["times"]},
        {
            "prefix": encode_frame(bytes.fromhex(given["byte"]) * given["times"])[: -given["times"]].hex(),
            "frames read": len(
                FrameReader(given["times"]).feed(encode_frame(bytes.fromhex(given["byte"]) * given["times"]))
            ),
        },
    ),
)


def _record(given: Json) -> Computed:
    key = SigningKey.from_seed(bytes.fromhex(given["seed"]))
    payload = encode(_from_json(given["payload"]))
    record = sign_record(given["kind"], payload, key)
    mid = {
        "public key": key.public.hex(),
        "payload": payload.hex(),
        "signed message": signed_message(given["kind"], payload).hex(),
        "signature": record.signature.hex(),
    }
    return mid, {"record": record.encode().hex()}


def _from_json(value: Any) -> Value:
    if isinstance(value, dict):
        if value.keys() == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {key: _from_json(item) for key, item in value.items()}
    return [_from_json(item) for item in value] if isinstance(value, list) else value


RECORDS = Topic(
    "records",
    'Records of §3: Ed25519 over "mailio/" kind 0x00 payload',
    {
        "smallest": {"seed": COUNTING, "kind": "test/1", "payload": {}},
        "each type": {
            "seed": COUNTING,
            "kind": "test/1",
            "payload": {
                "zz": 1,
                "b": {"hex": "00ff"},
                "list": [True, -5, "é"],
                "m": {"aa": 1, "b": 2**53 - 1},
            },
        },
        "another version": {"seed": COUNTING, "kind": "test/2", "payload": {}},
    },
    _record,
)


def _newer(given: Json) -> Computed:
    a, b = bytes.fromhex(given["a"]["payload"]), bytes.fromhex(given["b"]["payload"])
    mid = {"hash a": blake2b(a).hex(), "hash b": blake2b(b).hex()}
    return mid, {"a replaces b": newer(given["a"]["seq"], a, given["b"]["seq"], b)}


NEWER = Topic(
    "newer",
    "Which of two records wins (§3): the higher seq, then the lower BLAKE2b-256 of the payload",
    {
        "higher": {"a": {"seq": 2, "payload": "a0"}, "b": {"seq": 1, "payload": "a1616101"}},
        "lower": {"a": {"seq": 1, "payload": "a0"}, "b": {"seq": 2, "payload": "a1616101"}},
        "same": {"a": {"seq": 1, "payload": "a0"}, "b": {"seq": 1, "payload": "a0"}},
        "tie": {"a": {"seq": 1, "payload": "a0"}, "b": {"seq": 1, "payload": "a1616101"}},
        "tie turned": {"a": {"seq": 1, "payload": "a1616101"}, "b": {"seq": 1, "payload": "a0"}},
    },
    _newer,
)


def _stamp(given: Json) -> Computed:
    tag = stamp_tag(bytes.fromhex(given["challenge"]), bytes.fromhex(given["nonce"]))
    return {"tag": tag.hex()}, {"leading zero bits": leading_zero_bits(tag)}


STAMPS = Topic(
    "stamps",
    "First-contact stamps (§6, §11): argon2id 1.3, t=1, p=1, 16384 KiB, password nonce, salt challenge",
    {
        "worth 6 bits": {"challenge": bytes(range(16)).hex(), "nonce": "000000000000001b"},
        "worth little": {"challenge": "ff" * 16, "nonce": "ff" * 8},
    },
    _stamp,
)


def _birth(given: Json) -> Computed:
    public, nonce = bytes.fromhex(given["public key"]), bytes.fromhex(given["nonce"])
    tag = birth_tag(public, nonce)
    mid = {"password": (public + nonce).hex(), "salt": b"mailio birth v1\0".hex(), "tag": tag.hex()}
    return mid, {"leading zero bits": leading_zero_bits(tag), "holds": verify_birth(public, nonce)}


BIRTH = Topic(
    "birth",
    "Birth stamps (§3, §11): 12 bits of argon2id over public key and nonce",
    {
        "holds": {
            "public key": "7270a358a17eb1e3045ea41f25ef696e365e423ce3d21861b946862722a543c9",
            "nonce": "00000000000015a1",
        },
        "does not": {
            "public key": "7270a358a17eb1e3045ea41f25ef696e365e423ce3d21861b946862722a543c9",
            "nonce": "00" * 8,
        },
    },
    _birth,
)

TOPICS = (KDF, PADDING, PADME, CBOR, FRAMES, RECORDS, NEWER, STAMPS, BIRTH)
