"""When a key signs: once the DNS shows it, and how one takes another's place."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from trio.testing import MockClock

from node.domains import DomainError, Domains
from node.domains.keys import KEPT_MS
from node.mailauth import Proof
from node.runtime.clock import DAY_MS
from node.runtime.dns import Resolver
from node.storage import open_store
from tests.domains.conftest import Hand
from tests.kit.names_server import Fault, Names
from tests.kit.stores import KEY, Trouble
from tests.mailauth.test_prove import RAW, mail_auth

PASS = "example.org: pass"


def states(domains: Domains) -> dict[str, str]:
    return {key["selector"]: key["state"] for key in domains.row()["keys"]}


def publish(names: Names, domains: Domains, *selectors: str) -> None:
    for key in domains.row()["keys"]:
        if not selectors or key["selector"] in selectors:
            names.forget(key["name"])
            names.txt(key["name"], key["value"])


def signed_by(raw: bytes) -> list[str]:
    """Selectors, from the top."""
    header = raw.removesuffix(RAW).decode()
    return [line.strip()[2:-1] for line in header.split("\r\n") if line.startswith(" s=")]


async def test_nothing_is_signed_before_the_dns_shows_the_keys(
    opened: Callable[..., Domains], names: Names, clock: Hand
) -> None:
    domains = opened()
    await domains.add("example.org")
    assert RAW == await domains.sign(RAW, "example.org")
    assert ["dkim-unpublished"] == [one.code for one in domains.warnings()]
    publish(names, domains)
    clock.time += 5
    domains = opened()  # it has forgotten that there was nothing
    signed = await domains.sign(RAW, "Example.ORG")
    assert (["m20261126r", "m20261126e"], []) == (signed_by(signed), domains.warnings())
    assert Proof(("example.org",), (), (PASS, PASS)) == await mail_auth(names).prove(signed)
    assert [("used", clock.time)] * 2 == [(key["state"], key["used"]) for key in domains.row()["keys"]]


async def test_a_warning_ends_with_the_first_letter_that_is_signed(domains: Domains, names: Names) -> None:
    await domains.add("example.org")
    names.ttl = names.negative_ttl = 0
    await domains.sign(RAW, "example.org")
    assert 1 == len(domains.warnings())
    await domains.rotate(now=True)
    await domains.sign(RAW, "example.org")
    assert [] == domains.warnings()


async def test_each_key_signs_for_itself(domains: Domains, names: Names) -> None:
    await domains.add("example.org")
    publish(names, domains, "m20261126r")
    assert ["m20261126r"] == signed_by(await domains.sign(RAW, "example.org"))
    assert {"m20261126r": "used", "m20261126e": "waiting"} == states(domains)


@pytest.mark.parametrize("domain", ["example.net", "sub.example.org", "", "no domain", "org"])
async def test_nobody_elses_name_is_signed_for(domains: Domains, names: Names, domain: str) -> None:
    await domains.add("example.org")
    publish(names, domains)
    assert RAW == await domains.sign(RAW, domain)


async def test_another_key_at_the_name_is_not_ours(domains: Domains, names: Names) -> None:
    await domains.add("example.org")
    rsa, ed25519 = domains.row()["keys"]
    names.txt(rsa["name"], "v=DKIM1; k=rsa; p=" + base64.b64encode(b"x" * 294).decode())
    names.txt(ed25519["name"], "v=DKIM1; k=ed25519; p=")
    assert RAW == await domains.sign(RAW, "example.org")


async def test_a_letter_that_readers_would_see_otherwise_goes_unsigned(
    domains: Domains, names: Names
) -> None:
    await domains.add("example.org")
    publish(names, domains)
    strange = RAW.replace(b"\r\n", b"\n")
    assert strange == await domains.sign(strange, "example.org")


async def test_a_key_that_left_the_dns_signs_no_more_and_one_that_cannot_be_looked_up_does(
    opened: Callable[..., Domains], names: Names
) -> None:
    domains = opened()
    await domains.add("example.org")
    publish(names, domains)
    await domains.look("example.org")
    for key in domains.row()["keys"]:
        names.fault(key["name"], Fault.SERVFAIL)
    assert ["m20261126r", "m20261126e"] == signed_by(await opened().sign(RAW, "example.org"))
    for key in domains.row()["keys"]:
        names.fault(key["name"], Fault.NXDOMAIN)
    assert RAW == await opened().sign(RAW, "example.org")


async def test_new_keys_take_over_when_the_dns_shows_them(
    opened: Callable[..., Domains], names: Names, clock: Hand
) -> None:
    domains = opened()
    await domains.add("example.org")
    publish(names, domains)
    await domains.look("example.org")
    clock.time += DAY_MS
    assert "example.org" == await domains.rotate()
    old, new = ["m20261126r", "m20261126e"], ["m20261127r", "m20261127e"]
    before = dict.fromkeys(old, "used") | dict.fromkeys(new, "waiting")
    assert before == states(domains)
    assert old == signed_by(await domains.sign(RAW, "example.org"))
    await domains.rotate("example.org")  # those that wait are not made anew
    assert before == states(domains)

    publish(names, domains)
    clock.time += DAY_MS
    assert new == signed_by(await opened().sign(RAW, "example.org"))
    assert dict.fromkeys(old, "retired") | dict.fromkeys(new, "used") == states(domains)
    assert [clock.time + KEPT_MS] * 2 + [0, 0] == [key["until"] for key in domains.row()["keys"]]
    domain = domains._find("example.org")
    assert domain is not None
    assert [False, False, True, True] == [bool(key.secret) for key in domain.keys]

    clock.time += KEPT_MS
    assert dict.fromkeys(old, "remove") | dict.fromkeys(new, "used") == states(domains)
    assert [True, True, False, False] == [key["zone"] == "" for key in domains.row()["keys"]]
    await domains.rotate()
    newest = ["m20261205r", "m20261205e"]
    assert dict.fromkeys(new, "used") | dict.fromkeys(newest, "waiting") == states(domains)


async def test_all_domains_are_looked_at_together(
    domains: Domains, names: Names, autojump_clock: MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.1
    for name in ("a.example", "b.example", "c.example"):
        await domains.add(name)
    for key in (key for row in domains.rows() for key in row["keys"]):
        names.txt(key["name"], key["value"])
        if "b.example" in key["name"]:
            names.fault(key["name"], Fault.SILENCE)
    await domains.look()
    found = {row["domain"]: {key["state"] for key in row["keys"]} for row in domains.rows()}
    assert {"a.example": {"used"}, "b.example": {"waiting"}, "c.example": {"used"}} == found


async def test_the_owner_may_know_better_than_the_dns(domains: Domains, names: Names) -> None:
    await domains.add("example.org")
    await domains.rotate(now=True)
    first, second = ["m20261126r", "m20261126e"], ["m20261126r2", "m20261126e2"]
    assert dict.fromkeys(first, "used") == states(domains)
    assert (first, []) == (signed_by(await domains.sign(RAW, "example.org")), names.questions)
    await domains.rotate(now=True)
    assert second == signed_by(await domains.sign(RAW, "example.org"))
    assert dict.fromkeys(first, "retired") | dict.fromkeys(second, "used") == states(domains)


async def test_only_the_algorithm_of_which_none_waits_gets_a_new_key(domains: Domains, names: Names) -> None:
    await domains.add("example.org")
    publish(names, domains, "m20261126r")
    await domains.look("example.org")
    await domains.rotate()
    assert {"m20261126r": "used", "m20261126e": "waiting", "m20261126r2": "waiting"} == states(domains)


async def test_keys_do_not_grow_without_end(domains: Domains, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.domains.room.MAX_KEYS", 4)
    await domains.add("example.org")
    await domains.rotate(now=True)
    await domains.rotate(now=True)
    with pytest.raises(DomainError) as caught:
        await domains.rotate(now=True)
    assert ("dkim-many", 4) == (caught.value.code, len(domains.row()["keys"]))
    assert "2026-12-03" in caught.value.remedy


async def test_a_store_that_takes_nothing_stops_no_signature(
    tmp_path: Path, names: Names, clock: Hand
) -> None:
    trouble = Trouble()
    async with open_store(tmp_path / "full", KEY, inline=True, opener=trouble) as store:
        domains = Domains(store, clock, [], Resolver([names.address]))
        await domains.add("example.org")
        publish(names, domains)
        trouble.full = True
        assert 2 == len(signed_by(await domains.sign(RAW, "example.org")))
        assert {"m20261126r": "waiting", "m20261126e": "waiting"} == states(domains)
