import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.names import Contact, ContactError, Names, Target, UnknownRecipient
from node.names import contacts as contacts_module
from node.names.contacts import clean_name, same_name
from node.runtime.errors import NodeError, UsageError
from node.storage import Batch, Store
from protocol.link import ContactLink
from tests.kit.owners import NOW, owner

ALICE, BOB = owner("alice").address, owner("bob").address


async def add(store: Store, names: Names, name: str, *who: str) -> Contact:
    batch = Batch()
    contact = names.add(batch, name, who)
    await store.write(batch)
    return contact


async def test_a_contact_is_found_by_name_in_any_case(store: Store, names: Names) -> None:
    added = await add(store, names, "  Ana   Müller ", ALICE, "Ana@EXAMPLE.org")
    assert added == Contact(added.id, "Ana Müller", ALICE, ("ana@example.org",), NOW)
    assert names.contacts() == [added]
    for text in ("ana müller", "ANA  MÜLLER", "Ana Mu\u0308ller"):
        assert names.resolve(text) == Target("mailio", ALICE, name="Ana Müller")


async def test_the_address_book_comes_before_an_e_mail_address(store: Store, names: Names) -> None:
    await add(store, names, "Ana", ALICE, "ana@example.org")
    await add(store, names, "Old Ben", "ben@example.org")
    assert names.resolve("ana@example.org") == Target("mailio", ALICE, name="Ana")
    assert names.resolve("Ben@example.org") == Target("email", "ben@example.org", name="Old Ben")
    assert names.resolve("old ben") == Target("email", "ben@example.org", name="Old Ben")
    assert names.resolve("zoe@example.org") == Target("email", "zoe@example.org")


async def test_every_form_of_an_address(store: Store, names: Names) -> None:
    await add(store, names, "Ana", ALICE)
    link = ContactLink(BOB, owner("bob").public)
    assert names.resolve(ALICE.upper().replace("0X", "0x")) == Target("mailio", ALICE, name="Ana")
    assert names.resolve(f"did:mailio:{BOB}") == Target("mailio", BOB)
    assert names.resolve(f"{BOB}@mailio.alt") == Target("mailio", BOB)
    assert names.resolve(link.encode()) == Target("mailio", BOB, link=link)


async def test_a_link_pins_with_its_contact_and_not_before(store: Store, names: Names) -> None:
    link = ContactLink(BOB, owner("bob").public, ("/ip4/127.0.0.1/tcp/4101/p2p/12D3KooWBob",))
    names.resolve(link.encode())
    assert names.pinned(BOB) is None
    await add(store, names, "Bob", link.encode())
    pin = names.pinned(BOB)
    assert pin is not None
    assert (pin.public_key, pin.hints) == (owner("bob").public, link.addrs)


@pytest.mark.parametrize("who", [("ANA",), ("Ana ",), ("ＡＮＡ",)], ids=["case", "spaces", "wide letters"])
async def test_a_name_is_unique(store: Store, names: Names, who: tuple[str]) -> None:
    await add(store, names, "Ana", ALICE)
    with pytest.raises(ContactError, match="already"):
        names.add(Batch(), *who, [BOB])


async def test_an_address_belongs_to_one_contact(store: Store, names: Names) -> None:
    await add(store, names, "Ana", ALICE, "ana@example.org")
    for who in (ALICE, "ana@example.org"):
        with pytest.raises(ContactError, match="is the contact Ana already"):
            names.add(Batch(), "Other", [who])


async def test_edit_keeps_the_id_and_frees_what_it_gave_up(store: Store, names: Names) -> None:
    first = await add(store, names, "Ana", ALICE, "ana@example.org")
    batch = Batch()
    changed = names.edit(batch, "ana", new_name="Anna", who=[BOB])
    await store.write(batch)
    assert changed == Contact(first.id, "Anna", BOB, (), NOW)
    assert names.contacts() == [changed]
    with pytest.raises(UnknownRecipient):
        names.resolve("Ana")
    await add(store, names, "Ana", ALICE, "ana@example.org")
    batch = Batch()
    assert names.edit(batch, "anna", new_name="ANNA").address == BOB
    with pytest.raises(ContactError, match="already"):
        names.edit(batch, "anna", new_name="ana")


async def test_removed_is_unknown_and_stays_pinned(store: Store, names: Names) -> None:
    await add(store, names, "Ana", ContactLink(ALICE, owner("alice").public).encode())
    batch = Batch()
    names.remove(batch, "ANA")
    await store.write(batch)
    assert names.contacts() == []
    assert names.name_of(ALICE) is None
    assert names.pinned(ALICE) is not None
    with pytest.raises(UnknownRecipient) as fault:
        names.remove(Batch(), "ana")
    assert fault.value.remedy


async def test_a_mistyped_name_is_told_what_is_near(store: Store, names: Names) -> None:
    await add(store, names, "Ana Müller", ALICE)
    with pytest.raises(UnknownRecipient, match="did you mean Ana Müller"):
        names.resolve("müller")


@pytest.mark.parametrize(
    "name",
    [
        *("", "   ", "a\nb", "a\x1b[31m", "a\u202eb", "a\u200bb", "a\u2028b", "\ud800", "x" * 201),
        *("a@b.example", ALICE, f"did:mailio:{ALICE}", "did:x", "mailio:x", "0x12"),
    ],
)
async def test_names_that_are_refused(names: Names, name: str) -> None:
    with pytest.raises(ContactError):
        names.add(Batch(), name, [ALICE])


@pytest.mark.parametrize(
    "who", [[], ["Ben"], [ALICE, BOB], ["x@"], ["0x12"], [f"a{n}@example.org" for n in range(21)]]
)
async def test_whereabouts_that_are_refused(names: Names, who: list[str]) -> None:
    with pytest.raises(NodeError):
        names.add(Batch(), "Ana", who)


async def test_the_book_is_bounded(store: Store, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts_module, "MAX_CONTACTS", 1)
    await add(store, names, "Ana", ALICE)
    with pytest.raises(ContactError, match="holds 1 names"):
        names.add(Batch(), "Ben", [BOB])


@given(st.text())
def test_a_kept_name_is_the_name_it_is_found_by(text: str) -> None:
    try:
        name = clean_name(text)
    except ContactError:
        return
    assert name.isprintable()
    assert clean_name(name) == name
    assert same_name(name) == same_name(text) == same_name(same_name(name))


async def test_whatever_is_typed_is_a_target_or_refused(names: Names) -> None:
    @given(st.text() | st.from_regex(r"(mailio:|did:|0x|.*@).*"))
    def holds(text: str) -> None:
        with contextlib.suppress(UnknownRecipient, UsageError):
            assert names.resolve(text).kind in ("mailio", "email")

    holds()
