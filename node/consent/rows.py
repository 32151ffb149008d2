"""The gate's values as they lie in the store. What they mean is entries.py's and the rules'."""

from node.consent.entries import Grant, Invitation, Ours, Theirs
from protocol.cbor import Value
from protocol.fields import Fields
from protocol.handshake import MAX_RECORD_BYTES, Level, State, Terms, Type
from protocol.kdf import KEY_BYTES
from protocol.pair import GRANT_BYTES


def row_of_ours(entry: Ours) -> dict[str, Value]:
    terms = entry.terms
    return {
        "address": entry.address,
        "state": entry.state.value,
        "type": terms.type.value,
        "level": terms.level.value,
        "subtype": terms.signup_subtype or "",
        "every": terms.frequency_minutes,
        "expires": terms.expires or 0,
        "until": entry.until,
        "created": entry.created,
        "automatic": entry.automatic,
        "record": entry.record,
        "grant": entry.grant,
        "earlier": [{"grant": e.grant, "until": e.until} for e in entry.earlier],
        "key": entry.public_key,
        "pair": entry.pair_key,
        "asked": entry.asked,
        "note": entry.note,
        "emailHash": entry.email_hash,
    }


def ours_of(row: Value) -> Ours:
    fields = Fields(row, "ours")
    return Ours(
        address=fields.text("address"),
        state=State(fields.text("state")),
        terms=Terms(
            type=Type(fields.text("type")),
            level=Level(fields.text("level")),
            expires=fields.int("expires") or None,
            signup_subtype=fields.text("subtype") or None,
            frequency_minutes=fields.int("every"),
        ),
        until=fields.int("until"),
        created=fields.int("created"),
        automatic=fields.flag("automatic"),
        record=fields.bytes("record", most=MAX_RECORD_BYTES),
        grant=fields.bytes("grant", most=GRANT_BYTES),
        earlier=tuple(
            Grant(e.bytes("grant", length=GRANT_BYTES), e.int("until")) for e in fields.maps("earlier", 100)
        ),
        public_key=fields.bytes("key", most=KEY_BYTES),
        pair_key=fields.bytes("pair", most=KEY_BYTES),
        asked=fields.int("asked"),
        note=fields.text("note", most=MAX_RECORD_BYTES),
        email_hash=fields.optional_text("emailHash") or "",  # rows of 0.1 have none
    )


def row_of_theirs(entry: Theirs) -> dict[str, Value]:
    return {
        "address": entry.address,
        "status": entry.status.value,
        "record": entry.record,
        "grant": entry.grant,
        "expires": entry.expires,
        "pair": entry.pair_key,
        "invitation": entry.invitation,
        "invitedUntil": entry.invited_until,
        "asked": entry.asked,
    }


def theirs_of(row: Value) -> Theirs:
    fields = Fields(row, "theirs")
    return Theirs(
        address=fields.text("address"),
        status=State(fields.text("status")),
        record=fields.bytes("record", most=MAX_RECORD_BYTES),
        grant=fields.bytes("grant", most=GRANT_BYTES),
        expires=fields.int("expires"),
        pair_key=fields.bytes("pair", most=KEY_BYTES),
        invitation=fields.bytes("invitation", most=KEY_BYTES),
        invited_until=fields.int("invitedUntil"),
        asked=fields.int("asked"),
    )


def row_of_invitation(entry: Invitation) -> dict[str, Value]:
    return {"secret": entry.secret, "until": entry.until, "user": entry.user}


def invitation_of(row: Value) -> Invitation:
    fields = Fields(row, "invitation")
    return Invitation(fields.bytes("secret", length=KEY_BYTES), fields.int("until"), fields.text("user"))
