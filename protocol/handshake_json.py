"""Other software's JSON around a handshake (protocol.md §5): read, never written.

Only the signed payload counts; of the plain fields beside it the key alone is read, to check it with.
"""

import base64
import json
from typing import Final

from protocol.errors import RemoteProtocolError
from protocol.handshake import KIND, MAX_PAYLOAD_BYTES, Handshake, parse_handshake
from protocol.kdf import KEY_BYTES
from protocol.keys import SIGNATURE_BYTES
from protocol.record import Record

# The payload in base64, and once more as plain fields.
MAX_WRAPPER_BYTES: Final = 4 * MAX_PAYLOAD_BYTES


def parse_wrapped(data: bytes, now: int | None = None) -> Handshake:
    """The handshake in `{content, signatureBase64, cborPayloadBase64}`; raises RemoteProtocolError."""
    if len(data) > MAX_WRAPPER_BYTES:
        raise RemoteProtocolError(f"a wrapped handshake over {MAX_WRAPPER_BYTES} bytes")
    try:
        wrapper = json.loads(data)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("a wrapped handshake is not JSON") from None
    content = _member(wrapper, "content")
    record = Record(
        kind=KIND,
        payload=_base64(wrapper, "cborPayloadBase64"),
        public_key=_base64(content, "ownerPublicKey", KEY_BYTES),
        signature=_base64(wrapper, "signatureBase64", SIGNATURE_BYTES),
    )
    return parse_handshake(record.encode(), now)


def _member(value: object, name: str) -> object:
    if not isinstance(value, dict) or name not in value:
        raise RemoteProtocolError(f"a wrapped handshake has no {name}")
    return value[name]


def _base64(value: object, name: str, length: int | None = None) -> bytes:
    text = _member(value, name)
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        data = None
    if data is None or (length is not None and len(data) != length):
        raise RemoteProtocolError(f"a wrapped handshake's {name} is not as it should be")
    return data
