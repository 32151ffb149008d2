"""DKIM keys and signatures, made without the library that checks them: any tag may be bent.

key = rsa_key()                       # or ed25519_key()
names.txt("sel._domainkey.example.org", key.txt)
signed = sign(raw, key, "example.org", "sel")
"""

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from Crypto.Util.number import getPrime
from cryptography.hazmat.primitives.asymmetric import rsa
from nacl.signing import SigningKey

SIGNED: Final = ("from", "to", "subject", "date", "message-id")
EXPONENT: Final = 65_537

_DIGEST_INFO: Final = {  # RFC 8017 §9.2, note 1
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
}
_RSA_OID: Final = bytes.fromhex("300d06092a864886f70d0101010500")


@dataclass(frozen=True, slots=True)
class RsaKey:
    """`name` stands in a= before the hash."""

    modulus: int
    private: int

    name = "rsa"

    @property
    def public(self) -> str:
        """base64 of its SubjectPublicKeyInfo."""
        key = _der(0x30, _integer(self.modulus) + _integer(EXPONENT))
        return base64.b64encode(_der(0x30, _RSA_OID + _der(0x03, b"\x00" + key))).decode()

    @property
    def public_bare(self) -> str:
        """base64 of its RSAPublicKey, the other form that is in use."""
        return base64.b64encode(_der(0x30, _integer(self.modulus) + _integer(EXPONENT))).decode()

    @property
    def txt(self) -> str:
        """What to publish."""
        return f"v=DKIM1; k=rsa; p={self.public}"

    def sign(self, data: bytes, hash_name: str) -> bytes:
        """RSASSA-PKCS1-v1_5."""
        size = (self.modulus.bit_length() + 7) // 8
        info = _DIGEST_INFO[hash_name] + hashlib.new(hash_name, data).digest()
        padded = b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info
        return pow(int.from_bytes(padded), self.private, self.modulus).to_bytes(size)


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """RFC 8463."""

    seed: bytes

    name = "ed25519"

    @property
    def public(self) -> str:
        """base64 of its 32 bytes."""
        return base64.b64encode(bytes(SigningKey(self.seed).verify_key)).decode()

    @property
    def txt(self) -> str:
        """What to publish."""
        return f"v=DKIM1; k=ed25519; p={self.public}"

    def sign(self, data: bytes, hash_name: str) -> bytes:
        """PureEdDSA over the hash."""
        return SigningKey(self.seed).sign(hashlib.new(hash_name, data).digest()).signature


Key = RsaKey | Ed25519Key


@functools.cache
def rsa_key(bits: int = 2048, number: int = 0) -> RsaKey:
    """One key for each size and number a process: making one takes its time."""
    if bits >= 1024:
        made = rsa.generate_private_key(EXPONENT, bits).private_numbers()
        return RsaKey(made.public_numbers.n, made.d)
    while True:  # shorter than the library makes them
        p, q = getPrime(bits // 2), getPrime(bits // 2)
        if p != q and (p - 1) % EXPONENT and (q - 1) % EXPONENT and (p * q).bit_length() == bits:
            return RsaKey(p * q, pow(EXPONENT, -1, (p - 1) * (q - 1)))


@functools.cache
def ed25519_key(number: int = 0) -> Ed25519Key:
    """The same one for the same number."""
    return Ed25519Key(hashlib.sha256(b"dkim %d" % number).digest())


def sign(
    raw: bytes,
    key: Key,
    domain: str,
    selector: str,
    *,
    canon: str = "relaxed/relaxed",
    headers: Sequence[str] = SIGNED,
    hash_name: str = "sha256",
    tags: Mapping[str, str | None] | None = None,
    body: bytes | None = None,
) -> bytes:
    """`raw` (CRLF line ends) under one more DKIM-Signature. `tags` adds tags, changes them, or leaves them
    out (None); `body` is what is hashed instead of the message's own.
    """
    header, _, own_body = (
        raw.partition(b"\r\n\r\n") if b"\r\n\r\n" in raw else (raw.removesuffix(b"\r\n"), b"", b"")
    )
    header_canon, _, body_canon = canon.partition("/")
    digest = hashlib.new(hash_name, _canon_body(own_body if body is None else body, body_canon or "simple"))
    fields: dict[str, str | None] = {
        "v": "1",
        "a": f"{key.name}-{hash_name}",
        "c": canon,
        "d": domain,
        "s": selector,
        "h": ":".join(headers),
        "bh": base64.b64encode(digest.digest()).decode(),
        **(tags or {}),
        "b": "",
    }
    value = " " + ";\r\n ".join(f"{name}={text}" for name, text in fields.items() if text is not None)
    data = _signed_fields(header, headers, header_canon)
    data += _canon_field(b"DKIM-Signature:" + value.encode(), header_canon)
    signature = base64.b64encode(key.sign(data, hash_name)).decode()
    folded = "\r\n  ".join(signature[at : at + 70] for at in range(0, len(signature), 70))
    return f"DKIM-Signature:{value}{folded}\r\n".encode() + raw


def _signed_fields(header: bytes, names: Sequence[str], canon: str) -> bytes:
    """RFC 6376 §5.4.2: of several fields of a name the last first."""
    left = re.split(rb"\r\n(?![ \t])", header)
    data = b""
    for name in names:
        for index in range(len(left) - 1, -1, -1):
            if left[index].partition(b":")[0].strip().lower() == name.lower().encode():
                data += _canon_field(left.pop(index), canon) + b"\r\n"
                break
    return data


def _canon_field(field: bytes, canon: str) -> bytes:
    if canon == "simple":
        return field
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()


def _canon_body(body: bytes, canon: str) -> bytes:
    lines = body.split(b"\r\n")
    if canon == "relaxed":
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines) or (b"\r\n" if canon == "simple" else b"")


def _der(tag: int, data: bytes) -> bytes:
    size = len(data)
    if size < 0x80:
        return bytes([tag, size]) + data
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + data


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1))
