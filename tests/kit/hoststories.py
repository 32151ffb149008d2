"""Stories of owners who are not there when a letter comes, so that it waits at their hosts: what people do,
and what must hold at owners and hosts however often it went wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from node.exchange.wire import LETTER
from node.files import PinKind, in_pieces
from node.hosts.shelf import Shelf
from node.outbox.submission import Message
from protocol.account import Space
from protocol.errors import RemoteProtocolError
from protocol.handshake import State
from protocol.keys import SigningKey
from protocol.offer import Result, parse_answer
from tests.kit.hostnodes import HostNode
from tests.kit.houses import House, Street
from tests.kit.stage import Deed, Stage
from tests.kit.stories import REFUSED, TAKEN, Fate, Play, Post, accepts, came, revokes, states, writes
from tests.kit.wires import Frame

HOSTS: Final = ("h1", "h2")
BOTH: Final = {"alice": HOSTS, "bob": HOSTS}

HOUR_S: Final = 3_600.0
"""Seconds after which people go on, whatever they waited for."""

FILE: Final = random.Random(1).randbytes(300_000)
"""Of two leaves and a node above them."""

WAITS: Fate = (1, True, ["at-host"], 0)
"""A first contact that was fetched: nobody says so before it is accepted."""

CANCELLED: Fate = (0, False, ["cancelled"], 0)
CAME_THOUGH: Fate = (1, True, ["cancelled"], 0)
"""A host had it of which its author had not heard."""

When = Callable[[Stage], bool]


async def with_hosts(street: Street, houses: dict[str, House]) -> None:
    """Alice and Bob may write to each other; everyone's record names their hosts."""
    await street.pass_time(30.0, 5.0)
    await street.befriend(houses["alice"], houses["bob"])


# ---- when


def away(who: str) -> When:
    return lambda stage: not stage.awake(who)


def ended_at(author: str, to: str, subject: str, *wanted: str) -> When:
    """Its author knows one of these of it."""
    post = Post(author, to, subject)
    return lambda stage: (
        stage.awake(author) and set(states(stage[author], stage[to], post)) & set(wanted) != set()
    )


def every(*whens: When, patience: float = HOUR_S) -> When:
    """When all of this holds, or after so many seconds of the story."""
    return lambda stage: stage.seconds > patience or all(when(stage) for when in whens)


def _files_at_hosts(who: str) -> When:
    def there(stage: Stage) -> bool:
        hosts = [stage.host(name) for name in stage.story.uses[who]]
        return all(stage.awake(host.name) and _keeps(host, _account(stage[who], host)) for host in hosts)

    return there


def _keeps(host: HostNode, account: bytes) -> bool:
    files = list(host.items.files(account))
    assert host.files is not None
    return bool(files) and all(host.files.hosted.whole(account, file) for file in files)


def _account(house: House, host: HostNode) -> bytes:
    return SigningKey.from_seed(house.owner.identity.secrets.account_seed(host.peer_id)).public


# ---- what people do


def leaves(who: str, *, ready: When = lambda stage: True, back: When, hours: float = 2.0) -> Deed:
    """Is switched off, and on again as soon as that holds, or after so long."""

    async def act(stage: Stage) -> None:
        await stage.leave(who, lambda: back(stage), hours * HOUR_S)

    return Deed(who, act, lambda stage: False, ready)


def _sends_file(who: str, to: str, subject: str) -> Deed:
    async def act(stage: Stage) -> object:
        owner = stage[who].owner
        upload = await owner.uploads.add("a.bin", "application/pdf", len(FILE), in_pieces(FILE))
        message = Message((stage[to].address,), subject=subject, text="Hi.\n", attachments=(upload.id.hex(),))
        return await owner.submission.send(message)

    return Deed(who, act, lambda stage: subject in stage[who].folder("sent"))


def _cancels(who: str, subject: str, ready: When) -> Deed:
    async def act(stage: Stage) -> object:
        outbox = stage[who].owner.outbox
        letter = next(one for one in outbox.list(everything=True) if one.subject == subject)
        return None if letter.ended else await outbox.cancel(letter.id)

    def done(stage: Stage) -> bool:
        return all(one.ended for one in stage[who].owner.outbox.list() if one.subject == subject)

    return Deed(who, act, done, ready)


