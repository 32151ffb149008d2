"""Owners with real keys and records, the same in every run, for tests of the protocol and above it."""

import hashlib
from dataclasses import dataclass
from functools import cache

from protocol.identity import IdentityRecord, build_identity
from protocol.keys import Secrets, SigningKey
from protocol.pair import Pair
from protocol.prekeys import Chain

NOW = 1_795_000_000_000  # 18 November 2026, ms
GRANT = bytes(range(16))
PEER_ID = b"\x00\x24\x08\x01\x12\x20" + bytes(range(32))  # an Ed25519 peer's multihash


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner's secrets and its record as of NOW."""

    secrets: Secrets
    chain: Chain
    identity: IdentityRecord

    @property
    def key(self) -> SigningKey:
        return self.secrets.signing_key

    @property
    def public(self) -> bytes:
        return self.identity.public_key

    @property
    def address(self) -> str:
        return self.identity.address

    def private_of(self, week: int) -> bytes | None:
        """The private prekey of a week, None where it is gone."""
        try:
            return self.chain.private(week)
        except LookupError:
            return None

    def lets(self, sender: "Owner") -> Pair:
        """What this owner as such shares with a sender, derived at this owner's end."""
        mine, theirs = self.secrets.pair_public, sender.secrets.pair_public
        return Pair.derive(self.secrets.pair_key, theirs, mine, theirs, self.address, sender.address)

    def may_use(self, owner: "Owner") -> Pair:
        """The same pair derived at the sender's end: what `owner` lets this one do."""
        mine, theirs = self.secrets.pair_public, owner.secrets.pair_public
        return Pair.derive(self.secrets.pair_key, theirs, theirs, mine, owner.address, self.address)


@cache
def owner(name: str) -> Owner:
    """The owner of this name; its root is the name's SHA-256."""
    root = hashlib.sha256(name.encode()).digest()
    secrets, chain = Secrets.derive(root), Chain.start(root)
    return Owner(secrets, chain, build_identity(secrets, chain, price=6, created=NOW))
