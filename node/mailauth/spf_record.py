"""What the SPF records of a domain say of a client: read by pyspf, from answers of the DNS that are there
already. Nothing is looked up here; what is missing is named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import spf  # type: ignore[import-untyped]  # no stubs exist

from node.mailauth.judgement import Spf

MAX_RECORD_BYTES: Final = 4_096
"""Of one record; the RFC wants less than 450, large ones in use have 2,000 (RFC 7208 §3.4)."""

MAX_TERM: Final = 300
"""Bytes between two spaces: a name has 253. The library looks at one in quadratic time."""

MAX_PTR: Final = 10
"""Names of a client that are looked at (RFC 7208 §4.6.4)."""

MAX_VOID: Final = 2
"""Look-ups that may find nothing (RFC 7208 §4.6.4)."""

MAX_TEXT: Final = 100
"""Characters of a reason: a word of a hostile record may stand in it."""

NO_SENSE: Final = "a record that can't be read"

Question = tuple[str, str]
"""A type and a name; of PTR the client's address."""

Answers = Mapping[Question, tuple[Any, ...] | None]
"""What Resolver said; None where it could not look it up now."""

_ERRORS: Final = frozenset({"temperror", "permerror"})
_WORDS: Final = {
    "pass": "",
    "fail": "the client may not send for it",
    "softfail": "the client probably may not send for it",
    "neutral": "it says nothing of the client",
    "none": "no record is published",
}

_UNSHOWN: Final = re.compile(r"[^ -~]|[()\\]")


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom it is about: an address, the two parts of an e-mail address in normal form, the greeting."""

    client: str
    local: str
    domain: str
    helo: str


def evaluate(sender: Sender, answers: Answers) -> Spf | Question:
    """The outcome (RFC 7208 §4), or what has to be asked first. Raises nothing."""
    try:
        result, _, text = _Query(sender, answers).check()
        words = _UNSHOWN.sub("?", text.partition(": ")[2]) if result in _ERRORS else _WORDS[result]
    except _Missing as missing:
        return missing.question
    except Exception:  # noqa: BLE001 - pyspf may raise anything on hostile input
        return Spf("permerror", sender.domain, NO_SENSE)
    return Spf(result, sender.domain, words[:MAX_TEXT])


def record_bytes(answers: Answers) -> int:
    """Of all SPF records among the answers."""
    texts = (found for (kind, _), found in answers.items() if kind == "TXT" and found)
    return sum(len(text) for found in texts for text in _records(found))


class _Missing(Exception):  # noqa: N818 - no error, a question
    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


class _Query(spf.query):  # type: ignore[misc]  # no stubs exist
    """pyspf with our answers in the place of its look-ups, and within our limits."""

    def __init__(self, sender: Sender, answers: Answers) -> None:
        super().__init__(i=sender.client, s=f"{sender.local}@{sender.domain}", h=sender.helo)
        self.l, self.o, self.d = sender.local, sender.domain, sender.domain  # it splits at the first @
        self._answers = answers

    def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:
        """A list of values, as pyspf's own gives it; TXT each as a list of strings, SPF records alone."""
        question = qtype, self.c if qtype == "PTR" else name.lower().removesuffix(".")
        if question not in self._answers:
            raise _Missing(question)
        found = self._answers[question]
        if found is None:
            raise spf.TempError(f"{question[1]} could not be looked up")
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > MAX_VOID:
                raise spf.PermError(f"more than {MAX_VOID} look-ups that find nothing")
        if qtype != "TXT":
            return list(found)
        records = _records(found)
        _check(records)
        return [[record] for record in records]

    def validated_ptrs(self) -> list[str]:
        """What can't be looked up now is passed over (RFC 7208 §5.5)."""
        try:
            names = self.dns_ptr(self.i)[:MAX_PTR]
        except spf.TempError:
            return []
        return [name for name in names if self._is_of_client(name)]

    def _is_of_client(self, name: str) -> bool:
        try:
            return bool(self.cidrmatch(self.dns_a(name, self.A), self.cidrmax))
        except spf.TempError:
            return False

    def get_explanation(self, spec: str) -> None:
        """Not asked for: it is the sender's own words, for a refusal that is not given."""


def _records(texts: tuple[Any, ...]) -> list[bytes]:
    return [text for text in texts if text[:6].lower() == b"v=spf1"]


def _check(records: list[bytes]) -> None:
    for record in records:
        if len(record) > MAX_RECORD_BYTES or any(len(term) > MAX_TERM for term in record.split(b" ")):
            raise spf.PermError("a record too long to read")
