"""E-mail addresses (protocol.md §2): one normal form, the hash in handshakes, the index that finds them.

Splitting header fields and whole messages is not done here.
"""

import base64
import hashlib
import re
import unicodedata
from typing import Final

import idna
from nacl import bindings

from protocol.errors import RemoteProtocolError
from protocol.kdf import KEY_BYTES, kdf

MAX_EMAIL: Final = 254  # bytes of an address in an SMTP path (RFC 5321 §4.5.3.1.3, less the brackets)
MAX_DOMAIN: Final = 253  # characters of a name in the DNS without its last dot
MAX_LOCAL: Final = 64  # bytes (RFC 5321 §4.5.3.1.1)

_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 32_768, 8, 1
_SCRYPT_MEMORY: Final = 64 * 1024 * 1024  # bytes; N and r need 32 MiB and a little

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# RFC 5321 §4.1.2 and RFC 6531 §3.3: atoms with dots, or one quoted string.
_ATOMS: Final = re.compile(r"[^\x00-\x20\x7f()<>\[\]:;@\\,\".]+(?:\.[^\x00-\x20\x7f()<>\[\]:;@\\,\".]+)*")
_QUOTED: Final = re.compile(r'"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*"')


def normal_email(text: str) -> str:
    """The one form of an address: trimmed, domain as UTS-46 A-label, Unicode lower case, NFC last (§2).

    RemoteProtocolError when it is no e-mail address.
    """
    trimmed = text.strip()
    if len(trimmed) > MAX_EMAIL:
        raise RemoteProtocolError(f"an e-mail address over {MAX_EMAIL} bytes")
    local, at, domain = trimmed.rpartition("@")
    if not at or not local:
        raise RemoteProtocolError("an e-mail address is name@domain")
    normal = unicodedata.normalize("NFC", f"{local}@{normal_domain(domain)}".lower())
    _check_local(normal.rpartition("@")[0])
    if _size(normal) > MAX_EMAIL:
        raise RemoteProtocolError(f"an e-mail address over {MAX_EMAIL} bytes")
    return normal


def normal_domain(text: str) -> str:
    """A domain's lower-case A-label form, UTS-46 non-transitional; RemoteProtocolError when it is none.

    What is ASCII already stays as the DNS has it; IDNA 2008's narrower lists are not asked: its callers
    compare addresses that are in use, some of which (r3---x.example, emoji) IDNA 2008 refuses.
    """
    if len(text) > MAX_DOMAIN:  # before mapping it, which takes longer the longer it is
        raise RemoteProtocolError("not a domain's name")
    try:
        mapped = text if text.isascii() else idna.uts46_remap(text, std3_rules=True, transitional=False)
        labels = [_a_label(label) for label in mapped.lower().split(".")]
    except (idna.IDNAError, UnicodeError):
        raise RemoteProtocolError("not a domain's name") from None
    domain = ".".join(labels)
    if len(domain) > MAX_DOMAIN or not all(map(_LABEL.fullmatch, labels)):
        raise RemoteProtocolError("not a domain's name")
    return domain


def _a_label(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")


def email_hash(text: str) -> str:
    """The hash that handshakes name a sender by: scheme SC_N32768_R8_P1_L32_B64 (§2). It costs 0.15 s."""
    normal = normal_email(text).encode()
    digest = bindings.crypto_pwhash_scryptsalsa208sha256_ll(
        normal, normal, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P, KEY_BYTES, _SCRYPT_MEMORY
    )
    return base64.b64encode(digest).decode("ascii")


def email_index(vault_key: bytes, text: str) -> bytes:
    """The owner's own 32-byte name for an e-mail address, by which incoming mail finds its handshake (§2)."""
    key = kdf(vault_key, "email-index")
    return hashlib.blake2b(normal_email(text).encode(), digest_size=KEY_BYTES, key=key).digest()


def _check_local(local: str) -> None:
    if _ATOMS.fullmatch(local) is None and _QUOTED.fullmatch(local) is None:
        raise RemoteProtocolError("not the name part of an e-mail address")
    if _size(local) > MAX_LOCAL or any(map(_is_space, local)):
        raise RemoteProtocolError("not the name part of an e-mail address")


def _is_space(character: str) -> bool:
    """Spaces and controls beyond ASCII, which only serve to make two addresses look alike."""
    return character > "\x7f" and unicodedata.category(character) in {"Zs", "Zl", "Zp", "Cc", "Cs"}


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
