"""What is to be at a host gets there and stays there: at once, after losses, and whatever a host says."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest

from node.storage import Batch, Kind, note_change
from node.storage.schema import CHANGED
from protocol.account import Item, KeptFile, KeyRule, Space
from protocol.cbor import Value
from protocol.handshake import State
from protocol.held import open_held, parse_held, seal_held
from protocol.keys import SigningKey
from protocol.pair import Pair
from tests.hosts.conftest import Opener
from tests.kit.hostnodes import HostNode, Uses, fit, start
from tests.kit.houses import House, Street

ROUND_S = 601.0
"""Seconds in which every host's digest is looked at."""


@pytest.fixture
async def uses(street: Street, alice: House, bob: House, open_hosts: Opener) -> Uses:
    """Alice, whom Bob may write to, uses three hosts."""
    await street.befriend(bob, alice)
    uses = await start(fit(street, alice))
    for host in await open_hosts(3):
        assert host.wire is not None
        alice.wire.meet(host.wire)
        uses.at.append(host)
    await street.quiet()
    assert ["current"] * 3 == [uses.state(host) for host in uses.at]
    return uses


def pair_of(alice: House, bob: House) -> Pair:
    """What Alice shares with Bob for what she lets him do."""
    secrets = alice.owner.identity.secrets
    theirs = bob.owner.identity.secrets.pair_public
    return Pair.derive(secrets.pair_key, theirs, secrets.pair_public, theirs, alice.address, bob.address)


def found(uses: Uses, host: HostNode, alice: House, bob: House) -> State | None:
    """What Bob would find at this host about himself."""
    pair = pair_of(alice, bob)
    data = uses.kept(host, Space.HELD).get(pair.tag)
    return None if data is None else open_held(parse_held(data[1]), pair).status


def notes(house: House) -> list[Value]:
    return [value for _, value in house.ground.store.scan(CHANGED, limit=100)]


async def test_a_host_has_the_handshake_blinded_and_the_delivery_key_with_its_rule(
    uses: Uses, alice: House, bob: House
) -> None:
    host = uses.at[0]
    entry = alice.owner.consent.ours(bob.address)
    assert entry is not None
    assert State.ACCEPTED is found(uses, host, alice, bob)
    key = pair_of(alice, bob).delivery_key(entry.grant, host.peer_id).public
    rule = KeyRule(0, 10_000_000, entry.until)
    assert {key: rule} == {k: KeyRule.parse(data) for k, (_, data) in uses.kept(host, Space.KEY).items()}
    assert [] == notes(alice)


async def test_the_same_handshake_is_the_same_bytes_at_each_making(uses: Uses, alice: House) -> None:
    host = uses.at[0]
    before = uses.kept(host, Space.HELD)
    await host.change(uses.account(host), Space.HELD, drop=list(before))
    await uses.street.pass_time(ROUND_S)
    assert before == uses.kept(host, Space.HELD)


async def test_a_revocation_is_at_every_host_at_once(uses: Uses, alice: House, bob: House) -> None:
    await alice.owner.handshakes.revoke(bob.address)
    await uses.street.quiet()
    assert [State.REVOKED] * 3 == [found(uses, host, alice, bob) for host in uses.at]
    assert [{}] * 3 == [uses.kept(host, Space.KEY) for host in uses.at]
    assert ["current"] * 3 == [uses.state(host) for host in uses.at]


async def test_a_host_that_was_away_has_a_revocation_a_minute_after_it_is_back(
    uses: Uses, alice: House, bob: House
) -> None:
    away = uses.at[0]
    await away.close()
    await alice.owner.handshakes.revoke(bob.address)
    await uses.street.pass_time(120.0, step=10.0)
    row = uses.row(away)
    assert ("unreachable", 2, 1) == (row["state"], row["behind"], row["revocations"])
    assert ["hosts-revocations"] == [one.code for one in uses.hosts.warnings()]
    await away.open()
    assert State.ACCEPTED is found(uses, away, alice, bob)
    await uses.street.pass_time(60.0, step=10.0)
    assert State.REVOKED is found(uses, away, alice, bob)
    assert {} == uses.kept(away, Space.KEY)
    assert "current" == uses.state(away)
    assert [] == uses.hosts.warnings()


async def test_what_changes_while_nothing_runs_is_carried_over_at_the_next_start(
    uses: Uses, alice: House, bob: House
) -> None:
    await uses.stop()
    await alice.owner.handshakes.revoke(bob.address)
    assert [] != notes(alice)
    assert [State.ACCEPTED] * 3 == [found(uses, host, alice, bob) for host in uses.at]
    await start(fit(uses.street, alice))
    assert [] == notes(alice)
    assert [State.REVOKED] * 3 == [found(uses, host, alice, bob) for host in uses.at]


