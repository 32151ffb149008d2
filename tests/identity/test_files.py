import stat
from pathlib import Path

import pytest

from node.identity import create, create_peer_key, exists, load, load_peer_key
from node.identity.files import KEEP_LINK_MS, link_ends, load_chain, load_secrets, oldest_week, write_chain
from node.runtime.errors import NodeError
from node.runtime.home import Home
from node.storage import DatabaseKey
from protocol.cbor import encode
from protocol.keys import Secrets
from protocol.prekeys import FIRST_WEEK, WEEK_MS, Chain, week_of
from tests.identity.conftest import ROOT
from tests.kit.owners import NOW
from tests.kit.stores import KEY

OTHER = DatabaseKey.derive(bytes(32))


def files(home: Home) -> list[Path]:
    return [home.identity_file, home.prekey_file, home.peer_key_file]


def load_all(home: Home) -> None:
    load(home, KEY)
    load_peer_key(home, KEY)


def test_what_is_made_is_loaded(home: Home) -> None:
    assert not exists(home)
    create(home, KEY, ROOT, NOW)
    assert exists(home)
    assert load_secrets(home, KEY) == Secrets.derive(ROOT)
    assert load(home, KEY).address == Secrets.derive(ROOT).address
    assert len(load_peer_key(home, KEY)) == 32


def test_files_are_private_sealed_and_without_the_root(home: Home) -> None:
    create(home, KEY, ROOT, NOW)
    secrets = Secrets.derive(ROOT)
    link = load_chain(home, KEY).link
    for path in files(home):
        data = path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not any(key in data for key in (ROOT, secrets.identity_seed, secrets.pair_key, link))
    opened = [KEY.open(path.name.encode(), path.read_bytes()) for path in files(home)]
    assert not any(ROOT in data for data in opened)


def test_an_identity_is_never_overwritten(home: Home) -> None:
    create(home, KEY, ROOT, NOW)
    before = [path.read_bytes() for path in files(home)]
    with pytest.raises(NodeError) as fault:
        create(home, KEY, bytes(32), NOW)
    assert fault.value.code == "identity-exists"
    assert [path.read_bytes() for path in files(home)] == before


def test_what_was_interrupted_is_made_again(home: Home) -> None:
    create(home, KEY, bytes(32), NOW)
    home.identity_file.unlink()
    peer_key = load_peer_key(home, KEY)
    create(home, KEY, ROOT, NOW)
    assert load_chain(home, KEY) == Chain.start(ROOT).advance(oldest_week(NOW))
    assert load_peer_key(home, KEY) == peer_key


def test_a_bootstrap_node_has_a_peer_key_only(home: Home) -> None:
    seed = create_peer_key(home, KEY)
    assert load_peer_key(home, KEY) == seed
    assert not exists(home)
    with pytest.raises(NodeError, match="already"):
        create_peer_key(home, KEY)


@pytest.mark.parametrize("generation", [0, 1])
def test_recovered_from_the_words_the_last_forty_days_can_be_opened(home: Home, generation: int) -> None:
    create(home, KEY, ROOT, NOW, generation)
    identity, whole = load(home, KEY), Chain.start(ROOT, generation)
    first, last = week_of(NOW - KEEP_LINK_MS), week_of(NOW)
    assert [identity.prekey_private(week) for week in range(first, last + 1)] == [
        whole.private(week) for week in range(first, last + 1)
    ]
    assert identity.prekey_private(first - 1) is None
    assert identity.first_week == first


@pytest.mark.parametrize("now", [0, FIRST_WEEK * WEEK_MS, FIRST_WEEK * WEEK_MS + KEEP_LINK_MS])
def test_no_chain_begins_before_the_first_week(home: Home, now: int) -> None:
    create(home, KEY, ROOT, now)
    assert load_chain(home, KEY) == Chain.start(ROOT)


def test_a_link_is_kept_until_forty_days_after_its_week() -> None:
    week = FIRST_WEEK + 50
    ends = link_ends(week)
    assert ends == (week + 1) * WEEK_MS + 40 * 86_400_000
    assert (oldest_week(ends - 1), oldest_week(ends)) == (week, week + 1)


def test_a_later_link_replaces_the_file(home: Home) -> None:
    create(home, KEY, ROOT, NOW)
    later = load_chain(home, KEY).advance(week_of(NOW))
    inode = home.prekey_file.stat().st_ino
    write_chain(home, KEY, later)
    assert load_chain(home, KEY) == later
    assert home.prekey_file.stat().st_ino != inode
    assert [path.name for path in home.path.iterdir() if "prekey" in path.name] == ["prekey.key"]


@pytest.mark.parametrize("name", ["identity.key", "prekey.key", "peer.key"])
@pytest.mark.parametrize("damage", ["gone", "cut", "foreign", "swapped", "newer", "public"])
def test_what_can_be_wrong_with_a_file_is_said(home: Home, name: str, damage: str) -> None:
    create(home, KEY, ROOT, NOW)
    path, context = home.path / name, name.encode()
    match damage:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-1])
        case "foreign":
            path.write_bytes(OTHER.seal(context, KEY.open(context, path.read_bytes())))
        case "swapped":
            path.write_bytes(KEY.seal(b"other", KEY.open(context, path.read_bytes())))
        case "newer":
            path.write_bytes(KEY.seal(context, encode({"form": 2})))
        case "public":
            path.chmod(0o644)
    with pytest.raises(NodeError) as fault:
        load_all(home)
    assert fault.value.text
    assert fault.value.remedy


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 40, encode([1]), encode({"form": 1})])
@pytest.mark.parametrize("name", ["identity.key", "prekey.key", "peer.key"])
def test_what_is_sealed_but_wrong_is_damaged(home: Home, name: str, data: bytes) -> None:
    create(home, KEY, ROOT, NOW)
    (home.path / name).write_bytes(KEY.seal(name.encode(), data))
    with pytest.raises(NodeError, match="damaged"):
        load_all(home)
