"""Attachments outside the letter: STREAM encryption and the reference to them (protocol.md §7, §11).

Chunks in, chunks out; the block store, the DAG and the network are elsewhere.
"""

import re
from dataclasses import dataclass, field
from typing import Final

import nacl.exceptions
from nacl import bindings

from protocol.cbor import Value
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.kdf import HASH_BYTES, KEY_BYTES
from protocol.padding import padme
from protocol.place import MAX_LINE_LENGTH
from protocol.place import Encoding as Encoding  # noqa: PLC0414 - who makes a reference needs both
from protocol.place import Place as Place  # noqa: PLC0414

AEAD_TAG_BYTES: Final = 16
SEALED_CHUNK_BYTES: Final = 262_144  # A sealed chunk is one UnixFS raw leaf (§7).
CHUNK_BYTES: Final = SEALED_CHUNK_BYTES - AEAD_TAG_BYTES

LEAST_PADDED_BYTES: Final = 4_096  # No file looks smaller than this (§7).
# The largest integer of our CBOR; the owner's own limit (§3 capabilities) is far below.
MAX_FILE_BYTES: Final = 2**53 - 1
# References in one letter: beyond what a person attaches, and 400 KB of CBOR at most.
MAX_REFS: Final = 1_000
MAX_FILENAME_BYTES: Final = 255  # Of UTF-8: the longest name that common file systems take.
MAX_MEDIA_TYPE_BYTES: Final = 255  # RFC 6838 §4.2 allows 127 characters on either side of the slash.
# `ipfs://` and a CIDv1 in base32 is 66 bytes; the rest is room for another hash.
MAX_REFERENCE_BYTES: Final = 128

_REFERENCE: Final = re.compile(r"ipfs://b[a-z2-7]+", re.ASCII)


def padded_size(size: int) -> int:
    """Bytes of a file after padding with zeros and before encryption."""
    if not 0 <= size <= MAX_FILE_BYTES:
        raise LocalProtocolError(f"no file has {size} bytes")
    return padme(max(LEAST_PADDED_BYTES, size))


def chunk_count(padded: int) -> int:
    """Chunks of a padded file; never an empty last one."""
    if padded < 1:
        raise LocalProtocolError("a padded file is never empty")
    return -(-padded // CHUNK_BYTES)


def sealed_size(padded: int) -> int:
    """Bytes of all sealed chunks together."""
    return padded + chunk_count(padded) * AEAD_TAG_BYTES


def chunk_size(index: int, padded: int) -> int:
    """Plain bytes in chunk `index` of a padded file."""
    count = chunk_count(padded)
    if not 0 <= index < count:
        raise LocalProtocolError(f"chunk {index} of {count} does not exist")
    return CHUNK_BYTES if index < count - 1 else padded - index * CHUNK_BYTES


def chunk_nonce(index: int, padded: int) -> bytes:
    """16 zero bytes, the chunk's number, and 1 on the last (§7)."""
    last = index == chunk_count(padded) - 1
    return bytes(16) + index.to_bytes(7, "big") + bytes([last])


def encrypt_chunk(key: bytes, index: int, padded: int, chunk: bytes) -> bytes:
    """Seal chunk `index` of a file that has `padded` bytes in all."""
    if len(chunk) != chunk_size(index, padded):
        raise LocalProtocolError(f"chunk {index} has {len(chunk)} bytes and not {chunk_size(index, padded)}")
    return bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        chunk, padded.to_bytes(8, "big"), chunk_nonce(index, padded), key
    )


def decrypt_chunk(key: bytes, index: int, padded: int, sealed: bytes) -> bytes:
    """Open chunk `index`; raises RemoteProtocolError for a cut, moved, lengthened or altered one."""
    if len(sealed) != chunk_size(index, padded) + AEAD_TAG_BYTES:
        raise RemoteProtocolError(f"chunk {index} of an attachment has the wrong length")
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed, padded.to_bytes(8, "big"), chunk_nonce(index, padded), key
        )
    except nacl.exceptions.CryptoError:
        raise RemoteProtocolError(f"chunk {index} of an attachment can't be opened") from None


@dataclass(frozen=True, slots=True)
class ContentRef:
    """A part of a letter that lies outside it; `hash` is BLAKE2b-256 of its plain bytes, `size` their number.

    `filename` is hostile: bounded here, made safe where it is used.
    """

    filename: str
    media_type: str
    size: int
    hash: bytes
    reference: str
    place: Place
    key: bytes = field(repr=False)

    def to_value(self) -> dict[str, Value]:
        place: dict[str, Value] = {"offset": self.place.offset, "encoding": self.place.encoding.value}
        if self.place.encoding is Encoding.BASE64:
            place["lineLength"] = self.place.line_length
            place["lastLineEnd"] = self.place.last_line_end
        return {
            "filename": self.filename,
            "mediaType": self.media_type,
            "size": self.size,
            "hash": self.hash,
            "reference": self.reference,
            "key": self.key,
            "place": place,
        }

    @classmethod
    def parse(cls, fields: Fields) -> "ContentRef":
        """Read one of a letter's refs; raises RemoteProtocolError."""
        reference = fields.text("reference", MAX_REFERENCE_BYTES)
        if _REFERENCE.fullmatch(reference) is None:
            raise fields.fault("reference", "is not ipfs:// and a CIDv1 in base32")
        return cls(
            filename=fields.text("filename", MAX_FILENAME_BYTES),
            media_type=fields.text("mediaType", MAX_MEDIA_TYPE_BYTES),
            size=fields.int("size"),
            hash=fields.bytes("hash", length=HASH_BYTES),
            reference=reference,
            key=fields.bytes("key", length=KEY_BYTES),
            place=_place(fields.map("place")),
        )


def _place(fields: Fields) -> Place:
    offset = fields.int("offset")
    match fields.text("encoding"):
        case Encoding.IDENTITY.value:
            return Place(offset)
        case Encoding.BASE64.value:
            length = fields.int("lineLength", least=1, most=MAX_LINE_LENGTH)
            return Place(offset, Encoding.BASE64, length, fields.flag("lastLineEnd"))
        case _:
            raise fields.fault("encoding", "is not known")