# ---- what must hold


def hosts_agree(stage: Stage) -> list[str]:
    """No letter waits, and each host has what its owners want to be there, no more and no less."""
    pairs = [(stage[who], stage.host(name)) for who, names in stage.story.uses.items() for name in names]
    return [line for house, host in pairs for line in _differing(house, host)]


def _differing(house: House, host: HostNode) -> Iterator[str]:
    account, shelf = _account(house, host), Shelf(house.ground.store, host.peer_id)
    if waiting := host.waiting(account):
        yield f"{len(waiting)} letters for {house.name} wait at {host.name}"
    for space in Space:
        wanted = {(row.id, row.seq, row.hash) for row in shelf.rows(space) if not row.gone}
        entries, _ = host.items.page(account, space, None)
        there = {(entry.id, entry.seq, entry.hash) for entry in entries}
        if wanted != there:
            yield f"{host.name} has {len(there)} of {space.name} for {house.name}, not {len(wanted)}"
    row = next((row for row in house.owner.hosts.status() if row["addrs"] == [host.address]), {})
    if row.get("state") != "current" or not row.get("listed"):
        yield f"{host.name} is {row.get('state')} for {house.name}"


def _file_came(stage: Stage) -> list[str]:
    """Bob has it whole, and nobody keeps it for him any more."""
    found, kept = stage["bob"].owner.files._ledger, stage["alice"].owner.files._ledger
    here = [(content.size, content.whole) for content in found.all()]
    lines = [] if [True] == [whole for _, whole in here] else [f"bob has {here} of the attachment"]
    left = len(list(kept.needed(PinKind.OUT)))
    return lines + ([f"{left} attachments are kept for bob"] if left else []) + hosts_agree(stage)


def _friends_again(stage: Stage) -> list[str]:
    stands = stage["bob"].stands(stage["alice"])
    accepted = stage["alice"].owner.consent.accepted_by(stage["bob"].address)
    lines = [] if stands is State.ACCEPTED and accepted else [f"alice is {stands}, and believes {accepted}"]
    return lines + hosts_agree(stage)


def _not_there(stage: Stage) -> list[str]:
    """Who takes back what lies at hosts, and nothing goes wrong, has it taken back."""
    came_though = not stage.struck and "Oh no" in stage["bob"].mail()
    return (["what was taken back came"] if came_though else []) + hosts_agree(stage)


# ---- the stories

_AT_HOSTS = [ended_at("alice", "bob", one, "at-host", "delivered") for one in ("First", "Second")]

ASLEEP = Play(
    "letters to one who sleeps, from one who then sleeps too, and from a stranger",
    ("alice", "bob", "eve"),
    (
        leaves("bob", back=away("alice")),
        writes("alice", "bob", "First", ready=away("bob")),
        _sends_file("alice", "bob", "Second"),
        leaves(
            "alice",
            ready=every(*_AT_HOSTS, _files_at_hosts("alice")),
            back=lambda stage: {"First", "Second"} <= _mail(stage, "bob"),
        ),
        writes("eve", "bob", "May I", ready=away("bob")),
    ),
    (
        Post("alice", "bob", "First"),
        Post("alice", "bob", "Second"),
        Post("eve", "bob", "May I", "handshake", fates=(TAKEN, WAITS)),
    ),
    with_hosts,
    _file_came,
    HOSTS,
    BOTH,
    patient=("eve",),
)


def _mail(stage: Stage, who: str) -> set[str]:
    return set(stage[who].mail()) if stage.awake(who) else set()


def _first_answer(stage: Stage, frame: Frame) -> bool:
    """Bob's word that he has taken the first letter, which alice does not hear."""
    if stage.slipped or frame.protocol != LETTER or frame.asks:
        return False
    if frame.source != stage["bob"].wire.peer_id:
        return False
    try:
        answer = parse_answer(frame.data)
    except RemoteProtocolError:
        return False
    return isinstance(answer, Result) and answer.status.category == 2


