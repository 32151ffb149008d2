"""STREAM (protocol.md §7): what was sealed opens, what was cut, moved or altered does not; references."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

from protocol.cbor import Value
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.stream import (
    CHUNK_BYTES,
    SEALED_CHUNK_BYTES,
    ContentRef,
    Encoding,
    Place,
    chunk_count,
    chunk_size,
    decrypt_chunk,
    encrypt_chunk,
    padded_size,
    sealed_size,
)
from tests.kit.hostile import changed

KEY = bytes(range(32))
CID = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
REF = ContentRef("a.pdf", "application/pdf", 70_000, bytes(32), f"ipfs://{CID}", Place(5), KEY)
ENCODED = ContentRef("", "a/b", 0, bytes(32), "ipfs://ba", Place(0, Encoding.BASE64, 76, True), KEY)


def _seal(data: bytes, padded: int) -> list[bytes]:
    whole = data + bytes(padded - len(data))
    chunks = [whole[at : at + CHUNK_BYTES] for at in range(0, padded, CHUNK_BYTES)]
    return [encrypt_chunk(KEY, i, padded, chunk) for i, chunk in enumerate(chunks)]


@pytest.mark.parametrize(
    ("size", "padded", "chunks"),
    [
        (0, 4_096, 1),
        (1, 4_096, 1),
        (4_097, 4_352, 1),
        (CHUNK_BYTES, 262_144, 2),
        (CHUNK_BYTES + 1, 262_144, 2),
        (2 * CHUNK_BYTES, 524_288, 3),
    ],
)
def test_sizes(size: int, padded: int, chunks: int) -> None:
    assert (padded, chunks) == (padded_size(size), chunk_count(padded_size(size)))
    sealed = _seal(b"x" * size, padded)
    assert sealed_size(padded) == sum(map(len, sealed))
    assert [SEALED_CHUNK_BYTES] * (chunks - 1) == [len(chunk) for chunk in sealed[:-1]]


def test_the_last_chunk_may_be_full_and_is_never_empty() -> None:
    assert (1, CHUNK_BYTES) == (chunk_count(CHUNK_BYTES), chunk_size(0, CHUNK_BYTES))
    assert (2, 1) == (chunk_count(CHUNK_BYTES + 1), chunk_size(1, CHUNK_BYTES + 1))


def test_what_was_sealed_opens() -> None:
    data = bytes(range(256)) * 1_100
    padded = padded_size(len(data))
    opened = b"".join(decrypt_chunk(KEY, i, padded, chunk) for i, chunk in enumerate(_seal(data, padded)))
    assert (data, bytes(padded - len(data))) == (opened[: len(data)], opened[len(data) :])


def test_chunks_cannot_be_moved_cut_lengthened_or_relabelled() -> None:
    padded = 3 * CHUNK_BYTES
    first, second, last = _seal(b"", padded)
    wrong = [
        (KEY, 0, padded, second),
        (KEY, 1, padded, first),
        (KEY, 1, 2 * CHUNK_BYTES, second),  # truncated at a chunk's end
        (KEY, 2, 4 * CHUNK_BYTES, last),  # said to go on
        (KEY, 0, padded, first[:-1]),
        (KEY, 0, padded, first + b"\0"),
        (KEY, 0, padded, first[:-1] + bytes([first[-1] ^ 1])),
        (bytes(32), 0, padded, first),
    ]
    for key, index, total, sealed in wrong:
        with pytest.raises(RemoteProtocolError):
            decrypt_chunk(key, index, total, sealed)


def test_a_chunk_that_its_author_cut_is_refused() -> None:
    total = 4_096
    sealed = encrypt(bytes(4_000), total.to_bytes(8, "big"), bytes(23) + b"\x01", KEY)
    with pytest.raises(RemoteProtocolError, match="length"):
        decrypt_chunk(KEY, 0, total, sealed)


def test_a_chunk_of_the_wrong_length_or_place_is_our_mistake() -> None:
    for index, chunk in [(0, b""), (0, bytes(4_097)), (1, b""), (-1, bytes(4_096))]:
        with pytest.raises(LocalProtocolError):
            encrypt_chunk(KEY, index, 4_096, chunk)
    with pytest.raises(LocalProtocolError):
        padded_size(-1)
    with pytest.raises(LocalProtocolError):
        chunk_count(0)


@given(st.integers(0, 2**53 - 1))
def test_padding_adds_at_most_an_eighth(size: int) -> None:
    padded = padded_size(size)
    assert max(size, 4_096) <= padded <= max(4_096, size + size // 8)


@pytest.mark.parametrize("ref", [REF, ENCODED])
def test_a_reference_is_read_as_it_was_written(ref: ContentRef) -> None:
    assert ref == ContentRef.parse(Fields(ref.to_value(), "ref"))


@pytest.mark.parametrize(
    "change",
    [
        {"reference": "http://example.com"},
        {"reference": "ipfs://"},
        {"reference": "ipfs://QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG"},
        {"reference": f"ipfs://{CID}/../etc"},
        {"filename": "é" * 128},
        {"size": -1},
        {"key": bytes(31)},
        {"hash": bytes(33)},
        {"place": {"offset": 0, "encoding": "quoted-printable"}},
        {"place": {"offset": 0, "encoding": "base64", "lineLength": 0}},
        {"place": {"offset": 0, "encoding": "base64", "lineLength": 999}},
        {"place": {"offset": -1, "encoding": "identity"}},
    ],
)
def test_a_bad_reference_is_refused(change: dict[str, Value]) -> None:
    with pytest.raises(RemoteProtocolError):
        ContentRef.parse(Fields({**REF.to_value(), **change}, "ref"))


@given(changed(ENCODED.to_value()))
def test_a_changed_reference_parses_or_is_refused(value: dict[str, Value]) -> None:
    with contextlib.suppress(RemoteProtocolError):
        ContentRef.parse(Fields(value, "ref"))
