"""This room's faults, worded for the person who meets them.

NodeError
├── HandshakeError     the act is refused, and why
UsageError
└── WhoError           whom it is about can't be told
"""

from node.runtime.errors import NodeError, UsageError


class HandshakeError(NodeError):
    """An act that can't be done as things stand."""


class WhoError(UsageError):
    """Nobody, or more than one, is meant."""


def oneself() -> WhoError:
    return WhoError("oneself", "that is your own address", "name someone else: see mailio contact list")


def no_request_by_mail(email: str) -> HandshakeError:
    return HandshakeError(
        "email-handshake",
        f"{email} is an e-mail address: ordinary mail needs nobody's leave",
        f"just write to them: mailio send {email}",
    )


def ambiguous(text: str) -> WhoError:
    return WhoError("ambiguous", f"more than one handshake begins with {text}", "give more of it")


def revoked(who: str) -> HandshakeError:
    return HandshakeError(
        "revoked", f"you have revoked {who}", f"let them write again first: mailio handshake accept {who}"
    )


def unfit_keys(who: str) -> HandshakeError:
    return HandshakeError(
        "unfit-keys",
        f"the keys that {who} publishes can't be used",
        "ask them on another way; nothing was done",
    )


def pause_needs_type() -> WhoError:
    return WhoError(
        "every-needs-type", "a pause between letters needs a type of signup or server", "add: --type signup"
    )


def past() -> WhoError:
    return WhoError(
        "until-past", "an acceptance can't end before it begins", "name a later time: --until 90d"
    )


def long_note(most: int) -> WhoError:
    return WhoError(
        "note-too-long", f"a note has at most {most} bytes", "shorten it, and write more when accepted"
    )


def key_changed(who: str) -> HandshakeError:
    return HandshakeError(
        "key-changed",
        f"{who} shows other keys than those known before",
        "ask them on another way whether this is true; nothing was done",
    )
