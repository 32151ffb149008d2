"""The command as a process: a closed home, a running node, passphrases, words, and how it ends."""

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from node.runtime.home import Home
from tests.kit.commands import COMMAND, PATIENCE_S, Commands, environment, running
from tests.kit.owners import owner

BOB = owner("bob").address
FORBIDDEN = (
    "libp2p",
    "fastapi",
    "pydantic_settings",
    "plyvel",
    "nacl",
    "trio",
    "httpx",
    "http.client",
    "rich",
    "cbor2",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_home_from_words_to_letters(mailio: Commands, home: Path, tmp_path: Path) -> None:
    made = mailio(home, "init", "--json").json
    assert {"address", "did", "peerId", "words"} == made.keys()
    assert len(made["words"]) == 24
    assert stat.S_IMODE(home.stat().st_mode) == 0o700

    assert mailio(home, "init", "--json").error["code"] == "identity-exists"

    found = mailio(home, "id", "--json").json
    assert found.keys() == {"address", "did", "peerId", "addrs", "link"}
    assert {name: found[name] for name in ("address", "did", "peerId")} == {
        name: made[name] for name in ("address", "did", "peerId")
    }
    assert mailio(home, "list", "--json").json == []
    assert mailio(home, "contact", "add", "Bob", BOB).code == 0
    sent = mailio(home, "send", "bob", "--subject", "Grüße", "--json", stdin="Wie geht’s?\n")
    assert (sent.code, sent.json["recipients"][0]["state"]) == (0, "queued")
    assert "mailio run" in sent.err
    (copy,) = mailio(home, "list", "sent", "--json").json
    shown = mailio(home, "read", copy["id"])
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.endswith("Subject: Grüße\n" + shown.out.split("Subject: Grüße\n")[1])
    assert shown.out.endswith("\n\nWie geht’s?\n")
    assert mailio(home, "read", copy["id"], "--raw").out.startswith("Date: ")
    assert mailio(home, "read", "zz").code == 1
    assert mailio(home, "peers", "--json").error["remedy"] == "start the node with: mailio run"

    wrong = mailio(home, "words", "confirm", "--json", stdin=" ".join(["zoo"] * 23 + ["vote"]))
    assert wrong.error["code"] == "words-differ"
    numbered = "\n".join(f"{n}. {word.upper()}" for n, word in enumerate(made["words"], 1))
    assert mailio(home, "words", "confirm", "--json", stdin=numbered).json == {"confirmed": True}
    assert mailio(home, "status", "--json").json["warnings"] == []

    again = mailio(tmp_path / "other", "init", "--recover", "--json", stdin=" ".join(made["words"])).json
    assert (again["address"], again["words"]) == (made["address"], [])
    assert again["peerId"] != made["peerId"]
    assert again["restored"] == {"handshakes": 0, "contacts": 0, "letters": 0, "hosts": 0}
    warnings = mailio(tmp_path / "other", "status", "--json").json["warnings"]
    assert [one["code"] for one in warnings] == ["recovering"]


def test_words_are_shown_to_someone_or_not_at_all(mailio: Commands, home: Path) -> None:
    done = mailio(home, "init")
    assert (done.code, done.out) == (1, "")
    assert "with --json" in done.err
    assert not home.exists()
    done = mailio(home, "run")
    assert (done.code, done.out) == (1, "")
    assert "mailio init --json" in done.err


@pytest.mark.parametrize(
    ("text", "said"), [("zoo", "1 words"), (" ".join(["zoo"] * 24), ""), (" ".join(["xyzzy"] * 24), "")]
)
def test_words_that_are_nobodys(mailio: Commands, home: Path, text: str, said: str) -> None:
    done = mailio(home, "init", "--recover", "--json", stdin=text)
    assert (done.code, done.error["code"]) == (2, "words")
    assert said in done.error["text"]
    assert "xyzzy" not in done.err + done.out
    assert not Home(home).identity_file.exists()


def test_hosts_are_named_in_full_and_for_a_recovery_alone(mailio: Commands, home: Path) -> None:
    for more in (["--host", "/ip4/192.0.2.1/tcp/1/p2p/x"], ["--recover", "--host", "/ip4/192.0.2.1/tcp/1"]):
        done = mailio(home, "init", "--json", *more, stdin="")
        assert (done.code, done.error["code"]) == (2, "host")
        assert not home.exists()


def test_a_passphrase_locks_the_home(mailio: Commands, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse\n")
    file.chmod(0o644)
    assert mailio(home, "init", "--json", "--passphrase-file", str(file)).error["code"] == "file-not-private"
    file.chmod(0o600)
    assert mailio(home, "init", "--json", "--passphrase-file", str(file)).code == 0
    assert mailio(home, "list", "--json").error["code"] == "passphrase-needed"
    assert mailio(home, "list", "--json", extra={"MAILIO_PASSPHRASE_FILE": str(file)}).json == []
    file.write_text("wrong")
    done = mailio(home, "list", "--json", extra={"MAILIO_PASSPHRASE_FILE": str(file)})
    assert done.error["code"] == "passphrase-wrong"


def test_a_running_node_is_asked_and_ends_in_order(mailio: Commands, home: Path) -> None:
    made = mailio(home, "init", "--json").json
    with running(home) as (process, up):
        assert (up["address"], len(up["addrs"])) == (made["address"], 1)
        status = mailio(home, "status", "--json").json
        assert status["listen"]["libp2p"] == up["addrs"]
        link = mailio(home, "handshake", "link", "--json").json["link"]
        assert link.startswith(f"mailio:{made['address']}?k=")
        assert "&i=" in link
        busy = mailio(home, "run", "--json")
        assert busy.error["code"] == "store-locked"
        assert mailio(home, "handshake", "revoke", BOB, "--json").json["status"] == "revoked"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert not Home(home).socket_path.exists()
    (row,) = mailio(home, "handshake", "list", "--json").json
    assert (row["who"], row["status"]) == (BOB, "revoked")


def test_a_public_node_is_asked_too(mailio: Commands, home: Path) -> None:
    with running(home, "bootstrap", "run") as (process, up):
        assert (up["address"], len(up["addrs"])) == (None, 1)
        assert mailio(home, "id", "--json").json["peerId"] == up["peerId"]
        assert mailio(home, "list", "--json").error["code"] == "public-node"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_a_store_that_someone_holds_without_answering(mailio: Commands, home: Path) -> None:
    mailio(home, "init", "--json")
    with running(home):
        Home(home).socket_path.unlink()
        assert mailio(home, "list", "--json").error["code"] == "node-silent"


def test_a_reader_that_goes_away_is_no_fault(mailio: Commands, home: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "config", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(home)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_asking_a_running_node_loads_little(mailio: Commands, home: Path) -> None:
    mailio(home, "init", "--json")
    program = (
        "import json, sys; from node.cli.main import run; code = run(['list', '--json']);"
        "print(json.dumps(sorted(sys.modules))); sys.exit(code)"
    )
    with running(home):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            env=environment(home),
            check=True,
            timeout=PATIENCE_S,
        )
    answer, modules = done.stdout.decode().splitlines()
    assert json.loads(answer) == []
    assert not set(json.loads(modules)) & set(FORBIDDEN)
