"""The faults of protocol/, ours and a peer's kept apart; nothing else lives here.

ProtocolError
├── LocalProtocolError    our own caller asked for what the protocol does not have
└── RemoteProtocolError   what came from outside breaks the rules; carries the status its sender is told
"""

from protocol.status import MALFORMED, Status


class ProtocolError(Exception):
    """Any fault that protocol/ raises."""


class LocalProtocolError(ProtocolError):
    """Our caller's mistake: nothing of it may reach a peer."""


class RemoteProtocolError(ProtocolError):
    """Input from outside that breaks the rules, with the status that its sender is to be told."""

    def __init__(self, text: str, status: Status = MALFORMED) -> None:
        super().__init__(text)
        self.status = status
