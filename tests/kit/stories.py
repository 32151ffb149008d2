"""The stories that are played with faults: what people do, and what must hold however often it went wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from node.storage.schema import OUTBOX, OUTBOX_BODY, PARCEL, RECALL, RECEIPT_DUE, Space
from protocol.handshake import State
from tests.kit.houses import House, Street
from tests.kit.stage import Deed, Stage
from tests.kit.wires import Frame

Prologue = Callable[[Street, dict[str, House]], Awaitable[None]]


Fate = tuple[int, bool, list[str], int]
TAKEN: Fate = (1, True, ["delivered"], 0)
REFUSED: Fate = (0, False, ["refused"], 1)
_UNWRITTEN: Fate = (0, False, [], 0)
"""How often it is there, whether where it must be, its state at its author, how often that was told."""


@dataclass(frozen=True, slots=True)
class Post:
    """A letter that must have come to this end: in `folder` of its recipient once, and nowhere else there;
    without a folder its author was told once that it was refused. `fates` where it may end otherwise.
    """

    author: str
    to: str
    subject: str
    folder: str | None = "inbox"
    kind: str = "letter"
    fates: Sequence[Fate] = ()


async def strangers(street: Street, houses: dict[str, House]) -> None:
    """Nobody knows anybody."""


async def friends(street: Street, houses: dict[str, House]) -> None:
    """The first one and each of the others may write to each other."""
    first, *others = houses.values()
    for other in others:
        await street.befriend(first, other)


@dataclass(frozen=True)
class Play:
    """A Story of letters: in the end each has come to its end, and no queue holds anything, but where it is a
    first contact that may stay at a host: its authors are `patient`.
    """

    name: str
    cast: Sequence[str]
    deeds: Sequence[Deed]
    posts: Sequence[Post]
    before: Prologue = friends
    more: Callable[[Stage], list[str]] = field(default=lambda stage: [])
    hosts: Sequence[str] = ()
    uses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    slip: Callable[[Stage, Frame], bool] = field(default=lambda stage, frame: False)
    patient: Sequence[str] = ()

    async def prologue(self, street: Street, houses: dict[str, House]) -> None:
        await self.before(street, houses)

    def slips(self, stage: Stage, frame: Frame) -> bool:
        return self.slip(stage, frame)

    def amiss(self, stage: Stage) -> list[str]:
        asleep = [name for name in (*self.cast, *self.hosts) if not stage.awake(name)]
        if asleep:
            return [f"{name} does not run" for name in asleep]
        found = [line for post in self.posts for line in _amiss(stage, post)]
        for name in self.cast:
            found += _unfinished(stage[name], _ROWS if name in self.patient else (*_LETTERS, *_ROWS))
        return found + self.more(stage)


def _amiss(stage: Stage, post: Post) -> list[str]:
    author, recipient = stage[post.author], stage[post.to]
    times = recipient.mail().count(post.subject)
    there = post.folder is not None and post.subject in recipient.folder(post.folder)
    subject = "Handshake request" if post.kind == "request" else post.subject
    notices = [one for one in author.folder() if subject in one and subject != one]
    seen = times, there, states(author, recipient, post), len(notices)
    if seen in (post.fates or (TAKEN if post.folder else REFUSED,)):
        return []
    if stage.confused and seen[:3] in (fate[:3] for fate in (TAKEN, REFUSED, _UNWRITTEN)):
        return []
    return [
        f"{post.subject!r} is {times} times at {post.to}, {seen[2]} at {post.author}, told {seen[3]} times"
    ]


def states(author: House, recipient: House, post: Post) -> list[str]:
    letters = [one for one in author.owner.outbox.list(everything=True) if one.kind == post.kind]
    found = [one for one in letters if post.kind == "request" or one.subject == post.subject]
    deliveries = [delivery for letter in found for delivery in letter.deliveries]
    return [one.state for one in deliveries if one.recipient.address == recipient.address]


_LETTERS = (OUTBOX, OUTBOX_BODY, PARCEL)
_ROWS = (RECALL, RECEIPT_DUE)


def _unfinished(house: House, spaces: Sequence[Space]) -> list[str]:
    """What this node still has to do or has forgotten to clear away."""
    store = house.ground.store
    left = {space.name: len(store.scan(space, limit=100)) for space in spaces}
    return [f"{number} in {name} of {house.name}" for name, number in left.items() if number]


def writes(
    who: str, to: str, subject: str, text: str = "Hi.\n", ready: Callable[[Stage], bool] = lambda stage: True
) -> Deed:
    return Deed(
        who,
        lambda stage: stage[who].send(stage[to], subject, text),
        lambda stage: subject in stage[who].folder("sent"),
        ready,
    )


def accepts(who: str, other: str) -> Deed:
    async def act(stage: Stage) -> object:
        return await stage[who].owner.handshakes.accept(stage[other].address)

    return Deed(
        who,
        act,
        lambda stage: stage[who].stands(stage[other]) is State.ACCEPTED,
        lambda stage: stage.awake(who) and stage[who].stands(stage[other]) is State.REQUEST,
    )


def _asks(who: str, other: str, note: str) -> Deed:
    return Deed(
        who,
        lambda stage: stage[who].owner.handshakes.request(stage[other].address, note),
        lambda stage: any(one.kind == "request" for one in stage[who].owner.outbox.list(everything=True)),
    )


def revokes(who: str, other: str) -> Deed:
    return Deed(
        who,
        lambda stage: stage[who].owner.handshakes.revoke(stage[other].address),
        lambda stage: stage[who].stands(stage[other]) is State.REVOKED,
    )


def came(who: str, subject: str) -> Callable[[Stage], bool]:
    return lambda stage: stage.awake(who) and subject in stage[who].mail()


def _letter(name: str, text: str) -> Play:
    deeds = (writes("alice", "bob", "Once", text),)
    return Play(name, ("alice", "bob"), deeds, (Post("alice", "bob", "Once"),))


LETTER = _letter("a letter", "Hi.\n")
LONG = _letter("a letter too long for a stranger", "word " * 6_000)

_BOTH_WAYS = (
    *(("alice", "bob", f"There {n}") for n in range(3)),
    *(("bob", "alice", f"Back {n}") for n in range(2)),
)

CROSSING = Play(
    "letters both ways",
    ("alice", "bob"),
    tuple(writes(*each) for each in _BOTH_WAYS),
    tuple(Post(*each) for each in _BOTH_WAYS),
)

FIRST = Play(
    "a first letter, its acceptance and an answer",
    ("alice", "bob"),
    (_asks("alice", "bob", "Once"), accepts("bob", "alice"), writes("bob", "alice", "Back")),
    (Post("alice", "bob", "Once", kind="request"), Post("bob", "alice", "Back")),
    strangers,
)

REVOKED = Play(
    "a letter before and one after a revocation",
    ("alice", "bob"),
    (
        writes("alice", "bob", "In time"),
        replace(revokes("bob", "alice"), ready=came("bob", "In time")),
        writes("alice", "bob", "Too late", ready=lambda stage: is_revoked(stage, "bob", "alice")),
    ),
    (Post("alice", "bob", "In time"), Post("alice", "bob", "Too late", None)),
)


def is_revoked(stage: Stage, who: str, other: str) -> bool:
    return stage.awake(who) and stage[who].stands(stage[other]) is State.REVOKED


GROUP = Play(
    "a letter to two",
    ("alice", "bob", "carol"),
    (
        Deed(
            "alice",
            lambda stage: stage["alice"].send(stage["bob"], "Once", cc=(stage["carol"].address,)),
            lambda stage: "Once" in stage["alice"].folder("sent"),
        ),
    ),
    (Post("alice", "bob", "Once"), Post("alice", "carol", "Once")),
)

SELF = Play(
    "a letter to oneself", ("alice",), (writes("alice", "alice", "Milk"),), (Post("alice", "alice", "Milk"),)
)

DIRECT = (LETTER, LONG, CROSSING, FIRST, REVOKED, GROUP, SELF)
"""What goes from node to node."""
