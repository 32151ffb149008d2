"""Nothing from others steers a terminal; durations are read strictly; times and sizes are said plainly."""

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.text import DAY_MS, HOUR_MS, MINUTE_MS, ago, clean, duration_ms, short_ids, size
from node.runtime.errors import UsageError

NOW = 1_795_400_000_000


@given(st.text(), st.booleans())
def test_what_is_cleaned_can_steer_nothing(text: str, lines: bool) -> None:
    allowed = "\n\t" if lines else ""
    for char in clean(text, lines=lines):
        if char not in allowed and char not in "\u200c\u200d":
            assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_what_people_write_stays(text: str) -> None:
    assert text == clean(text)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("a\x1b[2Jb", "a\ufffd[2Jb"),
        ("moc.\u202eknab", "moc.\ufffdknab"),
        ("line\r\nnext", "line\ufffd\ufffdnext"),
        ("\x9b31m", "\ufffd31m"),
        ("[red]bold[/red]", "[red]bold[/red]"),
    ],
)
def test_known_tricks(hostile: str, shown: str) -> None:
    assert shown == clean(hostile)


def test_a_letter_keeps_its_lines_and_no_carriage_returns() -> None:
    assert "a\nb\n\tc\ufffdd" == clean("a\r\nb\n\tc\rd", lines=True)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("30s", 30_000),
        ("15m", 15 * MINUTE_MS),
        ("12h", 12 * HOUR_MS),
        ("7d", 7 * DAY_MS),
        (" 2w ", 14 * DAY_MS),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert ms == duration_ms(text)


@pytest.mark.parametrize(
    "text", ["", "7", "d", "7 d", "-7d", "1.5h", "7D", "7days", "0s", "٣d", "999999w", "1d1h"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError):
        duration_ms(text)


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert duration_ms(text) > 0


@pytest.mark.parametrize(
    ("away", "said"),
    [(0, "now"), (5 * MINUTE_MS, "5 min ago"), (-2 * HOUR_MS, "in 2 h"), (3 * DAY_MS, "3 d ago")],
)
def test_how_long_ago(away: int, said: str) -> None:
    assert said == ago(NOW - away, NOW)


@given(st.integers(-(2**62), 2**62))
def test_any_time_can_be_said(then: int) -> None:
    assert ago(then, NOW)


def test_sizes() -> None:
    given = (0, 999, 1_000, 9_960, 15_200, 999_499, 999_500, 1_032_192)
    assert ["0 B", "999 B", "1.0 kB", "10 kB", "15 kB", "999 kB", "1.0 MB", "1.0 MB"] == [
        size(n) for n in given
    ]


@given(st.integers(0, 10**17))
def test_a_size_has_three_digits_at_most(count: int) -> None:
    assert len(size(count)) <= len("999 kB")


@given(st.lists(st.text("01", min_size=30, max_size=30), unique=True))
def test_short_ids_tell_apart(ids: list[str]) -> None:
    short = short_ids(ids)
    assert len(ids) == len(set(short.values()))
    assert all(one.startswith(short[one]) and len(short[one]) >= 12 for one in ids)
