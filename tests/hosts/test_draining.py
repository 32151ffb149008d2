"""What waits at a host is got once, and is acknowledged only when it is on disk here."""

import pytest
import trio

from protocol.host import Waiting
from protocol.letter import MIN_ENVELOPE
from protocol.pair import Pair
from protocol.status import OK
from tests.hosts.conftest import Opener
from tests.kit.hostnodes import HostNode, Uses, deposit, fit, start
from tests.kit.houses import House, Street
from tests.kit.wires import Act, Frame

DAY_S = 86_400.0


@pytest.fixture
async def uses(street: Street, alice: House, bob: House, open_hosts: Opener) -> Uses:
    """Alice, whom Bob may write to, uses two hosts."""
    await street.befriend(bob, alice)
    hosts = await open_hosts(2)
    uses = await start(fit(street, alice, [host.address for host in hosts]))
    uses.at = hosts
    assert ["current"] * 2 == [uses.state(host) for host in hosts]
    return uses


def blob(n: int) -> bytes:
    return n.to_bytes(2, "big") * (MIN_ENVELOPE // 2)


async def leave(uses: Uses, host: HostNode, alice: House, bob: House, n: int) -> None:
    """Bob leaves an envelope with this host."""
    entry = alice.owner.consent.ours(bob.address)
    assert entry is not None
    secrets, theirs = alice.owner.identity.secrets, bob.owner.identity.secrets.pair_public
    pair = Pair.derive(secrets.pair_key, theirs, secrets.pair_public, theirs, alice.address, bob.address)
    key = pair.delivery_key(entry.grant, host.peer_id)
    answer = await deposit(uses.street, host, uses.account(host), key, blob(n))
    assert OK == answer.status


def waiting(uses: Uses, host: HostNode) -> list[Waiting]:
    return host.waiting(uses.account(host))


async def test_a_letter_comes_as_soon_as_it_waits_and_is_gone_there_then(
    uses: Uses, alice: House, bob: House
) -> None:
    await leave(uses, uses.at[0], alice, bob, 1)
    await uses.street.quiet()
    assert [blob(1)] == uses.came
    assert [] == waiting(uses, uses.at[0])


async def test_what_came_while_we_slept_is_got_at_the_start_from_every_host(
    uses: Uses, alice: House, bob: House
) -> None:
    await uses.stop()
    for n in range(12):
        await leave(uses, uses.at[n % 2], alice, bob, n)
    again = fit(uses.street, alice, [host.address for host in uses.at])
    assert not again.hosts.drained
    await start(again)
    assert sorted(map(blob, range(12))) == sorted(again.came)
    assert [[], []] == [waiting(uses, host) for host in uses.at]
    assert again.hosts.drained


async def test_what_is_left_for_later_stays_and_is_fetched_again(
    uses: Uses, alice: House, bob: House
) -> None:
    uses.later.add(blob(1))
    await leave(uses, uses.at[0], alice, bob, 1)
    await leave(uses, uses.at[0], alice, bob, 2)
    await uses.street.quiet()
    assert [blob(2)] == uses.came
    assert [1] == [one.n for one in waiting(uses, uses.at[0])]
    uses.later.clear()
    await uses.street.pass_time(1_200.0, step=60.0)
    assert [blob(2), blob(1)] == uses.came
    assert [] == waiting(uses, uses.at[0])


async def test_after_a_crash_between_taking_and_acknowledging_it_is_offered_again(
    uses: Uses, alice: House, bob: House
) -> None:
    async def cut_acknowledgement(frame: Frame) -> Act:
        return Act.CUT_BEFORE if frame.asks and b"acknowledge" in frame.data else Act.PASS

    uses.street.wires.judge = cut_acknowledgement
    await leave(uses, uses.at[0], alice, bob, 1)
    await uses.street.quiet()
    assert [blob(1)] == uses.came
    assert 1 == len(waiting(uses, uses.at[0]))
    await uses.stop()

    async def let_pass(frame: Frame) -> Act:
        return Act.PASS

    uses.street.wires.judge = let_pass
    again = await start(fit(uses.street, alice, [host.address for host in uses.at]))
    assert [blob(1)] == again.came  # whoever takes it knows that it has it
    assert [] == waiting(uses, uses.at[0])


async def test_nothing_is_acknowledged_before_it_is_taken(uses: Uses, alice: House, bob: House) -> None:
    at_take: list[int] = []
    uses.taking = lambda envelope: at_take.append(len(waiting(uses, uses.at[0])))
    await leave(uses, uses.at[0], alice, bob, 1)
    await uses.street.quiet()
    assert [1] == at_take
    assert [] == waiting(uses, uses.at[0])


async def test_a_host_that_gives_another_envelope_or_none_does_not_keep_the_others_from_coming(
    uses: Uses, alice: House, bob: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, letters = uses.at[0], uses.at[0].hosting._serving._letters  # type: ignore[union-attr]
    fetch = letters.fetch

    def lose(account: bytes, envelope_id: bytes) -> bytes | None:
        found = fetch(account, envelope_id)
        return None if found == blob(1) else found

    monkeypatch.setattr(letters, "fetch", lose)
    await leave(uses, bad, alice, bob, 1)
    await leave(uses, bad, alice, bob, 2)
    await leave(uses, uses.at[1], alice, bob, 3)
    await uses.street.quiet()
    assert {blob(2), blob(3)} == set(uses.came)
    monkeypatch.setattr(letters, "fetch", lambda account, envelope_id: blob(9))
    await leave(uses, bad, alice, bob, 4)
    await leave(uses, uses.at[1], alice, bob, 5)
    await uses.street.quiet()
    assert {blob(2), blob(3), blob(5)} == set(uses.came)
    monkeypatch.setattr(letters, "fetch", fetch)
    await uses.street.pass_time(1_200.0, step=30.0)
    assert {blob(n) for n in range(1, 6)} == set(uses.came)


async def test_a_host_that_answers_at_once_is_not_asked_all_the_time(
    uses: Uses, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def hasty(account: bytes, after: int, seconds: int) -> int:
        await trio.lowlevel.checkpoint()
        asked.append(after)
        return after + 1

    monkeypatch.setattr(uses.at[0].hosting._serving._letters, "wait", hasty)  # type: ignore[union-attr]
    await uses.street.pass_time(900.0, step=10.0)
    assert 0 < len(asked) <= 90


# ---- whether all was got


def drained(uses: Uses) -> bool:
    return uses.hosts.drained


async def test_after_sleep_nothing_counts_as_drained_until_every_host_was(
    uses: Uses, alice: House, bob: House
) -> None:
    assert drained(uses)
    away = uses.at[0]
    await away.close()
    await uses.street.pass_time(3_600.0)  # one jump: the machine has slept
    assert not drained(uses)
    await away.open()
    await leave(uses, away, alice, bob, 1)
    await uses.street.pass_time(120.0, step=10.0)
    assert [blob(1)] == uses.came
    assert drained(uses)


async def test_a_host_that_is_gone_for_ten_days_holds_nothing_up(uses: Uses) -> None:
    await uses.at[0].close()
    await uses.street.pass_time(9.9 * DAY_S)
    assert not drained(uses)
    await uses.street.pass_time(0.2 * DAY_S)
    assert drained(uses)


async def test_a_host_whose_answers_come_a_question_late_is_asked_anew(
    uses: Uses, alice: House, bob: House
) -> None:
    """Else its news would be read where its list is meant, for as long as the stream lasts."""
    host, doubled = uses.at[0], 0

    async def double_one(frame: Frame) -> Act:
        nonlocal doubled
        if frame.asks or frame.source != host.peer_id or b"host" not in frame.data or doubled:
            return Act.PASS
        doubled += 1
        return Act.TWICE

    uses.street.wires.judge = double_one
    await leave(uses, host, alice, bob, 1)
    await uses.street.quiet()
    await leave(uses, host, alice, bob, 2)
    await uses.street.pass_time(900.0, step=30.0)
    assert doubled
    assert sorted(map(blob, (1, 2))) == sorted(uses.came)
    assert [] == waiting(uses, host)
