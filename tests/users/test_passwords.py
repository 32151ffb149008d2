"""Passwords that this node shows elsewhere."""

from pathlib import Path

import pytest

from node.storage import Batch, Store, open_store
from node.users import KUBO, SMARTHOST, PasswordError, Passwords
from node.users.passwords import MAX_PASSWORD
from tests.kit.stores import KEY

NONE = {SMARTHOST: False, KUBO: False}


async def keep(store: Store, passwords: Passwords, password: str) -> None:
    batch = Batch()
    passwords.set(batch, SMARTHOST, password)
    await store.write(batch)
    passwords.refresh()


async def test_one_is_kept_sealed_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "database"
    async with open_store(path, KEY, inline=True) as store:
        passwords = Passwords(store)
        assert ("", NONE) == (passwords.smarthost(), passwords.kept())
        await keep(store, passwords, "a long pass word")
        assert ("a long pass word", NONE | {SMARTHOST: True}) == (passwords.smarthost(), passwords.kept())
    assert not [file for file in path.iterdir() if b"a long pass word" in file.read_bytes()]
    async with open_store(path, KEY, inline=True) as store:
        passwords, batch = Passwords(store), Batch()
        assert passwords.get(SMARTHOST) == "a long pass word"
        assert passwords.unset(batch, SMARTHOST)
        await store.write(batch)
        passwords.refresh()
        assert ("", NONE) == (passwords.smarthost(), passwords.kept())
        assert not passwords.unset(Batch(), SMARTHOST)


@pytest.mark.parametrize("password", ["", "a\nb", "a\x00b", "\ud800", "x" * (MAX_PASSWORD + 1)])
async def test_what_is_no_password_is_refused_and_not_repeated(store: Store, password: str) -> None:
    with pytest.raises(PasswordError) as caught:
        Passwords(store).set(Batch(), SMARTHOST, password)
    assert caught.value.code == "password"
    assert not password or password not in str(caught.value)


async def test_a_setting_without_a_password_is_told(store: Store) -> None:
    for act in (Passwords(store).unset, lambda batch, key: Passwords(store).set(batch, key, "x")):
        with pytest.raises(PasswordError) as caught:
            act(Batch(), "smtp.host")
        assert caught.value.code == "no-secret-setting"


async def test_the_secret_of_an_ipfs_daemon_has_a_form(store: Store) -> None:
    passwords, batch = Passwords(store), Batch()
    for wrong in ("hunter2", "bearer:", "basic:hunter2"):
        with pytest.raises(PasswordError) as caught:
            passwords.set(batch, KUBO, wrong)
        assert "bearer:TOKEN or basic:USER:PASSWORD" in caught.value.remedy
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
    passwords.set(batch, KUBO, "bearer:hunter2")
    await store.write(batch)
    passwords.refresh()
    assert ("bearer:hunter2", NONE | {KUBO: True}) == (passwords.kubo(), passwords.kept())
    assert passwords.smarthost() == ""
