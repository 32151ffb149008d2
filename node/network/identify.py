"""libp2p's identify, both sides, with bounds: which program a peer runs, where it listens, what it
speaks. Nobody is believed about anyone but himself.
"""

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from libp2p.identity.identify.pb.identify_pb2 import Identify
from multiaddr import Multiaddr

from node.network.addresses import Scope, from_bytes, to_bytes
from protocol.errors import RemoteProtocolError

PROTOCOL: Final = "/ipfs/id/1.0.0"
PROTOCOL_VERSION: Final = "ipfs/0.1.0"
MAX_FRAME: Final = 16 * 1024
"""Bytes: upstream's own are 1 KB; other implementations add a signed record of their addresses."""
DEADLINE: Final = 5.0
"""Seconds for the one answer."""
MAX_AGENT: Final = 64
"""Characters kept of a program's name."""
MAX_PROTOCOLS: Final = 64
"""Protocols kept of what a peer says it speaks."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a peer says of itself."""

    agent: str
    addrs: tuple[str, ...]
    protocols: frozenset[str]


def encode(
    public_key: bytes, agent: str, addrs: list[str], protocols: list[str], seen_at: str, scope: Scope
) -> bytes:
    """Our own answer to one that is as near as `scope` and whom we see at multiaddr `seen_at`."""
    return Identify(
        protocol_version=PROTOCOL_VERSION,
        agent_version=agent,
        public_key=public_key,
        listen_addrs=to_bytes(addrs, scope),
        observed_addr=Multiaddr(seen_at).to_bytes() if seen_at else b"",
        protocols=protocols,
    ).SerializeToString()


def parse(data: bytes, scope: Scope) -> Identity:
    """A peer's answer, of one as near as `scope`. Raises RemoteProtocolError."""
    message = Identify()
    try:
        message.ParseFromString(data)
    except (DecodeError, ValueError) as error:
        raise RemoteProtocolError("malformed identify message") from error
    agent = "".join(c for c in message.agent_version[:MAX_AGENT] if c.isprintable())
    protocols = frozenset(message.protocols[:MAX_PROTOCOLS])
    return Identity(agent, from_bytes(message.listen_addrs, scope), protocols)
