"""The one-way chain of weekly X25519 prekeys (§2, §11): derivation only, links are kept elsewhere."""

from dataclasses import dataclass, field
from typing import Final

from protocol.errors import LocalProtocolError
from protocol.kdf import KEY_BYTES, kdf
from protocol.keys import x25519_public

WEEK_MS: Final = 604_800_000
FIRST_WEEK: Final = 2_900  # 2025-07-31: where every chain starts, before any node existed
MAX_STEPS: Final = 5_000  # weeks (95 years, 10 ms of work) ahead of a link: a hostile week number ends there


def week_of(ms: int) -> int:
    """The prekey week of a time in Unix ms: whole weeks of 604,800 s since 1970."""
    return ms // WEEK_MS


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain from one link on; older weeks can't be had from it."""

    week: int
    link: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.week < FIRST_WEEK or len(self.link) != KEY_BYTES:
            raise LocalProtocolError(f"a prekey link is 32 bytes, for week {FIRST_WEEK} or later")

    @classmethod
    def start(cls, root: bytes, generation: int = 0) -> "Chain":
        """The whole chain of a generation, from link[2900] on."""
        return cls(FIRST_WEEK, kdf(root, "prekey-chain", generation))

    def advance(self, week: int) -> "Chain":
        """The chain from `week` on, from which this one can't be had again; LookupError for another era."""
        if not self.week <= week <= self.week + MAX_STEPS:
            raise LookupError(f"week {week} can't be had from the link of week {self.week}")
        link = self.link
        for _ in range(week - self.week):
            link = kdf(link, "prekey-next")
        return Chain(week, link)

    def private(self, week: int) -> bytes:
        """The prekey of a week; LookupError when its link is destroyed or it is centuries away."""
        return kdf(self.advance(week).link, "prekey")

    def public(self, week: int) -> bytes:
        """The public half of `private`."""
        return x25519_public(self.private(week))
