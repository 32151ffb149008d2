"""What an IPFS daemon says, read strictly: CIDs in any of its spellings, its answers, its versions, its
refusals. Nothing is asked here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import base58

from protocol.errors import RemoteProtocolError
from protocol.unixfs import CID_BYTES, DAG_PB, RAW

MAX_WORDS: Final = 200
"""Characters of what a daemon says that a person is shown."""

MAX_CID_CHARS: Final = 80
"""Characters of a CID that is looked at: 36 bytes in hexadecimal have 73."""

_V0: Final = "Qm"
_V0_CHARS: Final = 46
_SHA_256: Final = b"\x12\x20"

_KNOWN: Final = ((0, 5), (0, 43))
"""The oldest and the newest Kubo whose RPC this was written for: from 0.5 on everything is a POST."""

_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.\d{1,4})?(?:[-+.].{0,80})?", re.ASCII)
_KUBO: Final = re.compile(r"(?:kubo|go-ipfs)/", re.ASCII)
_CIDS: Final = re.compile(r"[0-9A-Za-z_-]{40,}")
_PEER_ID: Final = re.compile(r"[0-9A-Za-z]{40,64}", re.ASCII)
_LACKS: Final = re.compile(r"\b(?:could not find|not found|ENOENT)\b")  # the last is js-ipfs's
_NOT_PINNED: Final = re.compile(r"\bnot pinned\b")


@dataclass(frozen=True, slots=True)
class Health:
    """What a daemon says of itself: `version` and `peer` (its peer id, "" where that is not told) are for
    showing. `warning` is a text for a person, "" where there is nothing to say.
    """

    version: str
    peer: str = ""
    warning: str = ""


def any_cid(text: object) -> bytes:
    """The 36 bytes (protocol/unixfs.py) of a CID in whichever spelling a daemon uses. Raises
    RemoteProtocolError for what is no CID, or one that no file of ours can have.
    """
    cid = b""
    if isinstance(text, str) and text.isascii() and len(text) <= MAX_CID_CHARS:
        try:
            cid = _decode(text)
        except (ValueError, binascii.Error):
            cid = b""
    if len(cid) != CID_BYTES or not cid.startswith((RAW, DAG_PB)):
        raise RemoteProtocolError("not a CID of a raw or dag-pb block by sha2-256")
    return cid


def _decode(text: str) -> bytes:
    """Raises ValueError. A CIDv0 is a bare multihash in base58 and always a node."""
    if text.startswith(_V0) and len(text) == _V0_CHARS:
        multihash = base58.b58decode(text)
        return DAG_PB + multihash[len(_SHA_256) :] if multihash.startswith(_SHA_256) else b""
    decode = _BASES.get(text[:1])
    return decode(text[1:]) if decode else b""


def _base32(text: str) -> bytes:
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def _base64url(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


_BASES: Final[Mapping[str, Callable[[str], bytes]]] = {
    "b": _base32,
    "B": _base32,
    "f": bytes.fromhex,
    "F": bytes.fromhex,
    "u": _base64url,
    "z": base58.b58decode,
}
"""By the letter of multibase."""


def pinned_in(answer: Any, cid: bytes) -> None:
    """That `pin/add` or `pin/rm` did it to this one. Raises RemoteProtocolError."""
    pins = _field(answer, "Pins", list)
    if cid not in {any_cid(one) for one in pins}:
        raise RemoteProtocolError("another CID than was asked for")


def is_recursive(answer: Any, cid: bytes) -> bool:
    """Whether `pin/ls` tells of a recursive pin of this one. Raises RemoteProtocolError."""
    keys = _field(answer, "Keys", dict)
    types = {any_cid(key): _field(pin, "Type", str) for key, pin in keys.items()}
    return types.get(cid) == "recursive"


def health(version: Any, identity: Any) -> Health:
    """From the answers to `version` and `id`, the latter None where it was refused. Raises
    RemoteProtocolError.
    """
    said = _field(version, "Version", str)
    peer = "" if identity is None else _field(identity, "ID", str)
    agent = "" if identity is None else _field(identity, "AgentVersion", str)
    return Health(shown(said), peer if _PEER_ID.fullmatch(peer) else "", _warning(said, agent))


def _warning(version: str, agent: str) -> str:
    """Whether this is a daemon that nobody has tried."""
    if agent and not _KUBO.match(agent):
        return f"{shown(agent)} is not Kubo; it is used all the same"
    found = _VERSION.fullmatch(version)
    oldest, newest = _KNOWN
    if found is None or not oldest <= (int(found[1]), int(found[2])) <= newest:
        known = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
        return f"Kubo {shown(version)} is not one of those that are known ({known}); it is used all the same"
    return ""


def says_lacking(message: str) -> bool:
    """Whether a refusal means that something is not there."""
    return bool(_LACKS.search(message))


def says_unpinned(message: str) -> bool:
    """Whether a refusal means that there is no such pin."""
    return bool(_NOT_PINNED.search(message))


def shown(text: str) -> str:
    """What a daemon says, for one line of ours: short, printable, and without CIDs, which are nobody's
    business.
    """
    line = "".join(char if char.isprintable() else " " for char in text[: 4 * MAX_WORDS])
    line = " ".join(_CIDS.sub("…", line).split())
    return line if len(line) <= MAX_WORDS else line[: MAX_WORDS - 1] + "…"


def _field(answer: Any, name: str, kind: type) -> Any:
    try:
        value = answer[name]
    except (LookupError, TypeError):
        value = None
    if not isinstance(value, kind):
        raise RemoteProtocolError(f"no {name} in the answer")
    return value
