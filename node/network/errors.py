"""Faults of the network room. What the peer did wrong carries the status that it is to be told.

NodeError
└── NetworkError            the network could not do what was asked
    ├── ListenFailed        an address can't be listened on
    │   └── NoSuchFamily    because the machine has none of its kind
    ├── BadAddress          text that is no address of a peer
    ├── PeerUnreachable     no connection or no answer in time; trying again later may help
    │   └── ChannelClosed   the other side ended the stream
    └── Busy                our own limits are full
RemoteProtocolError
└── PeerFault               the peer broke a bound, a deadline or a format; counted against it
"""

from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError


class NetworkError(NodeError):
    """The network could not do what was asked."""


class ListenFailed(NetworkError):  # noqa: N818 - the contract's name
    """An address that the configuration names can't be listened on."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(
            "listen-failed",
            f"can't listen on {address}: {why}",
            "end the program that uses it, or set another address with `mailio config set network.listen`",
        )


class NoSuchFamily(ListenFailed):
    """This machine has no addresses of that kind, IPv6 mostly."""


class BadAddress(NetworkError):  # noqa: N818 - the contract's name
    """Text that is no address of a peer."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "bad-address",
            f"{text[:200]!r} is no address of a node",
            "it looks like /ip4/192.0.2.1/tcp/4101/p2p/12D3Koo…",
        )


class PeerUnreachable(NetworkError):  # noqa: N818 - the contract's name
    """No connection, or no answer before the deadline."""

    def __init__(self, text: str) -> None:
        super().__init__("peer-unreachable", text)


class ChannelClosed(PeerUnreachable):
    """The other side ended the stream, or the connection went."""


class Busy(NetworkError):  # noqa: N818 - the contract's name
    """Our own limits are full; the peer may try again later (4.3.2)."""

    def __init__(self, text: str) -> None:
        super().__init__("busy", text)


class PeerFault(RemoteProtocolError):  # noqa: N818 - the contract's name
    """The peer broke a bound, a deadline or a format."""
