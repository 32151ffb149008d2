"""What a provider found out about a message that lay in its mailbox (RFC 8601): its own field is believed and
nobody else's. Nothing is checked here.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import authres  # type: ignore[import-untyped]  # no stubs exist

from node.mailauth.header import MAX_HEADER_BYTES
from node.mailauth.judgement import Dmarc, Judgement, Proof, Spf
from node.mailauth.results import END, FIELD, header_end
from protocol.email import normal_domain
from protocol.errors import RemoteProtocolError

MAX_FIELD_BYTES: Final = 4_096
"""Of a field; a provider's has 600. The library takes time with the square."""

MAX_FIELDS: Final = 8
"""Fields in a block: some providers have one for each method."""

MAX_RESULTS: Final = 32
"""Results in a field."""

MAX_DEPTH: Final = 4
"""Comments within comments."""

NOT_SAID: Final = "the provider says nothing"

SPF_WORDS: Final = frozenset({"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"})
DMARC_WORDS: Final = frozenset({"pass", "fail", "none", "temperror", "permerror"})

_WORD: Final = re.compile(r"[a-z]{1,20}")
_FOLD: Final = re.compile(END + rb"?[ \t]+")
_SOUND: Final = re.compile(r"[ -~]*")
_MARK: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\\.|["()\\]')
_GAP: Final = re.compile(r"(?:\A|[; ]|(?:\A|[; ])[a-z-]{1,20}=[a-z]{1,20})\Z")
"""Beside a comment; some providers have one right after a result: `dmarc=pass(p=reject)`."""

_VALUE: Final = re.compile(r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]*@)?([A-Za-z0-9._-]+)", re.ASCII)


def provider_results(raw: bytes, authserv_ids: frozenset[str]) -> Judgement:
    """What the topmost block of fields says, as far as it has one of these names (lower case), each once:
    a provider puts its own above all that it was given, and takes others with its name out (§5). Raises
    nothing: what can't be read says nothing. What DMARC asks for the provider has weighed itself.
    """
    found: list[Any] = []
    seen: set[str] = set()
    for value in _topmost(raw):
        field = _parse(value)
        if field is None or field.authserv_id not in authserv_ids - seen:
            break
        seen.add(field.authserv_id)
        found += field.results
    return _judgement(found)


def _topmost(raw: bytes) -> Iterator[bytes]:
    """The values of fields that stand one right below the other, from the first one on."""
    at = None
    for count, field in enumerate(FIELD.finditer(raw, 0, min(header_end(raw), MAX_HEADER_BYTES))):
        if count == MAX_FIELDS or (at is not None and field.start() != at):
            return
        at = field.end()
        yield field[1]


def _parse(value: bytes) -> Any:
    """As authres reads it; None for what can't be read, or could be read in two ways."""
    if len(value) > MAX_FIELD_BYTES:
        return None
    text = _FOLD.sub(b" ", value).strip().decode("ascii", "replace")
    try:
        text = _without_comments(text)
        if text.count(";") > MAX_RESULTS:
            return None
        return authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {text}")
    except Exception:  # noqa: BLE001 - authres may raise anything on hostile input
        return None


def _without_comments(text: str) -> str:
    """A comment stands between two words, or after a result: one within another word is a sender's, who wants
    half of his domain not to be read. Quotes in a comment are read in two ways. Raises RemoteProtocolError
    for both.
    """
    if not _SOUND.fullmatch(text):
        raise RemoteProtocolError("not in ASCII")
    pieces, depth, at = [], 0, 0
    for found in _MARK.finditer(text):
        mark, alone = found[0][0], len(found[0]) == 1
        if mark == "(":
            if not depth:
                pieces.append(text[at : found.start()])
                _require_gap(pieces[-1])
            depth += 1
        elif mark == ")":
            depth, at = depth - 1, found.end()
            if not depth:
                _require_gap(text[at : at + 1])
        elif alone or (mark == '"') == bool(depth):  # quotes stand outside of comments, backslashes inside
            raise RemoteProtocolError("a quote that can be read in two ways")
        if not 0 <= depth <= MAX_DEPTH:
            raise RemoteProtocolError("brackets that don't fit")
    if depth:
        raise RemoteProtocolError("a comment without an end")
    return "".join([*pieces, text[at:]]).rstrip("; ")


def _require_gap(beside: str) -> None:
    if not _GAP.search(beside):
        raise RemoteProtocolError("a comment in a word")


def _judgement(results: Sequence[Any]) -> Judgement:
    signers, proven = [], []
    spf, dmarc = Spf("none", "", NOT_SAID), Dmarc("none", "", "none")
    for result in results:
        if result.method == "dkim":
            domain = _domain(result, "header", "d") or _domain(result, "header", "i")
            if domain:
                signers.append(f"{domain}: {result.result if result.result == 'pass' else _failed(result)}")
                proven += [domain] * (result.result == "pass")
        elif result.method == "spf" and not spf.domain and result.result in SPF_WORDS:
            spf = Spf(result.result, _domain(result, "smtp", "mailfrom") or _domain(result, "smtp", "helo"))
        elif result.method == "dmarc" and not dmarc.domain and result.result in DMARC_WORDS:
            dmarc = Dmarc(result.result, _domain(result, "header", "from"), "none")
            proven += [dmarc.domain] * (result.result == "pass" and dmarc.domain != "")
    return Judgement(Proof(tuple(dict.fromkeys(proven)), (), tuple(signers)), spf, dmarc)


def _failed(result: Any) -> str:
    return f"fail ({result.result})" if _WORD.fullmatch(result.result) else "fail"


def _domain(result: Any, kind: str, name: str) -> str:
    """A property's domain in normal form; "" where there is none, or several."""
    values = {p.value for p in result.properties if (p.type, p.name) == (kind, name)}
    found = _VALUE.fullmatch(values.pop() or "") if len(values) == 1 else None
    try:
        return normal_domain(found[1]) if found else ""
    except RemoteProtocolError:
        return ""
