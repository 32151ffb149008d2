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


def too_many_recipients(number: int, limit: int) -> OutboxError:
    text = f"the letter has {number} recipients; at most {limit} can be named"
    return OutboxError("too-many-recipients", text, "send several letters")


def no_smarthost(email: str) -> OutboxError:
    text = f"{email} is an ordinary e-mail address, and no mail server is set that takes letters there"
    remedy = "mailio config set smtp.smarthost smtp://USER@HOST:587, or smtp.direct true on a server"
    return OutboxError("no-smarthost", text, remedy)


def no_address(email: str) -> OutboxError:
    text = f"{email} is an ordinary e-mail address, and yours to write from is not set"
    return OutboxError("no-address", text, "mailio config set mail.addresses you@example.org")


def no_main_address() -> OutboxError:
    text = "none of your e-mail addresses is the one you write from: only whole domains are set"
    return OutboxError(
        "no-address", text, "name it first: mailio config set mail.addresses you@example.org,…"
    )


def not_yours(address: str) -> OutboxError:
    text = f"{address} is none of your addresses"
    return OutboxError("not-your-address", text, "name it: mailio config set mail.addresses …")


def needs_email_address(email: str) -> OutboxError:
    text = f"a letter to {email} can't come from an address at mailio.alt"
    return OutboxError("not-your-address", text, "choose your e-mail address as the sender")


def changed_meanwhile() -> OutboxError:
    text = "the address book changed while the letter was made ready"
    return OutboxError("recipient-changed", text, "send it again")


def too_large(size: int, limit: int, who: str) -> OutboxError:
    text = f"the letter to {who} has {size:,} bytes with its attachments; by ordinary mail {limit:,} can go"
    return OutboxError(
        "letter-too-large", text, "send less, or raise limits.mail_size if their servers take it"
    )


def too_large_there(size: int, limit: int, who: str) -> OutboxError:
    text = f"the letter has {size:,} bytes with its attachments; the mail server of {who} takes {limit:,}"
    return OutboxError("letter-too-large", text, "send less, or in several letters")


def attachment_too_large(size: int, limit: int, who: str) -> OutboxError:
    text = f"an attachment has {size:,} bytes; {who} takes {limit:,} at most"
    return OutboxError("attachment-too-large", text, "send it in parts")
