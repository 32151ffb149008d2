"""Real mails bent by chance, through parser and judge; `python -m tests.kit.mutations 10000` goes on."""

import pytest

from tests.kit.mutations import play


@pytest.mark.parametrize("seed", range(4))
async def test_no_mutated_mail_breaks_a_promise(seed: int) -> None:
    tally = await play(150, seed)
    assert [] == tally.broken
    assert 150 == sum(tally.outcomes.values())
