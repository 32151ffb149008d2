"""What an owner and one sender derive from each other's pair keys without a message (protocol.md §5, §11).

No handshake content and no letters here: only tags and keys.
"""

from dataclasses import dataclass
from typing import Final

from protocol.errors import LocalProtocolError
from protocol.kdf import kdf
from protocol.keys import SigningKey, x25519

GRANT_BYTES: Final = 16  # A grant names one acceptance; enough that two never meet by chance.
INVITATION_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Pair:
    """The pair secret of one direction: what `owner` lets `sender` do. Both sides hold the same."""

    secret: bytes

    @classmethod
    def derive(
        cls,
        my_pair_private: bytes,
        their_pair_public: bytes,
        owner_pair_public: bytes,
        sender_pair_public: bytes,
        owner_address: str,
        sender_address: str,
    ) -> "Pair":
        """Derive the secret of the direction owner → sender's use; "me" may be either of the two.

        Raises RemoteProtocolError for a key of low order, LocalProtocolError if the other's key is
        neither the owner's nor the sender's.
        """
        if their_pair_public not in (owner_pair_public, sender_pair_public):
            raise LocalProtocolError("the other's pair key belongs to neither end of this pair")
        shared = x25519(my_pair_private, their_pair_public)
        items = (owner_pair_public, sender_pair_public, owner_address, sender_address)
        return cls(kdf(shared, "pair-secret", *items))

    @property
    def tag(self) -> bytes:
        """Under which a host keeps the handshake, 32 bytes; says nothing about either end."""
        return kdf(self.secret, "tag")

    @property
    def box_key(self) -> bytes:
        """Encrypts the handshake at a host (`held/1`)."""
        return kdf(self.secret, "handshake-box")

    def delivery_key(self, grant: bytes, peer_id: bytes) -> SigningKey:
        """The key with which the sender proves itself at the node `peer_id` under this grant (§6)."""
        if len(grant) != GRANT_BYTES:
            raise LocalProtocolError(f"a grant has {GRANT_BYTES} bytes, not {len(grant)}")
        return SigningKey.from_seed(kdf(self.secret, "delivery", grant, peer_id))


def invitation_delivery_key(secret: bytes, owner_address: str) -> SigningKey:
    """The key that whoever opens a one-time invitation uses instead of a stamp (§5)."""
    if len(secret) != INVITATION_SECRET_BYTES:
        raise LocalProtocolError(
            f"an invitation's secret has {INVITATION_SECRET_BYTES} bytes, not {len(secret)}"
        )
    return SigningKey.from_seed(kdf(secret, "invitation", owner_address))
