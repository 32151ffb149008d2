"""The outbox's foreseeable faults, worded for a person.

NodeError
└── OutboxError    the letter named is not here, has ended, or there is no room for more
"""

from node.runtime.errors import NodeError


class OutboxError(NodeError):
    """What was asked of the outbox can't be done."""


def unknown_letter(what: str) -> OutboxError:
    return OutboxError("no-such-letter", f"the outbox has no letter {what}", "see: mailio outbox")


def ended_letter(what: str) -> OutboxError:
    text = f"letter {what} is no longer on its way"
    return OutboxError("letter-ended", text, "see what became of it with: mailio outbox --all")


def full_outbox(limit: int) -> OutboxError:
    return OutboxError("outbox-full", f"{limit} letters wait already", "cancel some: mailio outbox cancel ID")


def nothing_to_approve(what: str) -> OutboxError:
    return OutboxError("nothing-to-approve", f"letter {what} does not wait for you", "see: mailio outbox")


def no_recipient() -> OutboxError:
    return OutboxError("no-recipient", "the letter has no recipient", "name at least one: mailio send WHO")


def not_yet(what: str) -> OutboxError:
    text = f"{what} is an ordinary e-mail address, and the bridge to e-mail is not built yet"
    return OutboxError("no-bridge", text, "write to a Mailio address, a contact or a contact link")


def too_large(size: int, limit: int) -> OutboxError:
    text = f"the letter has {size:,} bytes; at most {limit:,} can be sent"
    return OutboxError("letter-too-large", text, "shorten it")