async def test_an_invitation_is_taken_at_hosts_until_it_ends(uses: Uses, alice: House) -> None:
    before = {host.number: set(uses.kept(host, Space.KEY)) for host in uses.at}
    await alice.owner.handshakes.link()
    await uses.street.pass_time(30.0, step=10.0)
    new = [set(uses.kept(host, Space.KEY)) - before[host.number] for host in uses.at]
    assert [1, 1, 1] == [len(keys) for keys in new]
    assert new[0] == new[1] == new[2]  # the key of an invitation is of no host
    await uses.street.pass_time(73 * 3_600.0)
    assert before == {host.number: set(uses.kept(host, Space.KEY)) for host in uses.at}
    assert ["current"] * 3 == [uses.state(host) for host in uses.at]


# ---- losses and lies


async def test_what_a_host_lost_is_there_again_after_the_next_look(uses: Uses) -> None:
    host = uses.at[0]
    before = [uses.kept(host, space) for space in Space]
    for space in Space:
        await host.change(uses.account(host), space, drop=list(uses.kept(host, space)))
    await uses.street.pass_time(ROUND_S)
    assert before == [uses.kept(host, space) for space in Space]
    assert "current" == uses.state(host)


async def test_a_host_that_was_restored_from_an_old_copy_gets_what_is_newer(
    uses: Uses, alice: House, bob: House
) -> None:
    host, account = uses.at[0], uses.account(uses.at[0])
    old = {space: uses.kept(host, space) for space in (Space.HELD, Space.KEY)}
    await alice.owner.handshakes.revoke(bob.address)
    await uses.street.quiet()
    for space, items in old.items():
        await host.change(account, space, drop=list(uses.kept(host, space)))
        await host.change(account, space, [Item(i, seq, data) for i, (seq, data) in items.items()])
    assert State.ACCEPTED is found(uses, host, alice, bob)
    await uses.street.pass_time(ROUND_S)
    assert State.REVOKED is found(uses, host, alice, bob)
    assert {} == uses.kept(host, Space.KEY)


async def test_a_host_with_a_new_disk_is_opened_and_filled_again(uses: Uses, alice: House) -> None:
    host = uses.at[0]
    before = uses.kept(host, Space.HELD)
    await host.close()
    host.disk = "another"
    await host.open()
    await uses.street.pass_time(120.0, step=10.0)
    assert before == uses.kept(host, Space.HELD)
    assert "current" == uses.state(host)


