"""What is said before and after an envelope on `/mailio/letter/1` (protocol.md §6, §8, §11).

Who is let in is consent's business; the envelope itself travels as its bare bytes.
"""

from dataclasses import dataclass
from typing import Final

from protocol.cbor import Value, encode
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.identity import MAX_IDENTITY
from protocol.kdf import HASH_BYTES, KEY_BYTES
from protocol.keys import SIGNATURE_BYTES, SigningKey, verify
from protocol.letter import MAX_ENVELOPE, MAX_WEEK, MIN_ENVELOPE
from protocol.receipt import MAX_RECORD_BYTES as MAX_RECEIPT_BYTES
from protocol.stamps import CHALLENGE_BYTES, MAX_PRICE, NONCE_BYTES
from protocol.status import TOO_LARGE, Status

PROTOCOL_ID: Final = "/mailio/letter/1"

MAX_SERVICE_BYTES: Final = 16_384  # A service letter, sealed, is at most this (§6).
MAX_FIRST_CONTACT_BYTES: Final = 16_384  # So is a letter without a handshake (§6).
MAX_NOTE_BYTES: Final = 2_048  # The plain text of such a letter, and of a request's note (§6).
MAX_OFFER_BYTES: Final = 1_024  # an offer with every field has about 400
MAX_TEXT_BYTES: Final = 512  # A sentence or two for a person.
MAX_WEEKS: Final = 1_000  # prekeys kept at once: 40 days back and 90 ahead are 19
MAX_ANSWER_BYTES: Final = MAX_RECEIPT_BYTES + MAX_IDENTITY + 1_024

_OFFER_CONTEXT: Final = b"mailio/offer/1\0"
_DIRECT: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class KeyProof:
    """A delivery key and its signature over account and envelopeId."""

    key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Stamp:
    """The nonce found for a challenge that the receiver gave."""

    challenge: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """An envelope's announcement. `size` in bytes, sealed; `account` None on direct delivery;
    `cancel` the hash of a secret, for deposits only.
    """

    envelope_id: bytes
    size: int
    week: int
    account: bytes | None = None
    proof: KeyProof | Stamp | None = None
    cancel: bytes | None = None
    service: bool = False

    def proof_holds(self) -> bool:
        """Whether the proof is a delivery key's and its signature is over this account and envelope.

        Whether the key may deliver is for the receiver to know.
        """
        if not isinstance(self.proof, KeyProof):
            return False
        message = offer_proof_message(self.account, self.envelope_id)
        return verify(self.proof.key, message, self.proof.signature)

    def encode(self) -> bytes:
        items: dict[str, Value] = {"envelopeId": self.envelope_id, "size": self.size, "week": self.week}
        if self.account is not None:
            items["account"] = self.account
        if self.proof is not None:
            items["proof"] = proof_map(self.proof)
        if self.cancel is not None:
            items["cancel"] = self.cancel
        if self.service:
            items["service"] = True
        return encode(items)

    @classmethod
    def parse(cls, data: bytes) -> "Offer":
        """Read an offer; RemoteProtocolError TOO_LARGE for a size beyond any envelope, else MALFORMED."""
        if len(data) > MAX_OFFER_BYTES:
            raise RemoteProtocolError(f"an offer over {MAX_OFFER_BYTES} bytes")
        fields = Fields.decode(data, "offer")
        size, service = fields.int("size", least=MIN_ENVELOPE), fields.flag("service")
        if size > MAX_ENVELOPE:
            raise RemoteProtocolError(f"an envelope over {MAX_ENVELOPE} bytes is offered", TOO_LARGE)
        if service and size > MAX_SERVICE_BYTES:
            raise RemoteProtocolError(f"a service letter over {MAX_SERVICE_BYTES} bytes is offered")
        return cls(
            envelope_id=fields.bytes("envelopeId", length=HASH_BYTES),
            size=size,
            week=fields.int("week", most=MAX_WEEK),
            account=fields.optional_bytes("account", length=KEY_BYTES),
            proof=parse_proof(fields.optional_map("proof")),
            cancel=fields.optional_bytes("cancel", length=HASH_BYTES),
            service=service,
        )


def proof_map(proof: KeyProof | Stamp | None) -> dict[str, Value] | None:
    """A proof as it stands in an offer."""
    match proof:
        case KeyProof(key, signature):
            return {"key": key, "signature": signature}
        case Stamp(challenge, nonce):
            return {"challenge": challenge, "nonce": nonce}
        case None:
            return None


