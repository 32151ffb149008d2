"""What an author reads of a letter that is late; of one that failed test_compose.py tells."""

from email import message_from_bytes, policy
from typing import Any

from node.letters import Failure, delay_notice
from protocol.status import Status
from tests.kit.owners import NOW

DAY = 86_400_000


def test_a_delay_notice_says_what_waits_why_and_until_when() -> None:
    late = [
        Failure("bob", Status("4.4.1"), "mx.example.net can't be reached", email="bob@example.net"),
        Failure("eve@example.com", Status("4.2.1"), "mx.example.com says: 450 4.2.1 Asleep"),
    ]
    original = b"From: a@example.org\r\nSubject: x\r\n\r\nSecret.\r\n"
    raw = delay_notice(
        ("", "a@example.org"), "Hello", NOW, late, NOW + 5 * DAY, original, NOW + 1, "1@mailio.alt"
    )
    told = message_from_bytes(raw, policy=policy.default)
    assert ("Delayed: Hello", "auto-replied") == (told["Subject"], told["Auto-Submitted"])
    words, report, head = told.iter_parts()
    text = words.get_content()
    for said in (
        "has not reached yet",
        "bob",
        "mx.example.net can't be reached (4.4.1)",
        "still trying, until",
    ):
        assert said in text
    parts: Any = report.get_payload()
    _, bob, eve = parts
    assert ("delayed", "4.4.1", "rfc822; bob@example.net") == (
        bob["Action"],
        bob["Status"],
        bob["Final-Recipient"],
    )
    assert ("delayed", "smtp; 450 4.2.1 Asleep") == (eve["Action"], eve["Diagnostic-Code"])
    assert ["Will-Retry-Until" in one for one in (bob, eve)] == [True, True]
    assert "Secret" not in head.get_content()
    assert b"\n" not in raw.replace(b"\r\n", b"")
