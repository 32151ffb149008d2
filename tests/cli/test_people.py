"""Who a letter is from, and what became of one, as a person reads it."""

import sys

import pytest

from node.cli.delivery import outcome
from node.cli.mailbox import _person
from node.cli.send import routes_in_words

ADDRESS = "0x" + "ab" * 20
ID = "01a20577" + "0" * 24


@pytest.mark.parametrize(
    ("mailbox", "contact", "said"),
    [
        (f"{ADDRESS}@mailio.alt", "Alice", "Alice"),
        (f"{ADDRESS}@mailio.alt", None, ADDRESS),
        (f"Alice <{ADDRESS}@mailio.alt>", None, ADDRESS),
        ("Your Mailio node <mailer-daemon@mailio.alt>", None, "Your Mailio node"),
        ("Bob <bob@example.org>", None, "Bob <bob@example.org>"),
    ],
)
def test_nobody_names_himself(
    monkeypatch: pytest.MonkeyPatch, mailbox: str, contact: str | None, said: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert said == _person(mailbox, contact)


def recipient(**changes: object) -> dict[str, object]:
    fields = {
        "to": ADDRESS,
        "route": "mailio",
        "address": ADDRESS,
        "name": None,
        "state": "queued",
        "code": "",
        "detail": "",
    }
    return fields | {"next": 0, "cause": ""} | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "delivered", "name": "Alice"}, ["Alice: delivered; they decide"]),
        ({"state": "delivered"}, [f"{ADDRESS}: delivered; they decide"]),
        ({"next": 1}, [f"{ADDRESS}: waits, next try in a moment", "mailio outbox cancel 01a205770000"]),
        (
            {"next": 240_000, "code": "4.4.1", "detail": f"{ADDRESS} was not found yet", "name": "a b"},
            ["a b: waits, next try in 4 min: not found yet [4.4.1]", "cancel", "contact edit 'a b' 'LINK'"],
        ),
        (
            {"state": "held", "cause": "approval", "code": "4.8.1", "detail": "their key has changed"},
            ["held until you decide: their key has changed [4.8.1]", "mailio outbox approve 01a205770000"],
        ),
        ({"state": "held", "cause": "handshake"}, ["held until they accept you; they are asked"]),
        ({"state": "refused", "code": "5.8.2"}, ["refused: the recipient has revoked this sender [5.8.2]"]),
        ({"state": "cancelled", "detail": "cancelled by its author"}, [f"{ADDRESS}: cancelled"]),
    ],
)  # fmt: skip
def test_what_became_of_a_letter_and_the_way_out(changes: dict[str, object], said: list[str]) -> None:
    lines = outcome({"id": ID, "recipients": [recipient(**changes)]}, 0, "they decide")
    assert len(said) == len(lines)
    assert all(part in line for part, line in zip(said, lines, strict=True))


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"mailio": ["Bob"]}, []),
        (
            {"mailio": ["Bob"], "smtp": ["a@b.c", "d@e.f"]},
            ["as ordinary e-mail, which its mail servers can read, to a@b.c, d@e.f; sealed to the others"],
        ),
        (
            {"smtp": ["a@b.example"], "later": ["c@d.example"], "held": ["e@f.example"]},
            [
                "as ordinary e-mail, which its mail servers can read, to a@b.example",
                "sealed or as ordinary e-mail, which is looked up before it goes, to c@d.example",
                "held until you decide, for they were reached sealed before, to e@f.example",
            ],
        ),
    ],
)
def test_who_writes_is_told_how_it_goes(who: dict[str, list[str]], said: list[str]) -> None:
    assert said == list(routes_in_words(who))
