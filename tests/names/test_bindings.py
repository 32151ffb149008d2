"""From an e-mail address to its owner, with a real name server; a domain's node says what a test wants."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeVar, cast

import pytest
import trio

from node.names import Bindings, Found, Held, Later, Names, No
from node.names.bindings import AT_ONCE
from node.network import PeerAddress
from node.network.errors import PeerUnreachable
from node.runtime.dns import Resolver
from node.storage import Batch, Store
from protocol.binding import Binding, sign_binding
from protocol.dns import format_key
from protocol.identity import build_identity
from protocol.keys import SigningKey
from protocol.peers import Peer
from tests.kit.names_server import Fault, open_names
from tests.kit.names_server import Names as NameServer
from tests.kit.owners import NOW, PEER_ID, owner
from tests.names.conftest import World

ALICE = "alice@example.org"
TXT = "mailio._mailiokey.example.org"
DOMAIN, EVE, MEMBER = owner("domain"), owner("eve"), owner("member")
DAY = 86_400_000
BOUND_S = 20.0

T = TypeVar("T")
Lie = Callable[[Binding], tuple[Binding, SigningKey] | bytes]


class Threads:
    """The same hashes are asked for again and again, and each costs 0.15 s."""

    async def in_thread(self, call: Callable[..., T], /, *args: object) -> T:
        await trio.lowlevel.checkpoint()
        return cast(T, called(call, *args))


@cache
def called(call: Callable[..., object], *args: object) -> object:
    return call(*args)


def honest(binding: Binding) -> tuple[Binding, SigningKey]:
    return binding, DOMAIN.key


@dataclass
class Scene:
    """Bindings, the DNS, and the node of example.org: `says` is whose every hash is there, `lie` what it
    makes of that.
    """

    dns: NameServer
    world: World
    names: Names
    store: Store
    bindings: Bindings
    asked: list[str] = field(default_factory=list)
    says: bytes | None = DOMAIN.public
    life: int = DAY
    lie: Lie = honest
    awake: bool = True

    async def answer(self, peer: PeerAddress, hashed: str, nonce: bytes) -> bytes | None:
        assert peer.peer_id == PEER_ID
        self.asked.append(hashed)
        await trio.lowlevel.checkpoint()
        if not self.awake:
            raise PeerUnreachable("asleep")
        now = self.world.now()
        made = self.lie(Binding(hashed, nonce, self.says, now, now + self.life))
        return made if isinstance(made, bytes) else sign_binding(*made)

    def anew(self) -> Bindings:
        """As after a restart: what is in memory is gone."""
        resolver = Resolver([self.dns.address])
        names, world = self.names, self.world
        return Bindings(
            names,
            self.store,
            resolver,
            world,
            self.answer,
            Threads(),
            world,
            world.doubtful,
            owner("own").public,
        )

    def shows(self, *keys: bytes) -> None:
        """What the DNS has for example.org from now on, for who does not know it yet."""
        self.dns.forget(TXT)
        self.dns.txt(TXT, *map(format_key, keys))


@pytest.fixture
async def scene(store: Store, names: Names, world: World) -> AsyncIterator[Scene]:
    node = (Peer(PEER_ID),)
    record = build_identity(DOMAIN.secrets, DOMAIN.chain, price=6, created=NOW, nodes=node)
    world.dht[DOMAIN.address] = [record.record]
    async with open_names() as dns:
        scene = Scene(dns, world, names, store, None)  # type: ignore[arg-type]  # needs its answer
        scene.bindings = scene.anew()
        scene.shows(DOMAIN.public)
        with trio.fail_after(BOUND_S):
            yield scene


async def test_an_address_leads_to_its_owner_and_nobody_is_asked_twice(scene: Scene) -> None:
    assert Found(DOMAIN.address) == await scene.bindings.discover(ALICE)
    assert Found(DOMAIN.address) == await scene.bindings.discover(ALICE)
    assert (1, 1) == (scene.dns.asked(TXT), len(scene.asked))
    pin = scene.names.pinned(DOMAIN.address)
    assert pin is not None
    assert DOMAIN.public == pin.public_key


async def test_what_a_domain_said_holds_over_a_restart_and_runs_out(scene: Scene) -> None:
    await scene.bindings.discover(ALICE)
    again = scene.anew()
    scene.world.time += DAY - 1
    assert Found(DOMAIN.address) == await again.discover(ALICE)
    assert (2, 1) == (scene.dns.asked(TXT), len(scene.asked))
    scene.world.time += 1
    assert Found(DOMAIN.address) == await again.discover(ALICE)
    assert (2, 2) == (scene.dns.asked(TXT), len(scene.asked))


async def test_a_domain_names_others_too(scene: Scene) -> None:
    scene.says = MEMBER.public
    assert Found(MEMBER.address) == await scene.bindings.discover(ALICE)
    pin = scene.names.pinned(MEMBER.address)
    assert pin is not None
    assert MEMBER.public == pin.public_key


async def test_the_address_book_comes_first(scene: Scene) -> None:
    batch = Batch()
    scene.names.add(batch, "Alice", [ALICE, EVE.address])
    await scene.store.write(batch)
    assert Found(EVE.address) == await scene.bindings.discover(ALICE)
    assert (0, []) == (scene.dns.asked(TXT), scene.asked)


async def test_without_a_record_it_is_ordinary_mail(scene: Scene) -> None:
    scene.dns.forget(TXT)
    scene.dns.txt(TXT, "v=spf1 -all")
    assert No() == await scene.bindings.discover(ALICE)
    assert No() == await scene.bindings.discover("bob@example.org")
    assert (1, []) == (scene.dns.asked(TXT), scene.asked)


async def test_a_signed_no_is_ordinary_mail_and_is_remembered(scene: Scene) -> None:
    scene.says = None
    assert No() == await scene.bindings.discover(ALICE)
    assert No() == await scene.bindings.discover(ALICE)
    assert 1 == len(scene.asked)
    scene.world.time += DAY
    scene.says = DOMAIN.public
    assert Found(DOMAIN.address) == await scene.bindings.discover(ALICE)


@pytest.mark.parametrize("fault", [Fault.SERVFAIL, Fault.REFUSED], ids=lambda fault: fault.name.lower())
async def test_a_name_server_that_fails_is_later_and_never_a_no(scene: Scene, fault: Fault) -> None:
    scene.dns.fault(TXT, fault)
    assert isinstance(await scene.bindings.discover(ALICE), Later)
    scene.dns.fault(TXT, None)
    again = scene.anew()
    assert Found(DOMAIN.address) == await again.discover(ALICE)
    scene.dns.fault(TXT, fault)
    assert Found(DOMAIN.address) == await scene.anew().discover(ALICE)


@pytest.mark.parametrize(
    "records",
    [
        ["v=MAILIO1; k=ed25519; p=AAAA"],
        ["v=MAILIO2; k=ed25519"],
        [format_key(DOMAIN.public), format_key(EVE.public)],
        [format_key(DOMAIN.public), "v=MAILIO1"],
    ],
    ids=["short key", "another version", "two keys", "one that is none"],
)
async def test_a_record_that_says_nothing_certain_is_later(scene: Scene, records: list[str]) -> None:
    scene.dns.forget(TXT)
    scene.dns.txt(TXT, *records)
    assert isinstance(await scene.bindings.discover(ALICE), Later)
    assert [] == scene.asked


async def test_a_sleeping_node_is_later_and_is_left_alone_for_a_moment(scene: Scene) -> None:
    scene.awake = False
    assert isinstance(await scene.bindings.discover(ALICE), Later)
    assert isinstance(await scene.bindings.discover("bob@example.org"), Later)
    assert 1 == len(scene.asked)
    scene.awake = True
    assert Found(DOMAIN.address) == await scene.anew().discover(ALICE)


async def test_an_owner_who_is_nowhere_found_is_later(scene: Scene) -> None:
    scene.world.dht.clear()
    assert isinstance(await scene.bindings.discover(ALICE), Later)


@pytest.mark.parametrize(
    "lie",
    [
        lambda binding: (replace(binding, nonce=bytes(32)), DOMAIN.key),
        lambda binding: (replace(binding, email_hash="B" * 43 + "="), DOMAIN.key),
        lambda binding: (replace(binding, owner=EVE.public), EVE.key),
        lambda binding: b"rubbish",
    ],
    ids=["wrong nonce", "other hash", "other signer", "rubbish"],
)
async def test_a_node_that_lies_is_blamed_and_not_believed(scene: Scene, lie: Lie) -> None:
    scene.lie = lie
    assert isinstance(await scene.bindings.discover(ALICE), Later)
    assert [PEER_ID] == scene.world.blamed
    scene.dns.forget(TXT)
    assert isinstance(await scene.anew().discover(ALICE), Held)  # the record was seen all the same


@pytest.mark.parametrize("shift", [-DAY - 1, 600_001], ids=["expired", "from the future"])
async def test_an_answer_of_another_time_is_not_believed(scene: Scene, shift: int) -> None:
    scene.lie = lambda one: (
        replace(one, created=one.created + shift, expires=one.expires + shift),
        DOMAIN.key,
    )
    assert isinstance(await scene.bindings.discover(ALICE), Later)
    assert [] == scene.world.blamed  # of two clocks ours may be the wrong one


async def test_no_downgrade_when_the_record_goes(scene: Scene) -> None:
    await scene.bindings.discover(ALICE)
    scene.dns.forget(TXT)
    again = scene.anew()
    assert isinstance(await again.discover(ALICE), Held)
    assert isinstance(await again.discover("never.seen@example.org"), Held)


async def test_no_downgrade_when_the_key_changes(scene: Scene) -> None:
    await scene.bindings.discover(ALICE)
    scene.shows(EVE.public)
    assert isinstance(await scene.anew().discover(ALICE), Held)
    assert 1 == len(scene.asked)


async def test_no_downgrade_when_the_domain_takes_its_word_back(scene: Scene) -> None:
    await scene.bindings.discover(ALICE)
    scene.world.time += DAY
    for says in (None, EVE.public):
        scene.says = says
        assert isinstance(await scene.anew().discover(ALICE), Held)


async def test_a_key_that_nobody_answered_for_may_change(scene: Scene) -> None:
    scene.shows(EVE.public)
    assert isinstance(await scene.bindings.discover(ALICE), Later)
    scene.shows(DOMAIN.public)
    assert Found(DOMAIN.address) == await scene.anew().discover(ALICE)


async def test_what_is_not_to_be_remembered_leaves_nothing(scene: Scene) -> None:
    assert Found(DOMAIN.address) == await scene.bindings.discover(ALICE, remember=False)
    assert Found(DOMAIN.address) == await scene.bindings.discover(ALICE, remember=False)
    assert 1 == len(scene.asked)
    scene.dns.forget(TXT)
    assert No() == await scene.anew().discover(ALICE)


async def test_our_own_domain_is_not_asked(scene: Scene) -> None:
    scene.shows(owner("own").public)
    assert No() == await scene.bindings.discover(ALICE)
    assert [] == scene.asked


async def test_many_are_found_side_by_side_and_the_late_ones_later(scene: Scene) -> None:
    scene.dns.fault("mailio._mailiokey.silent.example", Fault.SILENCE)
    late = [f"x{n}@silent.example" for n in range(AT_ONCE - 1)]
    found = await scene.bindings.discover_all([*late, ALICE, ALICE, "b@legacy.example"], 1.0)
    assert {ALICE: Found(DOMAIN.address), "b@legacy.example": No()} == {
        email: one for email, one in found.items() if email not in late
    }
    assert all(isinstance(found[email], Later) for email in late)


async def test_on_a_closed_store_everything_is_later(scene: Scene) -> None:
    closed = Bindings(
        scene.names,
        scene.store,
        None,
        scene.world,
        scene.answer,
        Threads(),
        scene.world,
        scene.world.doubtful,
        owner("own").public,
    )
    assert isinstance(await closed.discover(ALICE), Later)
    await scene.bindings.discover(ALICE)
    assert Found(DOMAIN.address) == await closed.discover(ALICE)
