"""A short one; `scripts/soak` does not end so soon."""

from pathlib import Path

from tests.kit.soaking import Plan, soak

LETTERS, KILLS, STOPS = 40, 4, 2
"""Half a minute or a whole one, most of it starts of nodes."""


async def test_killed_and_suspended_nodes_bring_each_letter_once(tmp_path: Path) -> None:
    figures = await soak(tmp_path, Plan(LETTERS, KILLS, STOPS, seed=1), lambda text: None)
    seen = sum(figures.letters.values()), sum(figures.kills.values()), sum(figures.stops.values())
    assert (LETTERS, KILLS, STOPS) == seen
    assert ([], [], []) == (figures.lost, figures.doubled, figures.amiss)
