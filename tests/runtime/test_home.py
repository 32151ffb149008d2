import os
import stat
from pathlib import Path

import pytest

from node.runtime.errors import NodeError
from node.runtime.home import MAX_PRIVATE_FILE, MAX_SOCKET_PATH, Home, read_private, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(path: Path) -> list[str]:
    return sorted(found.name for found in path.iterdir())


def test_the_option_wins_over_the_environment(tmp_path: Path) -> None:
    environ = {"MAILIO_HOME": str(tmp_path / "b")}
    assert Home.locate(str(tmp_path / "a"), environ).path == tmp_path / "a"
    assert Home.locate(None, environ).path == tmp_path / "b"
    assert Home.locate(None, {}).path.name == "mailio"


def test_a_new_home_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.create()
    assert mode(home.path) == 0o700
    assert not home.exists()


def test_an_existing_home_is_tightened(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir(mode=0o755)
    home.config.touch()
    home.create()
    assert mode(home.path) == 0o700


def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "documents")
    home.path.mkdir()
    home.path.chmod(0o755)
    (home.path / "letter.txt").touch()
    with pytest.raises(NodeError, match="holds other things"):
        home.create()
    assert mode(home.path) == 0o755


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NodeError, match="can't make"):
        Home(tmp_path / "file").create()


def test_a_place_where_nothing_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "away")
    with pytest.raises(NodeError, match="can't make"):
        Home(tmp_path / "nowhere" / "home").create()


def test_private_files_come_back(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"one")
    write_private(path, b"two")
    assert (read_private(path), mode(path)) == (b"two", 0o600)
    assert names(tmp_path) == ["key"]


def test_a_link_left_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "key.new").symlink_to(tmp_path / "elsewhere")
    write_private(tmp_path / "key", b"secret")
    assert names(tmp_path) == ["key"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.mkdir()
    with pytest.raises(NodeError, match="can't write"):
        write_private(path, b"secret")
    assert names(tmp_path) == ["key"]


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "key"
    write_private(path, b"secret")
    path.chmod(bits)
    with pytest.raises(NodeError, match="others can read") as error:
        read_private(path)
    assert error.value.remedy == f"run: chmod 600 {path}"


def test_what_is_not_there_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "none")
    write_private(tmp_path / "large", bytes(MAX_PRIVATE_FILE + 1))
    with pytest.raises(NodeError, match="too large"):
        read_private(tmp_path / "large")


def test_the_socket_is_in_the_home_while_it_fits(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert (home.socket_path, home.socket_dir()) == (tmp_path / "mailio.sock", tmp_path)


def test_a_long_home_gets_a_short_private_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000 + os.getpid())
    home, other = Home(tmp_path / ("x" * 100)), Home(tmp_path / ("y" * 100))
    assert len(os.fsencode(home.socket_path)) <= MAX_SOCKET_PATH
    assert home.socket_path != other.socket_path
    try:
        # Made by us, but for a user who isn't us: as if a stranger had made it first.
        with pytest.raises(NodeError, match="not a private directory of yours"):
            home.socket_dir()
        monkeypatch.undo()
        assert home.socket_dir() == home.socket_path.parent
        assert mode(home.socket_path.parent) == 0o700
    finally:
        Path(f"/tmp/mailio-{4_000_000_000 + os.getpid()}").rmdir()
