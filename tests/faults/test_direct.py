"""From node to node, whatever goes wrong at whichever step: nothing lost, nothing twice, and all is well
again without anybody's help. All of it is played by `scripts/soak --harness`; this is a part.
"""

from pathlib import Path

import pytest

from node.letters import Mailbox
from node.storage import Batch, Store
from tests.kit.faults import Fault, Step, pairs, sample, single
from tests.kit.playing import Theatre
from tests.kit.stories import DIRECT, LETTER, SELF, Play

SEED = 1
SOME = 25
FEW = 12
"""Faults, and pairs of them, in the longer stories: some seconds each."""

LONGER = [story for story in DIRECT if story not in (LETTER, SELF)]


def named(story: Play) -> str:
    return story.name


@pytest.mark.parametrize("story", [LETTER, SELF], ids=named)
def test_every_fault_at_every_step(place: Path, story: Play) -> None:
    theatre = Theatre(story, place)
    assert [] == theatre.failures((fault,) for fault in single(theatre.survey()))


@pytest.mark.parametrize("story", LONGER, ids=named)
def test_faults_here_and_there(place: Path, story: Play) -> None:
    theatre = Theatre(story, place)
    found = [(fault,) for fault in single(theatre.survey())]
    assert [] == theatre.failures(sample(found, SOME, SEED))


@pytest.mark.parametrize("story", DIRECT, ids=named)
def test_two_faults(place: Path, story: Play) -> None:
    theatre = Theatre(story, place)
    assert [] == theatre.failures(sample(pairs(theatre.survey()), FEW, SEED))


def test_a_node_that_forgets_what_it_took_is_caught(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mailbox, "seen", lambda *_: None)
    monkeypatch.setattr(Mailbox, "seen_envelope", lambda *_: None)
    outcome = Theatre(LETTER, place).play(Fault("cut", Step("bob>alice", 1)))
    assert ["'Once' is 2 times at bob, ['delivered'] at alice, told 0 times"] == outcome.trouble[:1]


def test_a_node_that_answers_before_it_synced_is_caught(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Store.write

    async def lazy(store: Store, batch: Batch, *, sync: bool = True) -> None:
        await write(store, batch, sync=False)

    monkeypatch.setattr(Store, "write", lazy)
    outcome = Theatre(LETTER, place).play(Fault("power cut", Step("bob>alice", 1, after=True), "bob"))
    assert ["'Once' is 0 times at bob, ['delivered'] at alice, told 0 times"] == outcome.trouble[:1]


def test_what_is_to_be_seen_again_stands_in_one_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Play, "amiss", lambda *_: ["something"])
    fault = Fault("lid for an hour", Step("alice>bob", 1), "bob")
    line = "a letter: lid for an hour at bob before frame 1 of alice>bob (seed 7): something"
    assert [line] == Theatre(LETTER, place, seed=7).failures([(fault,)])
