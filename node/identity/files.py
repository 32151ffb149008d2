"""What of an identity stands on disk: three private files, each sealed under the database key. The root is
never among them. What the keys are used for is for others to know.
"""

from typing import Final, Protocol

import nacl.utils

from node.runtime.errors import NodeError
from node.runtime.home import Home, read_private, write_private
from protocol.cbor import Value, encode
from protocol.errors import ProtocolError
from protocol.fields import Fields
from protocol.kdf import KEY_BYTES
from protocol.keys import Secrets
from protocol.prekeys import FIRST_WEEK, WEEK_MS, Chain, week_of

KEEP_LINK_MS: Final = 40 * 86_400_000
"""40 days after its week ended a prekey link is destroyed (protocol §2): letters live for 30, and a
host may need some days more to hand them over."""

FORM: Final = 1
"""Version of what the files hold; a later one is not guessed at."""

_IDENTITY: Final = b"identity.key"
_PREKEY: Final = b"prekey.key"
_PEER: Final = b"peer.key"


class Sealer(Protocol):
    """The part of the database key that is used here; `context` binds a sealing to its file."""

    def seal(self, context: bytes, data: bytes) -> bytes: ...

    def open(self, context: bytes, data: bytes) -> bytes:
        """Raises NodeError where the sealing does not hold."""
        ...


def exists(home: Home) -> bool:
    """Whether an identity was made in this home."""
    return home.identity_file.exists()


def create(home: Home, key: Sealer, root: bytes, now: int, generation: int = 0) -> None:
    """Derive an identity from its root (32 bytes) and write its files; the same for a new one and for one
    recovered from its words. `now` in Unix ms: letters sealed in the last 40 days can be opened.

    The identity file comes last: with it the identity exists. Raises NodeError `identity-exists`.
    """
    if exists(home):
        raise NodeError(
            "identity-exists",
            f"there is an identity in {home.path} already",
            "choose another --home for a second one",
        )
    home.create()
    start = Chain.start(root, generation)
    write_chain(home, key, start.advance(max(start.week, oldest_week(now))))
    if not home.peer_key_file.exists():
        create_peer_key(home, key)
    write_private(
        home.identity_file, key.seal(_IDENTITY, encode(_secrets_map(Secrets.derive(root, generation))))
    )


def create_peer_key(home: Home, key: Sealer) -> bytes:
    """Make the libp2p key of this installation, which says nothing of its owner; returns its 32-byte seed.
    A bootstrap node has only that. Raises NodeError `peer-key-exists`.
    """
    if home.peer_key_file.exists():
        raise NodeError(
            "peer-key-exists",
            f"there is a node in {home.path} already",
            "choose another --home for another one",
        )
    home.create()
    seed = nacl.utils.random(KEY_BYTES)
    write_private(home.peer_key_file, key.seal(_PEER, seed))
    return seed


def load_peer_key(home: Home, key: Sealer) -> bytes:
    """The 32-byte seed of this installation's libp2p key. Raises NodeError."""
    try:
        seed = key.open(_PEER, read_private(home.peer_key_file))
    except FileNotFoundError:
        raise _missing(home, "peer.key") from None
    if len(seed) != KEY_BYTES:
        raise _damaged("peer.key")
    return seed


def load_secrets(home: Home, key: Sealer) -> Secrets:
    """The keys derived from the root. Raises NodeError."""
    try:
        fields = _read(key.open(_IDENTITY, read_private(home.identity_file)), "identity.key")
        return Secrets(
            generation=fields.int("generation"),
            identity_seed=fields.bytes("identity", length=KEY_BYTES),
            pair_key=fields.bytes("pair", length=KEY_BYTES),
            account_master=fields.bytes("accounts", length=KEY_BYTES),
            vault_key=fields.bytes("vault", length=KEY_BYTES),
            next=fields.bytes("next", length=KEY_BYTES),
        )
    except FileNotFoundError:
        raise NodeError(
            "no-identity", f"there is no identity in {home.path} yet", "make one with: mailio init"
        ) from None
    except ProtocolError:
        raise _damaged("identity.key") from None


def load_chain(home: Home, key: Sealer) -> Chain:
    """The oldest prekey link that we still have. Raises NodeError."""
    try:
        fields = _read(key.open(_PREKEY, read_private(home.prekey_file)), "prekey.key")
        return Chain(fields.int("week", least=FIRST_WEEK), fields.bytes("link", length=KEY_BYTES))
    except FileNotFoundError:
        raise _missing(home, "prekey.key") from None
    except ProtocolError:
        raise _damaged("prekey.key") from None


def write_chain(home: Home, key: Sealer, chain: Chain) -> None:
    """Replace the link by a later one: the file is renamed over the old, which is gone with that."""
    data: dict[str, Value] = {"form": FORM, "week": chain.week, "link": chain.link}
    write_private(home.prekey_file, key.seal(_PREKEY, encode(data)))


def oldest_week(now: int) -> int:
    """The first week whose link is still needed at `now` (Unix ms): it ended less than 40 days ago, or is yet
    to end. Never before the chain's start.
    """
    return max(FIRST_WEEK, week_of(max(0, now - KEEP_LINK_MS)))


def link_ends(week: int) -> int:
    """When (Unix ms) the link of this week is to be destroyed."""
    return (week + 1) * WEEK_MS + KEEP_LINK_MS


def _secrets_map(secrets: Secrets) -> dict[str, Value]:
    return {
        "form": FORM,
        "generation": secrets.generation,
        "identity": secrets.identity_seed,
        "pair": secrets.pair_key,
        "accounts": secrets.account_master,
        "vault": secrets.vault_key,
        "next": secrets.next,
    }


def _read(data: bytes, name: str) -> Fields:
    fields = Fields.decode(data, name)
    if fields.int("form") != FORM:
        raise NodeError(
            f"{name.partition('.')[0]}-newer",
            f"{name} was written by a newer version",
            "install that version",
        )
    return fields


def _missing(home: Home, name: str) -> NodeError:
    return NodeError(
        "key-file-missing",
        f"{name} is missing in {home.path}",
        "put it back from a backup, or recover into a new --home with: mailio init --recover",
    )


def _damaged(name: str) -> NodeError:
    return NodeError(
        "key-file-damaged",
        f"{name} is damaged",
        "put it back from a backup, or recover into a new --home with: mailio init --recover",
    )
