import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalProtocolError
from protocol.kdf import kdf
from protocol.keys import x25519_public
from protocol.prekeys import FIRST_WEEK, MAX_STEPS, WEEK_MS, Chain, week_of

CHAIN = Chain.start(bytes(32))


def test_the_chain_is_the_formula_of_the_text() -> None:
    link = kdf(kdf(kdf(bytes(32), "prekey-chain", 0), "prekey-next"), "prekey-next")
    assert CHAIN.advance(2_902) == Chain(2_902, link)
    assert CHAIN.private(2_902) == kdf(link, "prekey")
    assert CHAIN.public(2_902) == x25519_public(kdf(link, "prekey"))


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_later_link_gives_the_same_prekeys_and_no_older_ones(steps: int, more: int) -> None:
    later = CHAIN.advance(FIRST_WEEK + steps)
    assert later.private(later.week + more) == CHAIN.private(FIRST_WEEK + steps + more)
    with pytest.raises(LookupError):
        later.private(later.week - 1)


def test_weeks_centuries_away_cost_nothing() -> None:
    assert CHAIN.advance(FIRST_WEEK + MAX_STEPS).week == FIRST_WEEK + MAX_STEPS
    for week in (FIRST_WEEK + MAX_STEPS + 1, 2**53 - 1, -1):
        with pytest.raises(LookupError):
            CHAIN.public(week)


def test_weeks_are_counted_from_1970() -> None:
    assert [week_of(ms) for ms in (0, WEEK_MS - 1, WEEK_MS, 1_795_392_000_000)] == [0, 0, 1, 2_968]


def test_each_generation_has_a_chain_of_its_own() -> None:
    assert Chain.start(bytes(32), 1).link != CHAIN.link


@pytest.mark.parametrize("week, link", [(FIRST_WEEK - 1, bytes(32)), (FIRST_WEEK, bytes(31))])
def test_a_broken_link_is_refused(week: int, link: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        Chain(week, link)


def test_printing_shows_no_link() -> None:
    assert repr(CHAIN) == f"Chain(week={FIRST_WEEK})"
