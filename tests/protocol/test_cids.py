"""CIDs and references (protocol.md §7): our two forms, each in one spelling."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.unixfs import (
    CID_BYTES,
    DAG_PB,
    RAW,
    cid_text,
    node_cid,
    parse_cid,
    parse_reference,
    raw_cid,
    reference_of,
)
from tests.kit.hostile import damaged

EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
HELLO = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


def test_known_cids() -> None:
    assert EMPTY == cid_text(raw_cid(b""))
    assert HELLO == cid_text(raw_cid(b"hello world"))


def test_a_cid_has_one_spelling() -> None:
    assert raw_cid(b"") == parse_cid(EMPTY)
    assert (RAW, CID_BYTES) == (parse_cid(HELLO)[:4], len(parse_cid(HELLO)))
    assert node_cid(b"\n\x02\x08\x01") == parse_cid(
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
    )


def other_forms() -> list[str]:
    """CIDs of other forms in their right spelling, as base32."""
    digest = hashlib.sha256(b"").digest()
    forms = [
        b"\x00\x55\x12\x20" + digest,  # no version that is
        b"\x01\x71\x12\x20" + digest,  # dag-cbor
        b"\x01\x55\x1b\x20" + digest,  # keccak-256
        b"\x01\x55\x00\x20" + digest,  # the block itself in place of its hash
        b"\x01\x55\x12\x1f" + digest[1:],
        b"\x01\x55\x13\x40" + hashlib.sha512(b"").digest(),
        b"\x81\x00\x55\x12\x20" + digest,  # 1 as a longer varint
        RAW + digest[1:],
        RAW + digest + b"\0",
        RAW,
        b"",
    ]
    return [cid_text(form) for form in forms]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        EMPTY[1:],
        EMPTY.upper(),
        "B" + EMPTY[1:].upper(),
        EMPTY[0] + EMPTY[1:].upper(),
        EMPTY[:-1] + EMPTY[-1].upper(),
        EMPTY + "=",
        EMPTY + "======",
        EMPTY[:-1] + "=",
        EMPTY[:-1],
        EMPTY + "a",
        " " + EMPTY[:-1],
        EMPTY[:-1] + "\n",
        EMPTY + "\n",
        EMPTY[:30] + "1" + EMPTY[31:],
        EMPTY[:30] + "-" + EMPTY[31:],
        EMPTY[:30] + "é" + EMPTY[31:],
        EMPTY[:30] + "\u017f" + EMPTY[31:],  # upper() makes an S of it
        EMPTY[:30] + "\u0131" + EMPTY[31:],  # and an I of this
        EMPTY[:-2] + "\ufb00",  # and two letters of this
        EMPTY[:-1] + chr(ord(EMPTY[-1]) + 1),  # the two bits behind the last byte
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG",
        "f" + raw_cid(b"").hex(),
        "z" + EMPTY[1:],
        "c" + EMPTY[1:],
        "b" * 1_000_000,
        *other_forms(),
    ],
)
def test_any_other_spelling_is_refused(text: str) -> None:
    for parse, whole in ((parse_cid, text), (parse_reference, f"ipfs://{text}")):
        with pytest.raises(RemoteProtocolError):
            parse(whole)


def test_references() -> None:
    assert f"ipfs://{HELLO}" == reference_of(raw_cid(b"hello world"))
    assert raw_cid(b"hello world") == parse_reference(f"ipfs://{HELLO}")


@pytest.mark.parametrize(
    "text",
    ["", HELLO, f"IPFS://{HELLO}", f"ipfs:/{HELLO}", f"/ipfs/{HELLO}", f"ipns://{HELLO}"]
    + [f"ipfs://{HELLO}{end}" for end in ("/", "/a", "?", "#", " ", "\n")]
    + [f"ipfs://{start}{HELLO}" for start in ("/", "ipfs://", " ", "@")],
)
def test_other_references_are_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_reference(text)


@given(st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32))
def test_a_cid_is_read_as_it_was_written(prefix: bytes, digest: bytes) -> None:
    assert prefix + digest == parse_cid(cid_text(prefix + digest))


@given(st.text(max_size=70) | damaged(HELLO.encode()).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_cid_or_refused(text: str) -> None:
    try:
        cid = parse_cid(text)
    except RemoteProtocolError:
        return
    assert text == cid_text(cid)
