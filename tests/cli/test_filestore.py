"""`mailio files`, and what attachments on an IPFS daemon of one's own look like from outside."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from random import Random

import pytest
import trio

from tests.kit.commands import COMMAND, PATIENCE_S, Commands, environment, running
from tests.kit.jsipfs import JsIpfs, jsipfs_meanwhile, needs_jsipfs
from tests.kit.owners import owner

pytestmark = needs_jsipfs

BOB = owner("bob").address
DATA = {f"{n}.bin": Random(n).randbytes(size) for n, size in enumerate((400_000, 1_000_000, 3_000_000))}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[JsIpfs]:
    with jsipfs_meanwhile(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def letter(mailio: Commands, home: Path, tmp_path: Path) -> str:
    """A letter with files, on its way from here."""
    given = []
    for name, data in DATA.items():
        (tmp_path / name).write_bytes(data)
        given += ["--attach", str(tmp_path / name)]
    assert 0 == mailio(home, "send", BOB, "--subject", "s", "--body", "t", *given).code
    return str(mailio(home, "list", "sent", "--json").json[0]["id"])


def use(mailio: Commands, home: Path, daemon: JsIpfs) -> None:
    assert 0 == mailio(home, "config", "set", "files.kubo_api", daemon.api).code
    assert 0 == mailio(home, "config", "set", "files.backend", "kubo").code


def saved(mailio: Commands, home: Path, letter: str, out: Path) -> dict[str, bytes]:
    out.mkdir()
    done = mailio(home, "save", letter, str(out))
    assert 0 == done.code, done.err
    return {path.name: path.read_bytes() for path in out.iterdir()}


def on_disk(home: Path) -> list[Path]:
    return [path for path in (home / "files").rglob("*") if path.is_file()]


def test_there_and_back(mailio: Commands, home: Path, daemon: JsIpfs, letter: str, tmp_path: Path) -> None:
    """There while the node runs, back on the closed store."""
    use(mailio, home, daemon)
    with running(home):
        there(mailio, home, letter, tmp_path)
    assert 0 == mailio(home, "config", "set", "files.backend", "embedded").code
    done = mailio(home, "files", "move", "--json")
    assert (0, 3, 3) == (done.code, done.json["files"], done.json["moved"])
    trio.run(daemon.kill)
    assert DATA == saved(mailio, home, letter, tmp_path / "back")
    assert 3 == len(on_disk(home))


def there(mailio: Commands, home: Path, letter: str, tmp_path: Path) -> None:
    assert 3 == len(on_disk(home))
    assert "still in  the embedded store: 3 (mailio files move)\n" in mailio(home, "files", "stat").out
    assert DATA == saved(mailio, home, letter, tmp_path / "before")
    done = mailio(home, "files", "move")
    assert (0, "moved 3 of 3 to the IPFS daemon\n", "") == (done.code, done.out, done.err)
    assert [] == on_disk(home)
    stat = mailio(home, "files", "stat", "--json").json
    assert ("kubo", 3, 0, 0) == tuple(
        stat[name] for name in ("backend", "files", "elsewhere", "elsewhereSize")
    )
    assert DATA == saved(mailio, home, letter, tmp_path / "after")
    assert "moved 0 of 0 to the IPFS daemon\n" == mailio(home, "files", "move").out


def test_while_the_daemon_is_away(
    mailio: Commands, home: Path, daemon: JsIpfs, letter: str, tmp_path: Path
) -> None:
    use(mailio, home, daemon)
    assert 0 == mailio(home, "files", "move").code
    trio.run(daemon.kill)
    (tmp_path / "out").mkdir()
    done = mailio(home, "save", letter, str(tmp_path / "out"), "--json")
    assert (1, "files-kubo") == (done.code, done.error["code"])
    assert f"the IPFS daemon at {daemon.api} " in done.error["text"]
    assert [] == [*(tmp_path / "out").iterdir()]
    more = mailio(home, "send", BOB, "--body", "t", "--attach", str(tmp_path / "0.bin"), "--json")
    assert (1, "files-kubo") == (more.code, more.error["code"])
    check = next(one for one in mailio(home, "doctor", "--json").json if one["check"] == "node/ipfs")
    assert "fail" == check["state"]
    trio.run(daemon.start)
    assert DATA == saved(mailio, home, letter, tmp_path / "after")
    check = next(one for one in mailio(home, "doctor", "--json").json if one["check"] == "node/ipfs")
    assert check["state"] in {"ok", "warn"}  # js-ipfs is not Kubo, and that is said


def test_a_letter_that_is_erased_leaves_nothing_there(
    mailio: Commands, home: Path, daemon: JsIpfs, letter: str
) -> None:
    use(mailio, home, daemon)
    assert 0 == mailio(home, "files", "move").code
    assert 0 == mailio(home, "outbox", "cancel", mailio(home, "outbox", "--json").json[0]["id"]).code
    for _ in range(2):
        assert 0 == mailio(home, "delete", letter).code
    done = mailio(home, "files", "collect", "--json")
    assert (0, True) == (done.code, done.json["freed"] > sum(map(len, DATA.values())))
    assert 0 == mailio(home, "files", "stat", "--json").json["files"]
    assert "0 B became free\n" == mailio(home, "files", "collect").out


@pytest.mark.parametrize("node", [False, True], ids=["closed", "running"])
def test_interrupted(
    mailio: Commands, home: Path, daemon: JsIpfs, letter: str, tmp_path: Path, node: bool
) -> None:
    """By Ctrl-C, while a daemon takes its time: what is moved stays moved, the rest goes with the next."""
    with socket.create_server(("127.0.0.1", 0)) as slow:
        slow.settimeout(PATIENCE_S)
        api = f"/ip4/127.0.0.1/tcp/{slow.getsockname()[1]}"
        assert 0 == mailio(home, "config", "set", "files.kubo_api", api).code
        assert 0 == mailio(home, "config", "set", "files.backend", "kubo").code
        with running(home) if node else nullcontext():
            command = [*COMMAND, "files", "move"]
            with subprocess.Popen(command, env=environment(home), stderr=subprocess.PIPE) as process:
                with slow.accept()[0]:
                    process.send_signal(signal.SIGINT)
                    _, said = process.communicate(timeout=PATIENCE_S)
            assert 130 == process.returncode, said
            assert b"stopped; what is moved stays moved" in said
    use(mailio, home, daemon)
    assert 0 == mailio(home, "files", "move").code
    assert DATA == saved(mailio, home, letter, tmp_path / "after")
