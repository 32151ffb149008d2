"""What is published at a key's name (RFC 6376 §3.6.1), and whether it may speak for a signature."""

from collections.abc import Sequence
from typing import Final, Protocol

from node.mailauth.tags import parse_base64, parse_list, parse_tags
from protocol.errors import RemoteProtocolError

MAX_RECORD_BYTES: Final = 4_096
"""Of a TXT record; an RSA key of 8,192 bits needs 1,400."""

MAX_KEYS: Final = 4
"""Keys at one name that are tried. The RFC leaves open what more than one mean (§3.6.2.2)."""

NO_KEY: Final = "no key is published"


class Claim(Protocol):
    """What a signature says of the key that it wants."""

    @property
    def algorithm(self) -> str: ...
    @property
    def domain(self) -> str: ...
    @property
    def identity(self) -> str: ...


def find_keys(records: Sequence[bytes], signature: Claim) -> tuple[bytes, ...]:
    """The keys among the records that may speak for the signature, as bytes: at least one.
    Raises RemoteProtocolError, with what is wrong with the last one, where none may.
    """
    keys, fault = [], RemoteProtocolError(NO_KEY)
    for record in records[: MAX_KEYS * 2]:
        try:
            keys.append(parse_key(record, signature))
        except RemoteProtocolError as found:
            fault = found
    if not keys:
        raise fault
    return tuple(keys[:MAX_KEYS])


def parse_key(record: bytes, signature: Claim) -> bytes:
    """Raises RemoteProtocolError for what is no key, or not one for this signature (§6.1.2)."""
    if len(record) > MAX_RECORD_BYTES:
        raise RemoteProtocolError("the key's record is too long")
    tags = parse_tags(record)
    if "p" not in tags or ("v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1")):
        raise RemoteProtocolError(NO_KEY)
    kind, _, hash_name = signature.algorithm.partition("-")
    if tags.get("k", "rsa") != kind or hash_name not in parse_list(tags.get("h", hash_name)):
        raise RemoteProtocolError("the key is for another algorithm")
    if not {"*", "email"}.intersection(parse_list(tags.get("s", "*"))):
        raise RemoteProtocolError("the key is not for mail")
    flags = parse_list(tags.get("t", ""))
    if "y" in flags:  # whoever tests is to be treated as if nothing were signed
        raise RemoteProtocolError("the key is for tests")
    if "s" in flags and signature.identity != signature.domain:
        raise RemoteProtocolError("the key is not for subdomains")
    key = parse_base64(tags["p"], "p")
    if not key:
        raise RemoteProtocolError("the key is revoked")
    return key
