"""What every room shows of itself: its checks and its status. Displaying them is doctor's and api's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `mailio doctor`: what was looked at, how it stands, and what mends it."""

    check: str
    state: State
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Warning_:  # noqa: N801 - `Warning` is a built-in
    """One line of `mailio status`: something that the owner should know, with its remedy."""

    code: str
    text: str
    remedy: str = ""


class Room(Protocol):
    """A room as `app`, `api` and `doctor` see it."""

    async def checks(self) -> Sequence[Check]:
        """Look at everything that can be wrong here; may take seconds and use the network."""
        ...

    def status(self) -> Mapping[str, object]:
        """Say at once how things stand: fields for `status --json`, `warnings` among them."""
        ...


def many(count: int, what: str) -> str:
    """So many of what, in words: "1 letter", "2,000 letters"."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")
