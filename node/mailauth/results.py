"""Authentication-Results fields (RFC 8601): ours is written, others' are taken out of a message. What a
provider's own say is read in provider.py.
"""

import re
from typing import Final

import authres  # type: ignore[import-untyped]  # no stubs exist
import authres.dmarc  # type: ignore[import-untyped]

from node.mailauth.judgement import Hop, Judgement, Spf

END: Final = rb"(?:\r\n|\r(?!\n)|\n)"
"""Of a line: programs differ on bare CR and LF, so either counts."""

FIELD: Final = re.compile(
    rb"(?:\A|(?<=[\r\n]))authentication-results[ \t]*:([^\r\n]*(?:"
    + END
    + rb"[ \t][^\r\n]*)*)(?:"
    + END
    + rb"|\Z)",
    re.IGNORECASE,
)
"""One field, and in a group what stands after its colon."""

_LOOSE: Final = re.compile(rb"(?:[ \t][^\r\n]*(?:" + END + rb"|\Z))+")

_BLANK: Final = re.compile(END + rb"(?=[\r\n])|\A(?=[\r\n])")

_DKIM: Final = {"pass": "pass", "fail": "fail", "later": "temperror"}
"""The words of Proof.results in those of RFC 8601 §2.7.1."""

_UNSHOWN: Final = re.compile(r"[^A-Za-z0-9 .,:@/+_=-]")
"""What nothing of ours has that could end a comment or a quoted string."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


def authentication_results(judgement: Judgement, authserv_id: str, hop: Hop) -> bytes:
    """One field, folded, with CRLF. `authserv_id` is this node's name. Its values are domains in normal form
    and words of ours: nothing else that a sender wrote goes in.
    """
    name = authserv_id if _TOKEN.fullmatch(authserv_id) else f'"{_UNSHOWN.sub("?", authserv_id)}"'
    results = [_dkim(result) for result in judgement.proof.results]
    if judgement.spf.domain:
        results.append(_spf(judgement.spf, hop))
    if judgement.dmarc.domain:
        dmarc = judgement.dmarc
        comment = f"disposition {dmarc.disposition}"
        results.append(
            authres.dmarc.DMARCAuthenticationResult(
                result=dmarc.result, result_comment=comment, header_from=dmarc.domain
            )
        )
    parts = [f"Authentication-Results: {name}", *(map(str, results) if results else ["none"])]
    return ";\r\n ".join(parts).encode("ascii") + b"\r\n"


def without_results(raw: bytes) -> bytes:
    """The message without any Authentication-Results field, all other bytes as they are: who reads it would
    believe that they are ours (RFC 8601 §5). Lines at its beginning that go on from none go too: they would
    go on from a field of ours that is put above. Raises nothing.
    """
    end, kept = header_end(raw), bytearray()
    loose = _LOOSE.match(raw, 0, end)
    start = at = loose.end() if loose else 0
    for found in FIELD.finditer(raw, start, end):
        _join(kept, raw[at : found.start()])
        at = found.end()
    if not at:
        return raw
    _join(kept, raw[at:])
    return bytes(kept)


def _join(kept: bytearray, more: bytes) -> None:
    """A bare CR and a bare LF that come to stand together stay two ends of lines."""
    if kept.endswith(b"\r") and more.startswith(b"\n"):
        kept += b"\n"
    kept += more


def header_end(raw: bytes) -> int:
    """Where its empty line begins; the whole length where there is none."""
    found = _BLANK.search(raw)
    return found.end() if found else len(raw)


def _dkim(result: str) -> authres.DKIMAuthenticationResult:
    """From a line as Proof.results has it."""
    domain, _, rest = result.partition(": ")
    word, _, reason = rest.partition(" ")
    return authres.DKIMAuthenticationResult(
        result=_DKIM[word],
        result_comment=_UNSHOWN.sub("", reason) or None,
        header_d=domain if "." in domain else None,
    )


def _spf(spf: Spf, hop: Hop) -> authres.SPFAuthenticationResult:
    comment = _UNSHOWN.sub("", spf.text) or None
    if hop.sender:
        return authres.SPFAuthenticationResult(
            result=spf.result, result_comment=comment, smtp_mailfrom=spf.domain
        )
    return authres.SPFAuthenticationResult(result=spf.result, result_comment=comment, smtp_helo=spf.domain)
