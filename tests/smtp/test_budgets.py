"""How much mail of strangers comes in from one block and one domain, and that those who are known still get
in.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.smtp.budgets import BLOCK, DOMAIN, HOUR_MS, MAX_KNOWN, Budgets, Rate
from node.smtp.hops import Hops, Networks
from tests.kit.houses import Street
from tests.kit.posts import STELLA, TAKEN, Post, open_post

FULL = (450, "4.7.1")
FAR = "203.0.113."


@pytest.fixture
async def post(street: Street) -> Post:
    return await open_post(street)


async def flood(post: Post, count: int, domain: str = "{n}.example") -> list[tuple[int, str]]:
    """Letters of strangers; the answers, each once."""
    by = post.client.address
    replies = [await post.send(f"{n} by {by}", f"x@{domain.format(n=n)}") for n in range(count)]
    return list(dict.fromkeys(replies))


async def test_a_block_has_its_hour_and_no_more(post: Post, street: Street) -> None:
    assert [TAKEN] == await flood(post.at(f"{FAR}1"), BLOCK.letters)
    assert FULL == await post.at(f"{FAR}2").send("a neighbour")
    assert TAKEN == await post.at("203.0.114.1").send("from elsewhere")
    await post.accept(STELLA)
    assert TAKEN == await post.at(f"{FAR}3").send("of a friend", signed="stars.example")
    assert FULL == await post.at(f"{FAR}3").send("in a friend's name")
    await street.pass_time(61)
    assert TAKEN == await post.at(f"{FAR}4").send("a minute later")
    assert ["of a friend"] == post.lies()["inbox"]


async def test_a_domain_has_its_hour_whoever_brings_it(post: Post) -> None:
    for third in range(DOMAIN.letters // BLOCK.letters):
        assert [TAKEN] == await flood(post.at(f"198.51.{third}.1"), BLOCK.letters, "much.example")
    assert FULL == await post.at("198.51.100.1").send("more", "y@much.example")
    assert TAKEN == await post.at("198.51.100.1").send("another's", "y@little.example")


async def test_nobody_uses_up_a_domains_room_in_its_name(post: Post) -> None:
    for third in range(DOMAIN.letters // BLOCK.letters):
        await flood(post.at(f"198.51.{third}.1"), BLOCK.letters, "stars.example")
    assert FULL == await post.at("198.51.100.1").send("forged")
    assert TAKEN == await post.at("198.51.100.1").send("true", signed="stars.example")


async def test_who_brings_mail_of_many_is_not_bounded(street: Street) -> None:
    post = await open_post(street, trusted=("192.0.2.1",))
    assert [TAKEN] == await flood(post.at("192.0.2.1"), BLOCK.letters + 1)
    assert [TAKEN] == await flood(post.at("10.0.0.1"), BLOCK.letters + 1, "y{n}.example")


async def test_behind_a_relay_its_client_has_its_hour(street: Street) -> None:
    post = (await open_post(street, trusted=("192.0.2.1",))).at("192.0.2.1")
    received = {"Received": f"from x (x [{FAR}1]) by r.home.example; now"}
    replies = [await post.send(f"{n}", f"x@{n}.example", **received) for n in range(BLOCK.letters + 1)]
    assert [TAKEN] * BLOCK.letters + [FULL] == replies


def test_bytes_count_too() -> None:
    budgets, rate = Budgets(), Rate(100, 1_000)
    for _ in range(2):
        assert budgets.has(rate, "b", 0)
        budgets.take(rate, "b", 600, 0)
    assert not budgets.has(rate, "b", 0)
    assert not budgets.has(rate, "b", HOUR_MS // 10)
    assert budgets.has(rate, "b", HOUR_MS // 4)


def test_only_so_many_are_counted() -> None:
    budgets = Budgets()
    for n in range(MAX_KNOWN + 1):
        budgets.take(BLOCK, f"{n}", BLOCK.size, 0)
    assert [True, False] == [budgets.has(BLOCK, name, 0) for name in ("0", "1")]


@given(st.lists(st.integers(0, 2 * HOUR_MS), max_size=600).map(sorted))
def test_never_more_than_two_hours_worth_in_an_hour(arrivals: list[int]) -> None:
    budgets, rate, taken = Budgets(), Rate(5, 10**9), list[int]()
    for now in arrivals:
        if budgets.has(rate, "b", now):
            budgets.take(rate, "b", 1, now)
            taken.append(now)
    assert all(len([at for at in taken if 0 <= at - start <= HOUR_MS]) <= 2 * rate.letters for start in taken)


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("127.0.0.1", ""),
        ("192.168.1.7", ""),
        ("fd00::1", ""),
        ("192.0.2.1", ""),
        ("192.0.2.2", "192.0.2.0/24"),
        ("", ""),
        ("no address", ""),
    ],
)
def test_blocks_of_addresses(address: str, block: str) -> None:
    assert block == Hops(Networks.parse(["192.0.2.1"])).block(address)
