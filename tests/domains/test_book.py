"""Which domains are ours: from the settings, by command, taken out again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from node.domains import DomainError, Domains
from node.runtime.clock import SystemClock
from node.storage import Store, open_store
from tests.domains.conftest import NOW, Hand
from tests.kit.stores import KEY, Trouble


def keys_of(domains: Domains, name: str) -> list[tuple[str, str]]:
    return [(key["selector"], key["state"]) for key in domains.row(name)["keys"]]


async def test_one_is_added_known_at_once_and_removed(domains: Domains) -> None:
    assert frozenset() == domains.names()
    assert "example.org" == await domains.add(" Example.ORG. ")
    assert (frozenset({"example.org"}), True) == (domains.names(), "example.org" in domains)
    assert [("m20261126r", "waiting"), ("m20261126e", "waiting")] == keys_of(domains, "example.org")
    row = domains.row()
    told = {name: value for name, value in row.items() if name != "keys"}
    assert {"domain": "example.org", "source": "book", "host": "mail.example.org", "added": NOW} == told
    assert [row] == domains.rows()
    assert "example.org" == await domains.remove("example.org")
    assert (frozenset(), []) == (domains.names(), domains.rows())


async def test_a_domain_beyond_ascii_is_taken_as_the_dns_has_it(domains: Domains) -> None:
    assert "xn--bcher-kva.example" == await domains.add("Bücher.example")


async def test_those_of_the_settings_get_keys_at_the_start_and_keep_them(
    opened: Callable[..., Domains],
) -> None:
    domains = opened("example.net", "example.org")
    assert frozenset({"example.net", "example.org"}) == domains.names()
    await domains.start()
    before = domains.rows()
    sources = [(row["domain"], row["source"]) for row in before]
    assert [("example.net", "settings"), ("example.org", "settings")] == sources
    again = opened("example.net", "example.org")
    await again.start()
    assert before == again.rows()
    assert frozenset() == opened().names()
    assert before[:1] == opened("example.net").rows()


async def test_a_domain_of_the_settings_is_no_matter_of_commands(opened: Callable[..., Domains]) -> None:
    domains = opened("example.net")
    await domains.start()
    for act, code in ((domains.add, "domain-exists"), (domains.remove, "domain-in-settings")):
        with pytest.raises(DomainError) as caught:
            await act("example.net")
        assert code == caught.value.code


async def test_what_left_the_settings_may_come_into_the_book_with_its_keys(
    opened: Callable[..., Domains],
) -> None:
    domains = opened("example.net")
    await domains.start()
    keys = domains.row()["keys"]
    domains = opened()
    await domains.add("example.net")
    assert ("book", keys) == (domains.row()["source"], domains.row()["keys"])


async def test_another_host_changes_nothing_else(domains: Domains) -> None:
    await domains.add("example.org")
    before = domains.row()
    await domains.add("example.org", "mx.example.net.")
    assert before | {"host": "mx.example.net"} == domains.row()
    assert "mx.example.net" == domains.hostname


async def test_how_the_node_greets(opened: Callable[..., Domains], clock: Hand) -> None:
    domains = opened()
    assert "" == domains.hostname
    await domains.add("b.example")
    clock.time += 1
    await domains.add("a.example")
    assert "mail.b.example" == domains.hostname
    assert "c.example" == opened("c.example", "d.example").hostname


NO_DOMAINS = [
    "org",
    "you@example.org",
    "127.0.0.1",
    "mailio.alt",
    "x.mailio.alt",
    "a..b",
    "ex ample.org",
    "x" * 300,
]


@pytest.mark.parametrize("text", ["", *NO_DOMAINS])
async def test_what_is_no_domain_of_ours_is_refused(domains: Domains, text: str) -> None:
    with pytest.raises(DomainError) as caught:
        await domains.add(text)
    assert "domain-name" == caught.value.code


@pytest.mark.parametrize("host", ["mail", "192.0.2.1", "a b.example", "you@example.org"])
async def test_what_is_no_host_is_refused(domains: Domains, host: str) -> None:
    with pytest.raises(DomainError) as caught:
        await domains.add("example.org", host)
    assert ("domain-host", frozenset()) == (caught.value.code, domains.names())


async def test_what_is_not_there_is_told(domains: Domains) -> None:
    for act in (domains.remove, domains.rotate, domains.look):
        with pytest.raises(DomainError) as caught:
            await act("example.org")
        assert "no-such-domain" == caught.value.code
    with pytest.raises(DomainError) as caught:
        domains.row()
    assert "no-such-domain" == caught.value.code
    await domains.add("a.example")
    await domains.add("b.example")
    with pytest.raises(DomainError) as caught:
        await domains.rotate()
    assert ("domain-which", "name one: a.example, b.example") == (caught.value.code, caught.value.remedy)


async def test_a_node_keeps_so_many_and_no_more(domains: Domains, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.domains.room.MAX_DOMAINS", 1)
    await domains.add("a.example")
    with pytest.raises(DomainError) as caught:
        await domains.add("b.example")
    assert ("domains-full", frozenset({"a.example"})) == (caught.value.code, domains.names())


async def test_secrets_lie_sealed(tmp_path: Path) -> None:
    path = tmp_path / "sealed"
    async with open_store(path, KEY, inline=True) as store:
        domains = Domains(store, SystemClock(), [])
        await domains.add("example.org")
        domain = domains._find("example.org")
        assert domain is not None
        secrets = [key.secret for key in domain.keys]
        assert "secret" not in repr(domain)
    written = b"".join(file.read_bytes() for file in path.iterdir() if file.is_file())
    assert [] == [secret for secret in secrets if secret[-32:] in written]
    assert b"example.org" not in written
    async with open_store(path, KEY, inline=True) as store:
        assert frozenset({"example.org"}) == Domains(store, SystemClock(), []).names()


async def test_a_full_disk_does_not_keep_the_node_from_starting(tmp_path: Path) -> None:
    trouble = Trouble()
    async with open_store(tmp_path / "full", KEY, inline=True, opener=trouble) as store:
        domains = Domains(store, SystemClock(), ["example.org"])
        trouble.full = True
        await domains.start()
        assert (frozenset({"example.org"}), []) == (domains.names(), domains.rows())
        assert b"x" == await domains.sign(b"x", "example.org")


async def test_any_thread_may_ask_whether_one_is_ours(store: Store) -> None:
    domains = Domains(store, SystemClock(), ["example.org"])
    assert [True, False, False] == [one in domains for one in ("example.org", "example.net", 5)]
