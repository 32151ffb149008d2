"""The book of what letters refer to and is not here, or not whole, yet. Who gets it, and from where, is for
others (exchange); a letter whose row is gone has everything, or never will.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from node.storage import Batch, Store
from node.storage.schema import MISSING

State = Literal["wanted", "waiting", "expired", "damaged"]

STATES: Final[dict[State, int]] = {"wanted": 0, "waiting": 1, "expired": 2, "damaged": 3}
"""The numbers that stand for them in the store."""


_ASK: Final = "ask its sender to send it again"

REMEDIES: Final[dict[State, str]] = {"wanted": "", "waiting": "", "expired": _ASK, "damaged": _ASK}
"""What a person can do where fetching it is in vain."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Content `n` (of a letter's refs, from 0) of a letter by the owner at `author`. `wanted` is fetched by
    itself, `waiting` once it is asked for, `expired` its sender has no more, `damaged` is not what the letter
    says; `detail` says what is the matter.
    """

    letter: bytes
    n: int
    author: str
    state: State
    detail: str = ""


class MissingBook:
    """Rows by letter. What takes a batch adds to it only."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, batch: Batch, missing: Missing) -> None:
        row: dict[str, Any] = {
            "author": missing.author,
            "state": STATES[missing.state],
            "detail": missing.detail,
        }
        batch.put(MISSING, (missing.letter, missing.n), row)

    def drop(self, batch: Batch, letter: bytes, n: int) -> None:
        batch.delete(MISSING, (letter, n))

    def get(self, letter: bytes, n: int) -> Missing | None:
        row: Any = self._store.get(MISSING, (letter, n))
        return None if row is None else _missing((letter, n), row)

    def of(self, letter: bytes) -> dict[int, Missing]:
        """What is missing of a letter, by number."""
        rows: Any = self._store.walk(MISSING, (letter,))
        return {key[1]: _missing(key, row) for key, row in rows}

    def others(self, missing: Missing) -> bool:
        """Whether more than this is missing of its letter."""
        rows = self._store.scan(MISSING, (missing.letter,), limit=2)
        return any(key[1] != missing.n for key, _ in rows)

    def all(self) -> Iterator[Missing]:
        """Everything, oldest letters first."""
        rows: Any = self._store.walk(MISSING)
        return (_missing(key, row) for key, row in rows)


_NAMES: Final = {number: state for state, number in STATES.items()}


def _missing(key: Any, row: Any) -> Missing:
    return Missing(
        letter=key[0],
        n=key[1],
        author=row["author"],
        state=_NAMES[row["state"]],
        detail=row["detail"],
    )
