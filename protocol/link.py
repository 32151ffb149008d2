"""Contact links (protocol.md §5): `mailio:<address>?k=…&h=…` locates and pins; `&i=…` is an invitation."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.kdf import KEY_BYTES
from protocol.keys import address_of, parse_address
from protocol.peers import MAX_ADDRS, check_multiaddr

SCHEME: Final = "mailio:"
INVITATION_LIFE_MS: Final = 72 * 3_600_000  # 72 hours (§5)
MAX_LINK: Final = 2_300  # characters: address, key, secret and eight addresses at their longest

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SAFE: Final = "/:"  # allowed in a query as they are (RFC 3986 §3.4); links stay readable


@dataclass(frozen=True, slots=True)
class ContactLink:
    """Where an owner is and which key is theirs. A link goes by hand, so addresses may be private."""

    address: str
    public_key: bytes
    addrs: tuple[str, ...] = ()
    invitation: bytes | None = field(default=None, repr=False)

    def encode(self) -> str:
        """The link; base64url without padding."""
        text = f"{SCHEME}{self.address}?k={_to_text(self.public_key)}"
        text += "".join(f"&h={quote(addr, safe=_SAFE)}" for addr in self.addrs)
        if self.invitation is not None:
            text += f"&i={_to_text(self.invitation)}"
        try:
            ContactLink.parse(text)
        except RemoteProtocolError as fault:
            raise LocalProtocolError(f"no link can be made of this: {fault}") from fault
        return text

    @classmethod
    def parse(cls, text: str) -> "ContactLink":
        """The link in `text`; RemoteProtocolError when it is none, or when key and address do not fit.

        Parameters that we do not know are passed over.
        """
        text = text.strip()
        if len(text) > MAX_LINK or text[: len(SCHEME)].lower() != SCHEME:
            raise RemoteProtocolError("not a contact link")
        name, _, query = text[len(SCHEME) :].partition("?")
        keys, addrs, secrets = _parameters(query)
        if len(keys) != 1 or len(secrets) > 1:
            raise RemoteProtocolError("a contact link has one key, and at most one invitation")
        link = cls(
            parse_address(name),
            _from_text(keys[0]),
            tuple(addrs),
            _from_text(secrets[0]) if secrets else None,
        )
        if address_of(link.public_key) != link.address:
            raise RemoteProtocolError("the link's key is not the key of its address")
        return link


def _parameters(query: str) -> tuple[list[str], list[str], list[str]]:
    found: dict[str, list[str]] = {"k": [], "h": [], "i": []}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in found:
            found[name].append(unquote(value))
    if len(found["h"]) > MAX_ADDRS:
        raise RemoteProtocolError(f"a contact link has at most {MAX_ADDRS} addresses")
    for addr in found["h"]:
        check_multiaddr(addr)
        if "/p2p/" not in addr:
            raise RemoteProtocolError("a contact link's addresses end in /p2p/ and the peer id")
    return found["k"], found["h"], found["i"]


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_text(text: str) -> bytes:
    if _BASE64URL.fullmatch(text) is None:
        raise RemoteProtocolError("a contact link's key and invitation are 32 bytes of base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=")
    except binascii.Error:
        raise RemoteProtocolError("a contact link with bad base64url") from None
    if len(data) != KEY_BYTES or _to_text(data) != text:
        raise RemoteProtocolError("a contact link with bad base64url")
    return data
