"""Hosts that say what no honest one would: they cost themselves their place, and nothing else."""

import pytest
import trio

from protocol.host import Answer
from protocol.status import NOT_OFFERED
from tests.hosts.conftest import Opener
from tests.kit.hostnodes import fit, start
from tests.kit.houses import House, Street


async def test_whatever_a_host_says_on_refusing_can_be_read_again(
    street: Street, alice: House, open_hosts: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    no, yes = await open_hosts(2)
    assert no.hosting is not None
    said = Answer(NOT_OFFERED, "\N{FACE WITH TEARS OF JOY}" * 128)  # 512 bytes, all that an answer may have

    async def refuse(*asked: object) -> Answer:
        await trio.lowlevel.checkpoint()
        return said

    monkeypatch.setattr(no.hosting._openings, "open", refuse)
    uses = await start(fit(street, alice, [no.address, yes.address]))
    assert ["refused", "current"] == [uses.state(host) for host in (no, yes)]
    await street.pass_time(120.0, step=10.0)
    await uses.stop()
    again = await start(fit(street, alice, [no.address, yes.address]))
    assert ["refused", "current"] == [again.state(host) for host in (no, yes)]
