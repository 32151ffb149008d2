"""App passwords: made, recognised, taken away."""

import math
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from node.runtime.clock import SystemClock
from node.storage import Batch, Store, open_store
from node.storage.schema import USER
from node.users import UserError, Users
from node.users.secret import ALPHABET, LENGTH, MAX_TYPED, Hash, new_password
from node.users.users import MAX_USERS, clean_name
from tests.kit.stores import KEY


async def added(store: Store, users: Users, name: str) -> str:
    batch = Batch()
    password = users.add(batch, name)
    await store.write(batch)
    users.refresh()
    return password


async def removed(store: Store, users: Users, name: str) -> str:
    batch = Batch()
    kept = users.remove(batch, name)
    await store.write(batch)
    users.refresh()
    return kept


async def test_a_password_is_known_by_its_name_only(store: Store, users: Users) -> None:
    phone, laptop = await added(store, users, "Phone"), await added(store, users, "laptop")
    assert phone != laptop
    assert users.check("phone", phone)
    assert users.check(" PHONE ", phone)
    assert not users.check("laptop", phone)
    assert not users.check("nobody", phone)
    assert not users.check("phone", "")
    assert not users.check("", "")
    assert not users.check("phone", phone[:-1])
    assert ["laptop", "Phone"] == [one["name"] for one in users.list()]
    assert {"name", "created"} == users.list()[0].keys()


async def test_it_may_be_typed_with_and_without_hyphens(store: Store, users: Users) -> None:
    password = await added(store, users, "phone")
    assert users.check("phone", password.replace("-", ""))
    assert users.check("phone", password.replace("-", " ").upper())


async def test_it_lasts_and_is_not_what_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "database"
    async with open_store(path, KEY, inline=True) as store:
        password = await added(store, Users(store, SystemClock()), "phone")
        plain = password.replace("-", "").encode()
        ((_, row),) = store.scan(USER, limit=9)
        assert plain not in repr(row).encode()
    assert not [file for file in path.iterdir() if plain in file.read_bytes()]
    async with open_store(path, KEY, inline=True) as store:
        assert Users(store, SystemClock()).check("phone", password)


async def test_a_removed_one_is_refused_at_once(store: Store, users: Users) -> None:
    password, other = await added(store, users, "Phone"), await added(store, users, "laptop")
    assert "Phone" == await removed(store, users, "phone")
    assert not users.check("phone", password)
    assert (False, True) == (users.known("phone"), users.known("LAPTOP"))
    assert users.check("laptop", other)
    with pytest.raises(UserError) as caught:
        users.remove(Batch(), "phone")
    assert caught.value.code == "no-such-user"
    assert password != await added(store, users, "phone")
    assert not users.check("phone", password)


async def test_names_are_one_whatever_their_case(store: Store, users: Users) -> None:
    await added(store, users, "Straße  7")
    assert [{"Straße 7"}] == [{one["name"]} for one in users.list()]
    for same in ("straße 7", "STRASSE 7"):
        with pytest.raises(UserError) as caught:
            users.add(Batch(), same)
        assert caught.value.code == "user-exists"


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\nb", "a\x00b", "a\u202eb", "\ud800", "x" * 9_000])
def test_names_that_can_not_be(name: str) -> None:
    with pytest.raises(UserError) as caught:
        clean_name(name)
    assert caught.value.code == "user-name"


async def test_there_are_not_more_than_fit(store: Store, users: Users) -> None:
    batch = Batch()
    for n in range(MAX_USERS):
        users.add(batch, str(n))
    await store.write(batch)
    with pytest.raises(UserError) as caught:
        users.add(Batch(), "one more")
    assert caught.value.code == "users-full"
    assert len(users.list()) == MAX_USERS


async def test_another_thread_may_ask_while_the_table_changes(store: Store, users: Users) -> None:
    password, answers, done = await added(store, users, "phone"), [], False

    def ask() -> None:
        while not done:
            answers.append((users.check("phone", password), users.check("other", password)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, ask)
        for n in range(20):
            await added(store, users, str(n))
        done = True
    assert {(True, False)} == set(answers)


def test_a_password_is_chance_enough_and_easy_to_type() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET)
    assert LENGTH * math.log2(len(ALPHABET)) >= 120
    assert not set(ALPHABET) & set("0o1li")
    found = {new_password() for _ in range(200)}
    assert len(found) == 200
    assert {(5,) * 5} == {tuple(map(len, one.split("-"))) for one in found}


def test_the_same_password_is_kept_in_two_ways() -> None:
    assert Hash.of("aaaaa").digest != Hash.of("aaaaa").digest


async def test_offers_of_any_form_are_refused(store: Store, users: Users) -> None:
    password = await added(store, users, "phone")
    assert not users.check("phone" + " " * MAX_TYPED, password)
    assert not users.check("phone", password + "-" * MAX_TYPED)

    @given(st.text() | st.just("phone"), st.text())
    def hold(name: str, offered: str) -> None:
        assert not users.check(name, offered)

    hold()
