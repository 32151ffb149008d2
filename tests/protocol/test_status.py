import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import status
from protocol.errors import RemoteProtocolError
from protocol.status import Status

OURS = {value.code for value in vars(status).values() if isinstance(value, Status)}


def test_the_table_of_codes() -> None:
    assert {
        "2.0.0", "4.2.2", "4.3.0", "4.3.1", "4.3.2", "4.4.1", "4.8.1", "4.8.3", "4.8.9", "4.8.10", "5.1.1",
        "5.2.3", "5.3.2", "5.6.0", "5.7.1", "5.8.1", "5.8.2", "5.8.3",
    } == OURS  # fmt: skip


@pytest.mark.parametrize("code", sorted(OURS))
def test_each_code_reads_back_and_has_words_of_its_own(code: str) -> None:
    parsed = Status.parse(code)
    assert parsed == Status(code)
    assert str(parsed) == code
    assert parsed.category == int(code[0])
    assert parsed.text not in {Status("2.9.9").text, Status("4.9.9").text, Status("5.9.9").text}


def test_unknown_codes_live_on() -> None:
    parsed = Status.parse("4.8.999")
    assert (parsed.code, parsed.category, parsed.text) == ("4.8.999", 4, "not now, later")


@pytest.mark.parametrize(
    "code",
    ["", "2", "2.0", "3.0.0", "2.0.0.0", "2.00.0", "2.0.1000", " 2.0.0", "2.0.0\n", "٢.0.0", 200, None],
)
def test_junk_is_refused(code: object) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Status.parse(code)
    assert caught.value.status == status.MALFORMED


@given(st.text(max_size=12))
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert Status.parse(text).code == text
