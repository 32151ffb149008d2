"""By hosts, and partly by hosts, whatever goes wrong at whichever step at an author, a host or a recipient:
nothing lost, nothing twice, and all is well again without anybody's help. Here one of each kind of fault is
played for each role and each kind of step; all of them by `scripts/soak --harness`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.letters import Mailbox
from tests.kit.faults import sample
from tests.kit.hostfaults import covering, pairs
from tests.kit.hoststories import FLAPPING, HOSTED
from tests.kit.playing import Outcome, Theatre, a_place
from tests.kit.stage import Stage

SEED = 1
FEW = 3
"""Pairs of faults in each story."""

AN_HOUR_S = 3_600.0
"""Seconds that are enough to see what never gets well."""

Stages = list[tuple[Theatre, Outcome]]


@pytest.fixture(scope="module")
def stages() -> Iterator[Stages]:
    """Each story, and how it goes when nothing goes wrong."""
    with a_place() as directory:
        theatres = [Theatre(story, directory / str(n)) for n, story in enumerate(HOSTED)]
        yield [(theatre, theatre.play()) for theatre in theatres]


def test_stories_without_faults(stages: Stages) -> None:
    assert [[] for _ in stages] == [survey.trouble for _, survey in stages]


def test_each_kind_of_fault_for_each_role_at_each_kind_of_step(stages: Stages) -> None:
    plans = covering([(theatre.story, survey) for theatre, survey in stages], SEED)
    found = [
        line
        for theatre, _ in stages
        for line in theatre.failures(faults for story, faults in plans if story is theatre.story)
    ]
    assert [] == found


def test_two_faults(stages: Stages) -> None:
    found = [
        line
        for theatre, survey in stages
        for line in theatre.failures(sample(pairs(survey, theatre.story.hosts), FEW, SEED))
    ]
    assert [] == found


def test_a_node_that_forgets_what_it_took_is_caught(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mailbox, "seen", lambda *_: None)
    monkeypatch.setattr(Mailbox, "seen_envelope", lambda *_: None)
    monkeypatch.setattr(Stage.until, "__defaults__", (AN_HOUR_S,))
    outcome = Theatre(FLAPPING, place).play()
    assert "'Both' is 3 times at bob, ['delivered'] at alice, told 0 times" in outcome.trouble
