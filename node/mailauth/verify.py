"""Whether signatures hold: the jobs of the worker process. dkimpy canonicalizes and hashes the header and
computes; what it lets pass or takes too long for is refused before (docs of each rule beside it).
"""

import base64
import functools
import hashlib
import hmac
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.mailauth.body import canonical_body
from node.mailauth.header import Header, split_header
from node.mailauth.signature import Signature
from protocol.errors import RemoteProtocolError

MIN_RSA_BITS: Final = 1_024
"""RFC 8301 §3.2: shorter keys prove nothing."""

MAX_RSA_BITS: Final = 8_192
"""Beyond what anyone publishes; the cost grows with the square."""

MAX_EXPONENT_BITS: Final = 64
"""65,537 has 17; the cost grows with it."""

ED25519_BYTES: Final = 32

ONCE: Final = (
    *("from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references"),
    *("mime-version", "content-type", "content-transfer-encoding", "content-disposition"),
)
"""Fields that stand once (RFC 5322 §3.6, RFC 2045 §3). Readers show the first, a signature covers the last:
one more put above it would be shown as if it were signed (RFC 6376 §8.15).
"""

UNCHECKED: Final = "could not be checked"


@dataclass(frozen=True, slots=True)
class Task:
    """A message, and of each signature to be checked the keys that may speak for it."""

    raw: bytes
    signatures: tuple[tuple[Signature, tuple[bytes, ...]], ...]


def verify_all(tasks: Sequence[Task]) -> list[tuple[str, ...]]:
    """For each task, for each of its signatures: "" if it holds, else why not. Raises nothing."""
    return [_verify(task) for task in tasks]


def _verify(task: Task) -> tuple[str, ...]:
    header = split_header(task.raw)
    hashes: dict[str, tuple[bytes, int]] = {}
    outcomes = []
    for signature, keys in task.signatures:
        try:
            _check_body(task.raw, header, signature, hashes)
            _check_header(header, signature, keys)
            outcomes.append("")
        except RemoteProtocolError as fault:
            outcomes.append(str(fault))
        except Exception:  # noqa: BLE001 - dkimpy may raise anything on hostile input
            outcomes.append(UNCHECKED)
    return tuple(outcomes)


def _check_body(
    raw: bytes, header: Header, signature: Signature, hashes: dict[str, tuple[bytes, int]]
) -> None:
    canon = signature.body_canon
    if canon not in hashes:
        body = canonical_body(raw[header.body_at :], canon)
        hashes[canon] = hashlib.sha256(body).digest(), len(body)
    digest, length = hashes[canon]
    if signature.length is not None and signature.length != length:
        raise RemoteProtocolError("a part of the body is not signed")  # RFC 6376 §8.2
    if not hmac.compare_digest(digest, signature.body_hash):
        raise RemoteProtocolError("body changed")


def _check_header(header: Header, signature: Signature, keys: Sequence[bytes]) -> None:
    if not header.named(b"from"):
        raise RemoteProtocolError("no From")
    for name in ONCE:
        count = len(header.named(name.encode()))
        if count > 1 and signature.signed.count(name) < count:
            raise RemoteProtocolError(f"{name} stands more than once")
    fault = None
    for key in keys:
        try:
            _check_key(key, signature)
        except RemoteProtocolError as found:
            fault = found
            continue
        if _holds(header, signature, key):
            return
        fault = RemoteProtocolError("header changed, or another key")
    assert fault is not None
    raise fault


def _check_key(key: bytes, signature: Signature) -> None:
    if signature.algorithm.startswith("ed25519"):
        if len(key) != ED25519_BYTES or len(signature.value) != 2 * ED25519_BYTES:
            raise RemoteProtocolError("the key can't be read")
        return
    try:
        numbers = _dkimpy().crypto.parse_public_key(key)
        bits, exponent = numbers["modulus"].bit_length(), numbers["publicExponent"]
    except Exception as error:  # its reader asserts, indexes and converts what it is given
        raise RemoteProtocolError("the key can't be read") from error
    if bits < MIN_RSA_BITS:
        raise RemoteProtocolError(f"the key has only {bits} bits")
    if bits > MAX_RSA_BITS or exponent < 3 or exponent.bit_length() > MAX_EXPONENT_BITS:
        raise RemoteProtocolError("the key can't be used")


def _holds(header: Header, signature: Signature, key: bytes) -> bool:
    """What dkimpy says. It gets the header's own fields and only what was read strictly before."""
    checker = _dkimpy().DKIM(None, logger=logging.getLogger(__name__), minkey=MIN_RSA_BITS)
    checker.headers = list(header.fields)
    tags = {
        b"a": signature.algorithm.encode(),
        b"b": base64.b64encode(signature.value),
        b"c": f"{signature.header_canon}/{signature.body_canon}".encode(),
        b"d": signature.domain.encode(),
        b"s": signature.selector.encode(),
    }  # no bh: the body was compared already
    kind = signature.algorithm.partition("-")[0]
    record = f"v=DKIM1; k={kind}; p={base64.b64encode(key).decode()}".encode()
    field = header.named(b"dkim-signature")[signature.index]
    names = [name.encode() for name in signature.signed]
    return bool(checker.verify_sig(tags, names, field, lambda name, timeout: record))


@functools.cache
def _dkimpy() -> Any:
    """The library without its own look-ups: they would load all of dnspython into the worker (20 MB)."""
    sys.modules.setdefault("dkim.dnsplug", None)  # type: ignore[arg-type]  # None: it can't be imported
    import dkim  # type: ignore[import-untyped]  # no stubs exist

    return dkim