FLAPPING = Play(
    "letters to one who comes and goes, one of them both ways",
    ("alice", "bob"),
    (
        writes("alice", "bob", "Both"),
        leaves("bob", ready=every(came("bob", "Both")), back=ended_at("alice", "bob", "Away", "at-host")),
        writes("alice", "bob", "Away", ready=every(away("bob"))),
        writes("bob", "alice", "Back", ready=every(came("bob", "Away"))),
        writes("alice", "bob", "Here", ready=every(came("alice", "Back"), patience=2 * HOUR_S)),
        leaves(
            "bob",
            ready=every(came("bob", "Here"), patience=2 * HOUR_S),
            back=ended_at("alice", "bob", "Away again", "at-host"),
        ),
        writes("alice", "bob", "Away again", ready=every(away("bob"), patience=2 * HOUR_S)),
    ),
    (
        *(Post("alice", "bob", subject) for subject in ("Both", "Away", "Here", "Away again")),
        Post("bob", "alice", "Back"),
    ),
    with_hosts,
    hosts_agree,
    HOSTS,
    BOTH,
    _first_answer,
)


def _tried(stage: Stage) -> bool:
    """Alice has heard from a host that she may not write."""
    found = [one for one in stage["alice"].owner.outbox.list() if one.subject == "Tries"]
    return any(delivery.code for letter in found for delivery in letter.deliveries)


def _knows(host: str) -> When:
    """Whether it lets alice in no more, as bob can see it."""

    def knows(stage: Stage) -> bool:
        if not stage.awake("bob") or stage["bob"].stands(stage["alice"]) is not State.REVOKED:
            return False
        owner = stage["bob"].owner
        current = [row["addrs"] for row in owner.hosts.status() if row["state"] == "current"]
        return [stage.host(host).address] in current and not owner.vault.pending

    return knows


def _awake_and(who: str, when: When) -> When:
    return lambda stage: stage.awake(who) and when(stage)


CHANGE_OF_MIND = Play(
    "a revocation that one host hears late, and an acceptance after it",
    ("alice", "bob"),
    (
        leaves("h1", back=_awake_and("alice", _tried)),
        replace(revokes("bob", "alice"), ready=away("h1")),
        leaves("bob", ready=every(_knows("h2")), back=_awake_and("alice", _tried)),
        writes("alice", "bob", "Tries", ready=every(away("bob"))),
        replace(
            accepts("bob", "alice"),
            ready=every(
                ended_at("alice", "bob", "Tries", "refused", "delivered"), _knows("h1"), patience=2 * HOUR_S
            ),
        ),
        writes(
            "alice",
            "bob",
            "Again",
            ready=every(
                ended_at("alice", "bob", "Tries", "refused", "delivered"),
                lambda stage: stage["alice"].owner.consent.accepted_by(stage["bob"].address),
                patience=4 * HOUR_S,
            ),
        ),
    ),
    (
        Post("alice", "bob", "Tries", fates=(REFUSED, TAKEN)),
        Post("alice", "bob", "Again"),
    ),
    with_hosts,
    _friends_again,
    HOSTS,
    BOTH,
)


def _one_waits(stage: Stage) -> bool:
    hosts = [stage.host(name) for name in HOSTS if stage.awake(name)]
    return [1, 1] == [len(host.waiting(_account(stage["bob"], host))) for host in hosts]


TAKEN_BACK = Play(
    "a letter that is taken back from hosts, and one that stays",
    ("alice", "bob"),
    (
        leaves("bob", back=every(ended_at("alice", "bob", "Oh no", "cancelled"), _one_waits)),
        writes("alice", "bob", "Oh no", ready=every(away("bob"))),
        writes("alice", "bob", "Stays"),
        _cancels(
            "alice", "Oh no", every(*(ended_at("alice", "bob", s, "at-host") for s in ("Oh no", "Stays")))
        ),
    ),
    (
        Post("alice", "bob", "Oh no", fates=(CANCELLED, CAME_THOUGH, TAKEN)),
        Post("alice", "bob", "Stays"),
    ),
    with_hosts,
    _not_there,
    HOSTS,
    BOTH,
)

HOSTED: Sequence[Play] = (ASLEEP, FLAPPING, CHANGE_OF_MIND, TAKEN_BACK)
"""What goes by hosts, in part or wholly."""
