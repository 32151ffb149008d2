"""Hosts that say what no honest one would: they cost themselves their place, and nothing else."""

import pytest
import trio

from protocol.errors import RemoteProtocolError
from protocol.host import Answer
from protocol.status import BUSY, NOT_OFFERED
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


async def test_who_never_says_anything_sensible_leaves_its_place_to_another(
    street: Street, alice: House, open_hosts: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = await open_hosts(4)
    assert hosts[0].hosting is not None

    async def nonsense(*asked: object) -> Answer:
        await trio.lowlevel.checkpoint()
        raise RemoteProtocolError("nonsense", BUSY)

    monkeypatch.setattr(hosts[0].hosting._openings, "open", nonsense)
    uses = await start(fit(street, alice))
    for host in hosts[:1]:
        assert host.wire is not None
        alice.wire.meet(host.wire)
    await street.quiet()
    assert "opening" == uses.state(hosts[0])
    for host in hosts[1:]:
        assert host.wire is not None
        alice.wire.meet(host.wire)
    await street.pass_time(300.0, step=10.0)
    assert [None, "current", "current", "current"] == [uses.state(host) for host in hosts]
