"""Whom a letter goes to: each recipient's route, and how each route's copy may show the others.

The address book says who is who (names); nothing is composed or queued here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from node.names import Discovered, Found, Held, Later, Names, No, Target
from node.outbox.letter import MAILIO, SMTP, Recipient
from protocol.keys import mailbox_of

Shown = tuple[tuple[str, str], ...]
"""(name, mailbox) as a Draft has them. What the owner calls people is nobody's business: no names."""


@dataclass(frozen=True, slots=True)
class Addressees:
    """Those of one letter, as typed and as the address book has them; `found` is whose their domains say that
    the other e-mail addresses are.
    """

    texts: tuple[str, ...]
    targets: tuple[Target, ...]
    found: Mapping[str, Discovered] = field(default_factory=dict)

    @classmethod
    def resolve(cls, names: Names, texts: Sequence[str]) -> Addressees:
        """Raises NodeError for who can't be told."""
        return cls(tuple(texts), tuple(names.resolve(text) for text in texts))

    def at_home(self, is_here: Callable[[str], bool], own: str) -> Addressees:
        """With those e-mail addresses that are the owner's and come here as the owner at `own`."""
        home = Target("mailio", own)
        found = (home if one.kind == "email" and is_here(one.address) else one for one in self.targets)
        return Addressees(self.texts, tuple(found))

    def discovered(self, found: Mapping[str, Discovered]) -> Addressees:
        """With those e-mail addresses that are Mailio owners' as these owners."""
        targets = (
            _owner(one, found.get(one.address)) if one.kind == "email" else one for one in self.targets
        )
        return Addressees(self.texts, tuple(targets), found)

    def __add__(self, other: Addressees) -> Addressees:
        found = {**self.found, **other.found}
        return Addressees(self.texts + other.texts, self.targets + other.targets, found)

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """One for each address, named as it was typed first."""
        found: dict[str, Recipient] = {}
        for text, target in zip(self.texts, self.targets, strict=True):
            route = MAILIO if target.kind == "mailio" else SMTP
            found.setdefault(target.address, Recipient(_shown(text, target), route, target.address))
        return tuple(found.values())

    @property
    def emails(self) -> tuple[str, ...]:
        """Those that are reached by ordinary mail, each once."""
        return tuple(one.address for one in self.recipients if one.route == SMTP)

    @property
    def unsure(self) -> frozenset[str]:
        """Those of them that may not be reached so after all."""
        return frozenset(email for email in self.emails if not isinstance(self.found.get(email), No))

    @property
    def routes(self) -> tuple[str, ...]:
        """The route of each as far as is known: mailio (sealed), smtp (open), later, or held."""
        return tuple(_route(one, self.found.get(one.address)) for one in self.targets)

    def in_sealed(self) -> Shown:
        """As the sealed copy shows them: everyone, who was found by an e-mail address by that."""
        return tuple(
            ("", one.email or (mailbox_of(one.address) if one.kind == "mailio" else one.address))
            for one in self.targets
        )

    def in_mail(self, names: Names) -> Shown:
        """As the ordinary copy shows them: a Mailio owner by e-mail address if the address book has one, else
        not at all (protocol.md §6).
        """
        emails = (
            one.address if one.kind == "email" else one.email or email_of(names, one.address)
            for one in self.targets
        )
        return tuple(("", email) for email in emails if email)

    def known(self, names: Names) -> dict[str, str]:
        """`@mailio.alt` mailbox of each Mailio owner → e-mail address that may stand in its place, or ""."""
        owners = [one for one in self.targets if one.kind == "mailio"]
        return {mailbox_of(one.address): one.email or email_of(names, one.address) for one in owners}


def _route(target: Target, found: Discovered | None) -> str:
    if target.kind == "mailio":
        return MAILIO
    return "later" if isinstance(found, Later) else "held" if isinstance(found, Held) else SMTP


def _owner(target: Target, found: Discovered | None) -> Target:
    if not isinstance(found, Found):
        return target
    return replace(target, kind="mailio", address=found.address, email=target.address)


def email_of(names: Names, address: str) -> str:
    """The first e-mail address of the contact with this Mailio address, "" for none."""
    name = names.name_of(address)
    return next(iter(names.contact(name).emails), "") if name is not None else ""


def named(recipients: Iterable[Recipient], most: int = 3) -> str:
    """Some of them in words, for an error."""
    found = [one.to for one in recipients]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def _shown(text: str, target: Target) -> str:
    """What the outbox calls a recipient: as typed, but a link by the address in it, since a link may
    hold an invitation's secret.
    """
    return target.address if target.link is not None else text