def parse_proof(fields: Fields | None) -> KeyProof | Stamp | None:
    """What `proof_map` made. Raises RemoteProtocolError."""
    if fields is None:
        return None
    if fields.has("key") == fields.has("challenge"):
        raise RemoteProtocolError("offer: a proof is a delivery key's or a stamp")
    if fields.has("key"):
        key = fields.bytes("key", length=KEY_BYTES)
        return KeyProof(key, fields.bytes("signature", length=SIGNATURE_BYTES))
    challenge = fields.bytes("challenge", length=CHALLENGE_BYTES)
    return Stamp(challenge, fields.bytes("nonce", length=NONCE_BYTES))


def offer_proof_message(account: bytes | None, envelope_id: bytes) -> bytes:
    """What a delivery key signs: `"mailio/offer/1" 0x00`, account (zeros when direct), envelopeId (§11)."""
    return _OFFER_CONTEXT + (account if account is not None else _DIRECT) + envelope_id


def prove_offer(key: SigningKey, account: bytes | None, envelope_id: bytes) -> KeyProof:
    """The proof of the sender that holds this delivery key."""
    return KeyProof(key.public, key.sign(offer_proof_message(account, envelope_id)))


@dataclass(frozen=True, slots=True)
class GoAhead:
    """Send the envelope."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What an offer without a delivery key has to bring: a stamp of `price` bits before `until` (Unix ms).

    Taken are prekey weeks `first_week` to `first_week + weeks - 1`, and at most `size` sealed bytes.
    """

    challenge: bytes
    price: int
    until: int
    first_week: int
    weeks: int
    size: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an offer or an envelope. `until`: when it will be taken (4.8.10), or until when a host
    keeps it, in Unix ms. `receipt` and `identity` are records as bytes, the latter with 4.8.1.
    """

    status: Status
    text: str | None = None
    until: int | None = None
    receipt: bytes | None = None
    identity: bytes | None = None


Answer = GoAhead | Challenge | Result

_GO_AHEAD: Final = encode({"answer": "go"})


def encode_answer(answer: Answer) -> bytes:
    """The bytes of any of the three."""
    if isinstance(answer, GoAhead):
        return _GO_AHEAD
    items: dict[str, Value]
    if isinstance(answer, Challenge):
        items = {
            "answer": "challenge",
            "challenge": answer.challenge,
            "price": answer.price,
            "until": answer.until,
            "firstWeek": answer.first_week,
            "weeks": answer.weeks,
            "size": answer.size,
        }
        return encode(items)
    items = {
        "answer": "status",
        "status": answer.status.code,
        "text": answer.text,
        "until": answer.until,
        "receipt": answer.receipt,
        "identity": answer.identity,
    }
    return encode({name: value for name, value in items.items() if value is not None})


def parse_answer(data: bytes) -> Answer:
    """Read an answer; raises RemoteProtocolError, also for a kind of answer that is not known."""
    if data == _GO_AHEAD:
        return GoAhead()
    if len(data) > MAX_ANSWER_BYTES:
        raise RemoteProtocolError(f"an answer over {MAX_ANSWER_BYTES} bytes")
    fields = Fields.decode(data, "answer")
    match fields.text("answer"):
        case "go":
            return GoAhead()
        case "challenge":
            return _challenge(fields)
        case "status":
            return _result(fields)
        case _:
            raise fields.fault("answer", "is not known")


def _challenge(fields: Fields) -> Challenge:
    return Challenge(
        challenge=fields.bytes("challenge", length=CHALLENGE_BYTES),
        price=fields.int("price", most=MAX_PRICE),
        until=fields.int("until"),
        first_week=fields.int("firstWeek", most=MAX_WEEK),
        weeks=fields.int("weeks", most=MAX_WEEKS),
        size=fields.int("size"),
    )


def _result(fields: Fields) -> Result:
    return Result(
        status=Status.parse(fields.text("status")),
        text=fields.optional_text("text", MAX_TEXT_BYTES),
        until=fields.optional_int("until"),
        receipt=fields.optional_bytes("receipt", most=MAX_RECEIPT_BYTES),
        identity=fields.optional_bytes("identity", most=MAX_IDENTITY),
    )
