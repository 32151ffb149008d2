"""What is asked and answered on `/mailio/identity/1` (protocol.md §8); whom to ask is decided elsewhere.

The record in an answer is bytes here: identity.py, or the kinds that answer for an e-mail hash, read it.
"""

from dataclasses import dataclass
from typing import Final

from protocol.cbor import Value, encode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.identity import MAX_IDENTITY
from protocol.keys import parse_address
from protocol.status import Status

PROTOCOL_ID: Final = "/mailio/identity/1"

MAX_FRAME_BYTES: Final = 16_384  # §8
MAX_EMAIL_HASH_BYTES: Final = 44  # 32 bytes in padded base64
NONCE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class IdentityRequest:
    """Whose identity is asked for: an address, or an e-mail hash with the asker's nonce, exactly one."""

    address: str | None = None
    email_hash: str | None = None
    nonce: bytes | None = None

    def __post_init__(self) -> None:
        if (self.address is None) == (self.email_hash is None):
            raise LocalProtocolError("an identity is asked for by address or by e-mail hash")
        if (self.email_hash is None) != (self.nonce is None):
            raise LocalProtocolError("a nonce goes with an e-mail hash, and only there")

    def encode(self) -> bytes:
        items = {"address": self.address, "emailHash": self.email_hash, "nonce": self.nonce}
        return encode({name: value for name, value in items.items() if value is not None})

    @classmethod
    def parse(cls, data: bytes) -> "IdentityRequest":
        """Read a request; raises RemoteProtocolError."""
        if len(data) > MAX_FRAME_BYTES:
            raise RemoteProtocolError(f"an identity request over {MAX_FRAME_BYTES} bytes")
        fields = Fields.decode(data, "identity request")
        if fields.has("address") == fields.has("emailHash"):
            raise RemoteProtocolError("an identity request has not exactly one of address and emailHash")
        if fields.has("address"):
            return cls(address=parse_address(fields.text("address")))
        email_hash = fields.text("emailHash", MAX_EMAIL_HASH_BYTES, least=MAX_EMAIL_HASH_BYTES)
        return cls(email_hash=email_hash, nonce=fields.bytes("nonce", length=NONCE_BYTES))


@dataclass(frozen=True, slots=True)
class IdentityAnswer:
    """The answerer's time (Unix ms, for the doubtful clock of §3), a status and, with class 2, the record."""

    time: int
    status: Status
    record: bytes | None = None

    def encode(self) -> bytes:
        items: dict[str, Value] = {"time": self.time, "status": self.status.code, "record": self.record}
        return encode({name: value for name, value in items.items() if value is not None})

    @classmethod
    def parse(cls, data: bytes) -> "IdentityAnswer":
        """Read an answer; raises RemoteProtocolError."""
        if len(data) > MAX_FRAME_BYTES:
            raise RemoteProtocolError(f"an identity answer over {MAX_FRAME_BYTES} bytes")
        fields = Fields.decode(data, "identity answer")
        return cls(
            time=fields.int("time"),
            status=Status.parse(fields.text("status")),
            record=fields.optional_bytes("record", most=MAX_IDENTITY),
        )
