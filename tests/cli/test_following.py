"""`mailio send` follows a letter until its author may switch off, or is told not to."""

import time
from typing import Any

import pytest

from node.cli.client import Question
from node.cli.delivery import outcome
from node.cli.send import follow
from node.cli.session import Session


def letter(attachments: str, state: str = "at-host") -> dict[str, Any]:
    recipient = {"to": "bob", "name": None, "address": "0x1", "route": "mailio", "state": state}
    more = {"code": "", "detail": "", "next": 0, "cause": "", "until": 0}
    return {"id": "01" * 16, "attachments": attachments, "recipients": [recipient | more]}


class Told(Session):
    """A running node that says these one after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        super().__init__()
        self.answers, self.asked = list(answers), 0

    def call(self, question: Question) -> Any:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes only where it is waited for."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_until_our_hosts_have_the_attachments() -> None:
    session = Told(letter("to-hosts"), letter("to-hosts"), letter("at-hosts"))
    found = follow(session, letter("to-hosts", "queued"), 30_000)
    assert (letter("at-hosts"), 3) == (found, session.asked)
    assert "the attachments lie at your hosts: you may switch off" == outcome(found, 0)[-1]


def test_no_longer_than_is_asked_for(no_waiting: list[float]) -> None:
    session = Told(letter("to-hosts"))
    found = follow(session, letter("to-hosts", "queued"), 30_000)
    assert no_waiting == [pytest.approx(30.0)]
    assert "leave your node on" in outcome(found, 0)[-1]


@pytest.mark.parametrize(
    ("attachments", "state"), [("none", "at-host"), ("here", "at-host"), ("to-hosts", "delivered")]
)
def test_nothing_is_waited_for_where_nothing_changes(
    no_waiting: list[float], attachments: str, state: str
) -> None:
    session = Told(letter(attachments, state))
    found = follow(session, letter(attachments, "queued"), 30_000)
    assert ([0.0], 1) == (no_waiting, session.asked)
    assert (attachments == "here") == ("no host of yours keeps them" in outcome(found, 0)[-1])
