"""What a letter has to be to leave by ordinary mail, and in whose name it speaks. No servers here."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Final

from node.letters.fields import split_addresses
from node.letters.limits import MAX_HEADER_BYTES
from node.outbox import Recipient
from node.smtp.answer import NoWay
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError

log = logging.getLogger(__name__)

_ADDRESS_FIELD: Final = re.compile(
    rb"^(?P<name>(?:resent-)?(?:from|sender|reply-to|to|cc|bcc))[ \t]*:"
    rb"(?P<text>[^\r\n]*(?:\r\n[ \t][^\r\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_OURS_ONLY: Final = "@mailio.alt"


def fit_to_leave(sender: str, recipients: Sequence[Recipient], raw: bytes | None, max_size: int) -> bytes:
    """The letter, if a server may get it. Else raises NoWay; but for its size that is a bug of ours."""
    if raw is None:
        raise _bug("the letter has no form for ordinary mail")
    if len(raw) > max_size:
        raise NoWay("5.3.4", f"the letter has {len(raw):,} bytes, and at most {max_size:,} go out")
    if any(one.lower().endswith(_OURS_ONLY) for one in (sender, *(to.address for to in recipients))):
        raise _bug(_SEALED_ONLY)
    fields = _address_fields(raw)
    if any(_OURS_ONLY.encode() in field["text"].lower() for field in fields):
        raise _bug(_SEALED_ONLY)
    if any(field["name"].lower() in (b"bcc", b"resent-bcc") for field in fields):
        raise _bug("the letter tells its secret recipients")  # RFC 5322 §3.6.3
    if not raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n"):
        # Where one server sees a line end and the next does not, letters are smuggled.
        raise _bug("the letter has line ends that no mail server takes")
    return raw


def author_domain(raw: bytes) -> str:
    """The domain in From, for which the letter is signed; "" where there is none."""
    found = next((field for field in _address_fields(raw) if field["name"].lower() == b"from"), None)
    text = found["text"].decode("utf-8", "replace") if found is not None else ""
    for address, _ in split_addresses(text):
        try:
            return normal_email(address.mailbox).rpartition("@")[2]
        except RemoteProtocolError:
            return ""
    return ""


def _address_fields(raw: bytes) -> list[re.Match[bytes]]:
    end = 0 if raw.startswith(b"\r\n") else raw.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
    return list(_ADDRESS_FIELD.finditer(raw, 0, end if end >= 0 else min(len(raw), MAX_HEADER_BYTES)))


def _bug(text: str) -> NoWay:
    log.error("a letter of ours was not let out: %s", text)
    return NoWay("5.6.0", text)


_SEALED_ONLY: Final = "the letter names an address at mailio.alt, which never meets ordinary mail"