async def test_a_host_that_lies_in_its_digest_is_behind_after_three_rounds_until_it_stops(
    uses: Uses, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = uses.at[0]

    async def lie(account: object) -> dict[Space, bytes]:
        return {space: bytes(32) for space in Space}

    with monkeypatch.context() as patched:
        patched.setattr(host.items, "digests", lie)
        seen = []
        for _ in range(3):
            await uses.street.pass_time(ROUND_S)
            seen.append(uses.state(host))
        assert ["current", "current", "behind"] == seen
    await uses.street.pass_time(ROUND_S)
    assert "current" == uses.state(host)


async def test_a_host_that_says_it_has_what_it_dropped_is_behind(
    uses: Uses, alice: House, bob: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = uses.at[0]

    async def swallow(*arguments: object) -> dict[bytes, Any]:
        return {}

    monkeypatch.setattr(host.items, "put", swallow)
    await alice.owner.handshakes.revoke(bob.address)
    await uses.street.pass_time(4 * ROUND_S, step=ROUND_S)
    assert "behind" == uses.state(host)
    assert ["current"] * 2 == [uses.state(other) for other in uses.at[1:]]
    assert State.ACCEPTED is found(uses, host, alice, bob)


async def test_what_we_do_not_know_is_dropped_even_if_it_is_signed_by_us(
    uses: Uses, alice: House, bob: House
) -> None:
    host = uses.at[0]
    before = uses.kept(host, Space.HELD)
    strange = Pair(bytes(range(32)))
    entry = alice.owner.consent.ours(bob.address)
    assert entry is not None
    assert entry.handshake is not None
    data = seal_held(entry.handshake, strange, account_key(alice, host))
    await host.change(uses.account(host), Space.HELD, [Item(strange.tag, entry.handshake.seq, data)])
    await host.change(uses.account(host), Space.KEY, [Item(bytes(32), 1, KeyRule(0, 1).encode())])
    await uses.street.pass_time(ROUND_S)
    assert before == uses.kept(host, Space.HELD)
    assert bytes(32) not in uses.kept(host, Space.KEY)
    assert [] == uses.newer


async def test_another_sealing_of_the_same_handshake_that_wins_over_ours_goes(
    uses: Uses, alice: House, bob: House
) -> None:
    host, pair = uses.at[0], pair_of(alice, bob)
    before = uses.kept(host, Space.HELD)
    entry = alice.owner.consent.ours(bob.address)
    assert entry is not None
    assert entry.handshake is not None
    ours = Item(pair.tag, entry.handshake.seq, before[pair.tag][1]).entry
    other = next(
        item
        for n in range(1_000)
        if (item := sealed(entry.handshake, pair, alice, host, n)).entry.hash < ours.hash
    )
    await host.change(uses.account(host), Space.HELD, [other])
    assert other.data == uses.kept(host, Space.HELD)[pair.tag][1]
    await uses.street.pass_time(ROUND_S)
    assert before == uses.kept(host, Space.HELD)
    assert "current" == uses.state(host)
    assert [] == uses.newer


async def test_a_newer_handshake_of_ours_is_reported_and_stays(uses: Uses, alice: House, bob: House) -> None:
    host, pair = uses.at[0], pair_of(alice, bob)
    batch = Batch()  # never written: another node of Alice's, or a disk that was restored since
    uses.street.time.jump(1.0)  # type: ignore[attr-defined]
    record = alice.owner.consent.revoke(batch, bob.address, alice.ground.clock.now())
    assert record is not None
    entry = alice.owner.consent.ours(bob.address, batch)
    assert entry is not None
    assert entry.handshake is not None
    item = sealed(entry.handshake, pair, alice, host, 1)
    await host.change(uses.account(host), Space.HELD, [item])
    await uses.street.pass_time(ROUND_S)
    assert [entry.handshake] == uses.newer[:1]
    assert State.REVOKED is found(uses, host, alice, bob)


async def test_a_newer_one_that_is_not_ours_is_not_believed(uses: Uses, alice: House, bob: House) -> None:
    host, pair = uses.at[0], pair_of(alice, bob)
    before = uses.kept(host, Space.HELD)
    forged = Item(pair.tag, alice.ground.clock.now() + 1, b"nonsense")
    await host.force(uses.account(host), Space.HELD, forged)
    await uses.street.pass_time(ROUND_S)
    assert before == uses.kept(host, Space.HELD)
    assert [] == uses.newer


async def test_the_rule_of_a_key_follows_what_the_account_may_take(
    uses: Uses, open_hosts: Opener, alice: House
) -> None:
    host = uses.at[0]
    await host.close()
    host.limits = type(host.limits)(account_size=5_000_000)
    await host.open()
    await uses.street.pass_time(2 * ROUND_S, step=30.0)
    rules = [KeyRule.parse(data).share for _, data in uses.kept(host, Space.KEY).values()]
    assert [500_000] == rules
    assert "current" == uses.state(host)


# ---- pages and files


@dataclass
class Vault:
    """Pages as a test likes them."""

    pages: list[Item] = field(default_factory=list)
    poked: int = 0

    def changed(self) -> None:
        self.poked += 1

    async def items(self) -> AsyncGenerator[Item, None]:
        for page in self.pages:
            yield page

    async def newer(self, page: Item) -> bool:
        return page.data == b"of ours"


def page(n: int, seq: int, data: bytes) -> Item:
    return Item(bytes([n]) * 32, seq, data)


async def test_pages_are_the_same_at_every_host_and_follow_what_changes(
    street: Street, alice: House, bob: House, open_hosts: Opener
) -> None:
    vault = Vault([page(1, 5, b"one"), page(2, 5, b"two")])
    hosts = await open_hosts(2)
    uses = await start(fit(street, alice, [host.address for host in hosts], pages=vault))
    assert ["current"] * 2 == [uses.state(host) for host in hosts]
    expected = {one.id: (one.seq, one.data) for one in vault.pages}
    assert [expected] * 2 == [uses.kept(host, Space.VAULT) for host in hosts]
    await street.befriend(bob, alice)
    await street.pass_time(30.0, step=10.0)
    assert vault.poked > 0
    vault.pages = [page(1, 6, b"three")]
    batch = Batch()
    note_change(batch, Kind.PAGE, b"1", "1")
    await alice.ground.store.write(batch)
    await street.pass_time(30.0, step=10.0)
    assert [{bytes([1]) * 32: (6, b"three")}] * 2 == [uses.kept(host, Space.VAULT) for host in hosts]


async def test_a_newer_page_of_ours_stays_and_any_other_goes(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    vault = Vault([page(1, 5, b"one"), page(2, 5, b"two")])
    (host,) = await open_hosts(1)
    uses = await start(fit(street, alice, [host.address], pages=vault))
    await host.change(uses.account(host), Space.VAULT, [page(1, 9, b"of ours"), page(2, 9, b"of nobody")])
    await street.pass_time(ROUND_S)
    assert {bytes([1]) * 32: (9, b"of ours"), bytes([2]) * 32: (5, b"two")} == uses.kept(host, Space.VAULT)


async def test_a_host_that_takes_no_files_is_whole_without_them(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    file = KeptFile(bytes(36), 1_000, street.wires.clock.now() + 86_400_000)

    async def files() -> AsyncGenerator[tuple[int, KeptFile], None]:
        yield 1, file

    (host,) = await open_hosts(1)
    uses = await start(fit(street, alice, [host.address], files=files))
    await street.pass_time(5 * ROUND_S, step=30.0)
    assert "current" == uses.state(host)
    assert [host.peer_id] == [one.peer_id for one in uses.hosts.listed()]
    assert host.wire is not None
    assert 1 == len(host.wire.blamed)  # it was asked once


def account_key(alice: House, host: HostNode) -> SigningKey:
    return SigningKey.from_seed(alice.owner.identity.secrets.account_seed(host.peer_id))


def sealed(handshake: Any, pair: Pair, alice: House, host: HostNode, n: int) -> Item:
    data = seal_held(handshake, pair, account_key(alice, host), n.to_bytes(24, "big"))
    return Item(pair.tag, handshake.seq, data)
