"""What is known of providers, how a mailbox is kept, and whose word about a letter's author is believed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.app.addresses import OwnAddresses
from node.app.providers import Mailboxes, Sending
from node.mailauth import Judgement
from node.pickup import Judge, Provider, ProviderError, Providers, folders_of, servers_of
from node.pickup.book import MAX_PROVIDERS, Folder
from node.pickup.known import PROVIDERS, Known
from node.storage import Batch, Store, open_store
from node.users import Passwords
from tests.kit.fetched import letter
from tests.kit.mailauths import At, mail_auth
from tests.kit.names_server import open_names
from tests.kit.stores import KEY

YOU, OTHER = "you@gmail.com", "you@gmx.net"
GMAIL = Provider(YOU, *servers_of(YOU, "", ""))
GMX = Provider(OTHER, *servers_of(OTHER, "", ""))


@dataclass
class Kept:
    """A store with the rooms over it."""

    store: Store
    passwords: Passwords
    book: Providers
    woken: list[int] = field(default_factory=list)

    def mailboxes(self, addresses: OwnAddresses) -> Mailboxes:
        return Mailboxes(self.book, self.store, addresses, lambda: self.woken.append(1))

    def sending(self, smarthost: str | None = None) -> Sending:
        return Sending(smarthost, self.passwords, self.book)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    async with open_store(tmp_path / "database", KEY, inline=True) as store:
        passwords = Passwords(store)
        yield Kept(store, passwords, Providers(store, passwords, At()))


@pytest.mark.parametrize("known", [one for one in PROVIDERS if one.imap], ids=lambda one: one.domains[0])
def test_every_known_provider_can_be_added(known: Known) -> None:
    """With TLS, but on this machine."""
    for domain in known.domains:
        provider = Provider(f"you@{domain}", *servers_of(f"you@{domain}", "", ""))
        for server in (provider.server, provider.smarthost):
            assert server is not None
            assert server.user in (f"you@{domain}", "you")
            assert server.is_local or server.implicit_tls or server.port == 587
        assert (known, known.authserv_ids) == (provider.known, provider.authserv_ids)


def test_a_domain_is_known_once() -> None:
    domains = [domain for one in PROVIDERS for domain in one.domains]
    assert sorted(set(domains)) == sorted(domains)


USERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=90)


@given(USERS, USERS, st.lists(st.text(max_size=300), max_size=25), st.integers(1, 240))
def test_what_is_taken_can_be_read_again(user: str, name: str, folders: list[str], length: int) -> None:
    """A row that could not be read would keep the node from starting."""
    host = ".".join(["h" * 60] * 4)[:length].rstrip(".")
    address = f"{'a' * 64}@{host}"
    try:
        imap, smtp = servers_of(address, f"imaps://{user}@{host}", f"smtp://{quote(name, safe='')}@{host}:25")
        provider = Provider(address, imap, smtp, folders_of(folders), 0, 1, 2, 3)
    except ProviderError:
        return
    assert provider == Provider.read(provider.value())
    assert provider.smarthost is not None
    assert (True, name or address) == (provider.server.implicit_tls, provider.smarthost.user)


def test_nobody_is_believed_where_mail_comes_from_another_server() -> None:
    """The table's word is about the table's server."""
    imap, smtp = servers_of(YOU, "imaps://imap.evil.example", "")
    other = Provider(YOU, imap, smtp)
    assert ("imaps://you%40gmail.com@imap.evil.example", "") == (imap, smtp)
    assert (None, frozenset(), "") == (other.known, other.authserv_ids, other.note)


async def test_addresses_and_the_way_out_follow_the_providers(kept: Kept) -> None:
    addresses = OwnAddresses(["Me@example.org"], [])
    mailboxes, sending = kept.mailboxes(addresses), kept.sending()
    assert (None, "", "") == (sending.smarthost(), sending.password(), sending.remedy())
    await mailboxes.add(GMX, "one", check=False)
    await mailboxes.add(GMAIL, "two", check=False)
    assert ["Me@example.org", YOU, OTHER] == addresses.texts()  # added in one moment: by name
    assert ("me@example.org", True, True) == (addresses.main, YOU in addresses, OTHER in addresses)
    smarthost = sending.smarthost()
    assert smarthost is not None
    assert ("smtp.gmail.com:465", "two") == (smarthost.place, sending.password())
    assert "mailio provider add you@gmail.com" in sending.remedy()
    assert (GMX.smarthost, "one") == sending.own(OTHER)
    assert sending.own("me@example.org") is None
    own = kept.sending("smtp://me@mail.example.org")
    found = own.smarthost()
    assert found is not None
    assert ("mail.example.org:587", "", "") == (found.place, own.password(), own.remedy())
    assert own.own(OTHER) is None
    assert YOU == await mailboxes.remove(YOU)
    assert (False, True, "one") == (YOU in addresses, OTHER in addresses, sending.password())
    assert "" == kept.book.password(YOU)
    assert 3 == len(kept.woken)


async def test_what_is_removed_leaves_nothing(kept: Kept) -> None:
    mailboxes = kept.mailboxes(OwnAddresses([], []))
    await mailboxes.add(replace(GMAIL, delete_after=5), "x", check=False)
    (provider,) = kept.book.all()
    batch = Batch()
    digest = b"d" * 32
    kept.book.note(batch, provider, "INBOX", 7, 3, digest)
    await kept.book.keep(provider, "INBOX", Folder(7, 4, 1), batch)
    assert kept.book.has(provider, digest)
    await mailboxes.remove(YOU)
    await kept.book.keep(provider, "INBOX", Folder(7, 5, 1))  # a task that has not heard of it yet
    assert not kept.book.has(provider, digest)
    assert (None, []) == (kept.book.folder(provider, "INBOX"), kept.book.due(provider, "INBOX", 9))


async def test_there_is_an_end_of_providers(kept: Kept) -> None:
    mailboxes = kept.mailboxes(OwnAddresses([], []))
    for number in range(MAX_PROVIDERS):
        await mailboxes.add(replace(GMAIL, address=f"{number}@gmail.com"), "x", check=False)
    with pytest.raises(ProviderError, match="at most"):
        await mailboxes.add(GMAIL, "x", check=False)


RESULTS = (
    b"Authentication-Results: %s;\r\n dkim=pass header.i=@friend.example;\r\n"
    b" spf=pass smtp.mailfrom=x@friend.example\r\n"
)


@pytest.mark.parametrize(
    ("top", "ids", "domains"),
    [
        (RESULTS % b"mx.google.com", GMAIL.authserv_ids, ("friend.example",)),
        (RESULTS % b"mx.google.com", frozenset(), ()),
        (RESULTS % b"mx.evil.example", GMAIL.authserv_ids, ()),
        (RESULTS % b"mx.evil.example" + RESULTS % b"mx.google.com", GMAIL.authserv_ids, ()),
        (b"", GMAIL.authserv_ids, ()),
    ],
)
async def test_whose_word_is_believed(top: bytes, ids: frozenset[str], domains: tuple[str, ...]) -> None:
    """The provider's own, on top; else the signature decides, and here there is none."""
    async with open_names() as names:
        judgement: Judgement = await Judge(mail_auth(names))(top + letter(1), ids)
    assert domains == judgement.domains
