"""Puts DKIM signatures on top of a message of ours (RFC 6376 §5). Whose keys they are, and where those are
published, is node.domains's.
"""

import base64
import hashlib
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.mailauth.body import relaxed_digest
from node.mailauth.header import Header, split_header
from node.mailauth.keys import find_keys
from protocol.errors import RemoteProtocolError

OVERSIGNED: Final = (
    *("from", "to", "cc", "reply-to", "subject", "date", "message-id", "in-reply-to", "references"),
    *("mime-version", "content-type", "content-transfer-encoding", "content-disposition"),
)
"""Listed once more than they stand: one added on the way breaks the signature (RFC 6376 §5.4, §8.15).
"""

SIGNED: Final = (
    *("sender", "list-id", "list-post", "list-help", "list-owner", "list-archive"),
    *("list-subscribe", "list-unsubscribe", "list-unsubscribe-post"),  # RFC 8058 §4 wants these two signed
)
"""Listed as often as they stand: a mailing list may add its own."""

MAX_LISTED: Final = 150
"""Names in h=; verifiers, ours too, look at no more than some hundreds."""

_LINE: Final = 72  # characters of a line of the field, about (RFC 5322 §2.1.1 wants 78 at most)
_SPACE: Final = re.compile(rb"[ \t]+")


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs for a domain. `sign` gives the signature of the bytes that are covered, as `algorithm`
    (rsa-sha256, ed25519-sha256) has it.
    """

    domain: str
    selector: str
    algorithm: str
    public: bytes  # as p= of its record has it
    sign: Callable[[bytes], bytes]

    @property
    def identity(self) -> str:
        return self.domain

    def is_published(self, records: Sequence[bytes]) -> bool:
        """Whether a verifier finds this key in the TXT records at its name."""
        try:
            return self.public in find_keys(records, self)
        except RemoteProtocolError:
            return False


def sign_message(raw: bytes, signers: Sequence[Signer]) -> bytes:
    """`raw` (CRLF line ends) under a DKIM-Signature of each signer, relaxed/relaxed. Raises
    RemoteProtocolError where the header can't be cut into fields that every verifier sees alike.
    """
    header = split_header(raw)
    listed = _listed(header)
    covered = b"".join(_relaxed(name, value) + b"\r\n" for name, value in _selected(header, listed))
    body_hash = base64.b64encode(relaxed_digest(raw, header.body_at)).decode()
    return b"".join([*(_field(signer, listed, body_hash, covered) for signer in signers), raw])


def over_digest(sign: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A signature of the SHA-256, as ed25519-sha256 has it (RFC 8463 §3)."""
    return lambda data: sign(hashlib.sha256(data).digest())


def _listed(header: Header) -> list[str]:
    """What h= names."""
    counts: dict[str, int] = {}
    for name, _ in header.fields:
        known = name.decode("ascii").lower()
        counts[known] = counts.get(known, 0) + 1
    if not counts.get("from"):
        raise RemoteProtocolError("no From to sign")
    over = [name for name in OVERSIGNED for _ in range(counts.get(name, 0) + 1)]
    listed = over + [name for name in SIGNED for _ in range(counts.get(name, 0))]
    if len(listed) > MAX_LISTED:
        raise RemoteProtocolError(f"more than {MAX_LISTED} fields to sign")
    return listed


def _selected(header: Header, listed: Sequence[str]) -> Iterator[tuple[bytes, bytes]]:
    """The fields in the order of h=, of several of a name the last first (RFC 6376 §5.4.2)."""
    left: dict[str, list[bytes]] = {}
    for name, value in header.fields:
        left.setdefault(name.decode("ascii").lower(), []).append(value)
    for known in listed:
        if values := left.get(known):
            yield known.encode(), values.pop()


def _relaxed(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.2, without the line's end."""
    return name.lower() + b":" + _SPACE.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _field(signer: Signer, listed: Sequence[str], body_hash: str, covered: bytes) -> bytes:
    """No t=: a clock that is wrong would make a good signature one of the future."""
    names = ":\r\n  ".join(
        ":".join(line.split()) for line in textwrap.wrap(" ".join(listed), _LINE, break_on_hyphens=False)
    )
    value = (
        f" v=1; a={signer.algorithm}; c=relaxed/relaxed;\r\n d={signer.domain};\r\n s={signer.selector};\r\n"
        f" h={names};\r\n bh={body_hash};\r\n b="
    )
    signature = base64.b64encode(signer.sign(covered + _relaxed(b"dkim-signature", value.encode()))).decode()
    folded = "\r\n  ".join(signature[at : at + _LINE] for at in range(0, len(signature), _LINE))
    return f"DKIM-Signature:{value}{folded}\r\n".encode()
