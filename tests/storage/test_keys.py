from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.runtime.errors import NodeError
from node.runtime.home import Home, write_private
from node.storage import keys
from node.storage.keys import DatabaseKey, create_key, is_locked, unlock
from protocol.cbor import Value, encode


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.create()
    return home


async def refusal(home: Home, passphrase: str | None) -> str:
    with pytest.raises(NodeError) as error:
        await unlock(home, passphrase)
    return error.value.code


async def test_a_bare_key_comes_back(home: Home) -> None:
    key = await create_key(home, None)
    assert await unlock(home, None) == key
    assert not is_locked(home)
    assert await refusal(home, "not asked for") == "passphrase-unused"


async def test_a_passphrase_locks_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "PASSES", 1)
    key = await create_key(home, "Stra\u00dfe caf\u00e9")
    assert is_locked(home)
    assert await unlock(home, "Stra\u00dfe cafe\u0301") == key
    assert await refusal(home, None) == "passphrase-needed"
    assert await refusal(home, "strasse") == "passphrase-wrong"
    assert await refusal(home, "x" * 1025) == "passphrase-length"


async def test_the_costs_are_those_of_the_design(home: Home) -> None:
    assert (keys.MEMORY, keys.PASSES) == (64 * 1024 * 1024, 4)


async def test_a_key_is_never_written_over(home: Home) -> None:
    key = await create_key(home, None)
    with pytest.raises(NodeError, match="is there already"):
        await create_key(home, None)
    assert await unlock(home, None) == key


async def test_what_is_missing_is_said(home: Home) -> None:
    assert await refusal(home, None) == "no-home"
    home.database.mkdir()
    assert await refusal(home, None) == "key-missing"


@given(
    st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from(["version", "key", "salt", "passes", "memory", "sealed"]),
        st.integers(0, 3) | st.integers(0, 2**53 - 1) | st.binary(max_size=33),
    ).map(encode)
)
async def test_a_damaged_key_file_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    home = Home(tmp_path_factory.getbasetemp() / "damaged")
    home.create()
    write_private(home.key_file, data)
    assert await refusal(home, None) in {"key-damaged", "passphrase-needed"}


async def test_an_unreasonable_cost_is_not_paid(home: Home) -> None:
    fields: dict[str, Value] = {
        "version": 1,
        "salt": bytes(16),
        "passes": 1,
        "memory": 1 << 40,
        "sealed": bytes(72),
    }
    write_private(home.key_file, encode(fields))
    assert await refusal(home, "anything") == "key-damaged"


def test_files_open_in_their_context_only() -> None:
    key = DatabaseKey.derive(bytes(32))
    sealed = key.seal(b"identity", b"secret")
    assert key.open(b"identity", sealed) == b"secret"
    assert b"secret" not in sealed
    for context, data in (
        (b"prekey", sealed),
        (b"identity", sealed[:-1]),
        (b"identity", b""),
        (b"identity", b"x" * 50),
    ):
        with pytest.raises(NodeError, match="damaged"):
            key.open(context, data)
    with pytest.raises(NodeError):
        key.open_value(b"identity", sealed)
    with pytest.raises(NodeError):
        DatabaseKey.derive(b"\x01" * 32).open(b"identity", sealed)


def test_index_hashes_depend_on_key_context_and_data() -> None:
    one, other = DatabaseKey.derive(bytes(32)), DatabaseKey.derive(b"\x01" * 32)
    hashes = {one.index("a", b"x"), one.index("a", b"y"), one.index("b", b"x"), other.index("a", b"x")}
    assert len(hashes) == 4
    assert one.index("a", b"x") == one.index("a", b"x")
    assert {len(found) for found in hashes} == {16}


def test_a_key_is_not_shown() -> None:
    assert "values" not in repr(DatabaseKey.derive(bytes(32)))
