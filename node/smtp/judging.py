"""What is known of a letter's author, and what follows from it: refused, put off, taken, and into which
folder (protocol.md §6). Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.consent import Consent, Verdict
from node.letters import Mailbox, Summary
from node.mailauth import Hop, Judgement, aligned
from node.smtp.replies import NO_PROOF_YET, SEALED_ONLY, disowned, reply_to
from node.smtp.reply import Envelope, Reply
from protocol import status as codes
from protocol.addresses import OwnEmails
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError
from protocol.folder import Arrival as Facts
from protocol.folder import Relation, folder_for
from protocol.handshake import State, Type
from protocol.keys import MAILBOX_DOMAIN

NO_DISPOSITION: Final = "none"


@dataclass(frozen=True, slots=True)
class Looked:
    """A letter whose content was looked at. `author` in normal form, "" where From names none or several;
    `proven` is the author, if it was proven. One that was `fetched` its provider has taken already.
    """

    envelope: Envelope
    digest: bytes
    summary: Summary
    hop: Hop
    judgement: Judgement
    author: str
    proven: str
    fetched: bool

    @classmethod
    def at(
        cls,
        envelope: Envelope,
        digest: bytes,
        summary: Summary,
        hop: Hop,
        judgement: Judgement,
        *,
        fetched: bool = False,
    ) -> Looked:
        """A domain that says itself that a letter is not its own (DMARC) vouches for nobody in it."""
        author = author_of(summary)
        vouched = judgement.dmarc.result != "fail" and _vouched(author, judgement.domains)
        return cls(envelope, digest, summary, hop, judgement, author, author if vouched else "", fetched)

    @property
    def is_bulk(self) -> bool:
        """Whether a list sent it: it says so itself, or its bounces are told apart by recipient (VERP)."""
        return self.summary.bulk or any(_is_verp(self.envelope.sender, to) for to in self.envelope.recipients)


class Judge:
    """Reads consent and settings at the moment that it is asked."""

    def __init__(self, consent: Consent, mailbox: Mailbox, addresses: OwnEmails) -> None:
        self._consent = consent
        self._mailbox = mailbox
        self._addresses = addresses

    def disowns(self, letter: Looked) -> Reply | None:
        """The refusal that its author's domain asks for, whoever it claims to be. What a provider has taken
        already is never refused for that: it goes to spam.
        """
        dmarc = letter.judgement.dmarc
        return disowned(dmarc.domain) if dmarc.disposition == "reject" and not letter.fetched else None

    def verdict(self, letter: Looked, now: int) -> Verdict | Reply:
        """What consent says, or what to answer in place of taking it."""
        claimed = _claimed(letter)
        if any(map(is_sealed, claimed)):
            return SEALED_ONLY
        verdict = self._consent.judge_mail([letter.proven] if letter.proven else [], claimed, now)
        if verdict.status != codes.OK:
            return reply_to(verdict.status)
        return NO_PROOF_YET if self._undecided(letter, now) else verdict

    def is_stranger(self, letter: Looked, verdict: Verdict) -> bool:
        """Whether it is from nobody whom the owner knows."""
        return verdict.state is not State.ACCEPTED and letter.proven not in self._addresses

    def folder(self, letter: Looked, verdict: Verdict) -> str:
        accepted = verdict.state is State.ACCEPTED
        known = Relation.ACCEPTED if accepted else Relation.NONE
        read, recent = self._mailbox.habit(letter.proven) if accepted else (0, 0)
        return folder_for(
            Facts(
                relation=Relation.ONESELF if letter.proven in self._addresses else known,
                quarantined=letter.judgement.dmarc.disposition != NO_DISPOSITION,
                subscription=accepted and verdict.type in (Type.SIGNUP, Type.SERVER),
                recent=recent,
                recent_read=read,
                bulk=letter.is_bulk,
            )
        )

    def _undecided(self, letter: Looked, now: int) -> bool:
        """Whether it would go to the inbox if what can't be looked up now proves it. As a stranger's it would
        wait in `handshake`, and its real author would never know. A provider does not bring it again.
        """
        if letter.fetched or letter.proven or not _vouched(letter.author, letter.judgement.later):
            return False
        return letter.author in self._addresses or self._consent.state(letter.author, now) is State.ACCEPTED


def author_of(summary: Summary) -> str:
    """The one author in normal form; "" where there are none or several (§6: one From, one mailbox)."""
    return normal(summary.from_mailboxes[0]) if len(summary.from_mailboxes) == 1 else ""


def is_sealed(name: str) -> bool:
    """Whether it is a Mailio mailbox, in whose name nothing comes by SMTP (protocol §2)."""
    return name.endswith(f"@{MAILBOX_DOMAIN}")


def normal(address: str) -> str:
    """The normal form; "" for what is no address, such as a null sender, and can be nobody's name."""
    try:
        return normal_email(address)
    except RemoteProtocolError:
        return ""


def domain_of(email: str) -> str:
    return email.rpartition("@")[2]


def _claimed(letter: Looked) -> list[str]:
    """Everyone in whose name the letter comes."""
    authors = [letter.author] if letter.author else map(normal, letter.summary.from_mailboxes)
    return [name for name in (normal(letter.envelope.sender), *authors) if name]


def _vouched(author: str, domains: Sequence[str]) -> bool:
    """Whether one of these domains stands in for the author's (RFC 7489 §3.1.1)."""
    return bool(author and domains) and aligned(domain_of(author), domains)


def _is_verp(sender: str, recipient: str) -> bool:
    """Whether a return path names a recipient: `news-bounces+anna=example.org@lists.example`."""
    local, _, _ = sender.lower().rpartition("@")
    name, _, domain = recipient.lower().rpartition("@")
    return bool(name and domain) and f"{name}={domain}" in local
