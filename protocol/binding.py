"""`binding/1` and `unbound/1` (protocol.md §4): a domain's signed word on whose an e-mail address is, or that
it is nobody's. Who is asked, and what is remembered of the answer, is decided elsewhere.
"""

from dataclasses import dataclass
from typing import Final

from protocol.cbor import Value
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.exchange_identity import MAX_EMAIL_HASH_BYTES, NONCE_BYTES
from protocol.fields import Fields
from protocol.kdf import KEY_BYTES
from protocol.keys import SigningKey, address_of
from protocol.record import Record, refuse_ahead, sign_record
from protocol.status import TIME

BINDING_KIND: Final = "binding/1"
UNBOUND_KIND: Final = "unbound/1"

MAX_RECORD_BYTES: Final = 1_024  # one with all its fields has 320; the rest is room for fields to come
MAX_LIFE_MS: Final = 7 * 86_400_000  # A week: who has left a domain is not reached by its name for longer.


@dataclass(frozen=True, slots=True)
class Binding:
    """What a domain says of one e-mail hash: `owner` is the identity key that it is bound to, None where the
    domain has no owner of that address. `nonce` is the asker's; times in Unix ms.
    """

    email_hash: str
    nonce: bytes
    owner: bytes | None
    created: int
    expires: int

    @property
    def address(self) -> str | None:
        """The Mailio address that it is bound to."""
        return None if self.owner is None else address_of(self.owner)


def sign_binding(binding: Binding, domain: SigningKey) -> bytes:
    """The record's bytes; `domain` is the key of the domain's TXT record. Raises LocalProtocolError."""
    payload: dict[str, Value] = {
        "emailHash": binding.email_hash,
        "nonce": binding.nonce,
        "created": binding.created,
        "expires": binding.expires,
    }
    kind = UNBOUND_KIND
    if binding.owner is not None:
        payload["owner"], kind = binding.owner, BINDING_KIND
    data = sign_record(kind, payload, domain).encode()
    try:
        parse_binding(data, domain.public, binding.email_hash, binding.nonce, None)
    except RemoteProtocolError as fault:
        raise LocalProtocolError(f"nobody would believe this binding: {fault}") from fault
    return data


def parse_binding(data: bytes, domain: bytes, email_hash: str, nonce: bytes, now: int | None) -> Binding:
    """Read the answer to the question for `email_hash` with `nonce`, which must be signed by the key `domain`
    and hold at `now` (Unix ms; None where our clock is doubtful). Raises RemoteProtocolError, of class 4
    where only the times do not fit.
    """
    record = Record.decode(data, MAX_RECORD_BYTES)
    if record.public_key != domain:
        raise RemoteProtocolError("a binding that the domain's key has not signed")
    if record.kind not in (BINDING_KIND, UNBOUND_KIND):
        raise RemoteProtocolError(f"a record of kind {record.kind} instead of {BINDING_KIND}")
    fields = Fields(record.verify(), record.kind)
    owner = fields.bytes("owner", length=KEY_BYTES) if record.kind == BINDING_KIND else None
    found = Binding(
        email_hash=fields.text("emailHash", MAX_EMAIL_HASH_BYTES, least=MAX_EMAIL_HASH_BYTES),
        nonce=fields.bytes("nonce", length=NONCE_BYTES),
        owner=owner,
        created=fields.int("created"),
        expires=fields.int("expires"),
    )
    if (found.email_hash, found.nonce) != (email_hash, nonce):
        raise RemoteProtocolError("a binding that answers another question")
    if not found.created < found.expires <= found.created + MAX_LIFE_MS:
        raise RemoteProtocolError("a binding that ends before it begins, or holds for more than a week")
    if now is not None:
        refuse_ahead(found.created, now, record.kind)
        if now >= found.expires:
            raise RemoteProtocolError("a binding that has run out", TIME)
    return found
