"""`send --attach`, `save` and `files`: what goes in comes out, whoever named it, and what breaks off leaves
nothing behind.
"""

import os
import pty
import pwd
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pyte
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from node.app import open_desk
from node.cli.attaching import MAX_FILES, opened
from node.cli.files import MAX_NAME_BYTES, _numbered, in_line
from node.letters import Reduced
from node.letters.missing import State
from node.letters.text import clean_filename
from node.letters.uploads import MAX_ATTACHMENTS
from node.runtime.config import Config
from node.runtime.home import Home
from node.storage import Batch
from protocol.identity import Capabilities, build_identity
from protocol.place import Place
from protocol.stream import ContentRef
from protocol.unixfs import raw_cid, reference_of
from tests.kit.commands import COMMAND, PATIENCE_S, Commands, Done, environment, running
from tests.kit.letters import arrival
from tests.kit.owners import NOW, owner
from tests.kit.people import came, heard
from tests.kit.processes import Process, Village, a_village
from tests.kit.samples import samples

BOB: Final = owner("bob").address
LARGE: Final = 3_000_000
HUGE: Final = 150_000_000
MOST_MEMORY: Final = 120_000_000
"""Bytes of memory of a command, whatever it saves."""


def data_of(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def send(mailio: Commands, home: Path, *files: Path) -> str:
    """The id of the copy of a letter with these files."""
    given = [argument for path in files for argument in ("--attach", str(path))]
    done = mailio(home, "send", BOB, "--subject", "s", "--body", "t", *given, "--json")
    assert done.code == 0, done.err
    return str(mailio(home, "list", "sent", "--json").json[0]["id"])


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def arrive(home: Path, raw: bytes, refs: Sequence[ContentRef] = (), states: Sequence[State] = ()) -> str:
    """A letter of Bob's, with what lies outside in these states; its id."""

    async def take() -> bytes:
        async with open_desk(Home(home), Config(), None) as desk:
            names = tuple(bytes([n]) * 16 for n in range(len(refs)))
            batch, message = Batch(), Reduced(raw, tuple(refs), names, b"h" * 32 if refs else None)
            letter = desk.mailbox.take_in(batch, arrival(author=BOB, raw=raw, message=message, fetch=True))
            await desk.store.write(batch)
            batch = Batch()
            for n, state in enumerate(states):
                missing = desk.mailbox.outstanding.book.get(letter, n)
                assert missing is not None
                desk.mailbox.outstanding.book.put(batch, replace(missing, state=state, detail="why"))
            await desk.store.write(batch)
            return letter

    return trio.run(take).hex()


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# ---- sending


def test_files_go_with_a_letter_and_are_saved(
    mailio: Commands, home: Path, out: Path, tmp_path: Path
) -> None:
    contents = {"a.pdf": b"%PDF-1.7\n" + data_of(LARGE), "empty": b"", "c.tar.gz": data_of(10)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    letter = send(mailio, home, *(tmp_path / name for name in contents))
    found = mailio(home, "read", letter, "--json").json["attachments"]
    kinds = ["application/pdf", "application/octet-stream", "application/octet-stream"]
    assert [*zip(contents, kinds, map(len, contents.values()), strict=True)] == [
        (one["filename"], one["mediaType"], one["size"]) for one in found
    ]
    shown = mailio(home, "read", letter[:12]).out
    assert "File:    a.pdf (3.0 MB)\nFile:    empty (0 B)\nFile:    c.tar.gz (10 B)\n" in shown

    done = mailio(home, "save", letter, str(out), "--json")
    assert (0, "") == (done.code, done.err)
    assert done.json == [one | {"path": str(out / one["filename"])} for one in found]
    assert contents == {name: (out / name).read_bytes() for name in contents}

    done = mailio(home, "save", letter[:12], str(out))
    again = ["a (2).pdf", "empty (2)", "c.tar (2).gz"]
    assert (0, "", [str(out / name) for name in again]) == (done.code, done.err, done.out.splitlines())
    assert contents == {name: (out / name).read_bytes() for name in contents}
    assert [*contents.values()] == [(out / name).read_bytes() for name in again]


@pytest.mark.parametrize("size", [9_000, LARGE])
def test_a_file_that_is_not_what_its_name_says(
    mailio: Commands, home: Path, out: Path, tmp_path: Path, size: int
) -> None:
    """It is told, and saved as it is."""
    program = samples()["a.exe"].ljust(size, b"\x00")
    (tmp_path / "invoice.pdf").write_bytes(program)
    letter = send(mailio, home, tmp_path / "invoice.pdf")
    (found,) = mailio(home, "read", letter, "--json").json["attachments"]
    lie = "by its name it is a PDF document, but it is a program for Windows"
    runs = "it is a program for Windows: opening it runs it"
    expected = {
        "mediaType": "application/vnd.microsoft.portable-executable",
        "claimedType": "application/pdf",
        "kind": "program",
        "warnings": [{"code": "name", "text": lie}, {"code": "program", "text": runs}],
        "thumbnail": False,
    }
    assert expected == {key: found[key] for key in expected}
    shown = mailio(home, "read", letter).out
    assert f")\n         mind: {lie}\n         mind: {runs}\n" in shown
    done = mailio(home, "save", letter, str(out))
    assert (0, f"{out / 'invoice.pdf'}\n") == (done.code, done.out)
    assert f"invoice.pdf: mind: {lie}\ninvoice.pdf: mind: {runs}\n" == done.err
    assert program == (out / "invoice.pdf").read_bytes()


def test_a_letter_without_files(mailio: Commands, home: Path, out: Path) -> None:
    letter = send(mailio, home)
    done = mailio(home, "save", letter, str(out))
    assert (0, "", "the letter has no files\n") == (done.code, done.out, done.err)
    assert [] == mailio(home, "save", letter, str(out), "--json").json


def test_what_is_no_file_is_told_before_anything_else(mailio: Commands, home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dir\x1b[2J\nx").mkdir()
    wrong = {
        "missing": "is not there",
        "dir\x1b[2J\nx": "is a directory",
        "fifo": "is no file",
        "/dev/zero": "is no file",
        "/proc/self/status": "is no ordinary file",
        "x" * 300: "File name too long",
        "~nobody/x": "is not there",
        "": "is a directory",
    }
    for name, why in wrong.items():
        path = name if name.startswith("/") else str(tmp_path / name)
        done = mailio(home, "send", "nobody-we-know", "--subject", "s", "--attach", path, "--json")
        assert (2, "attachment") == (done.code, done.error["code"])
        assert why in done.error["text"]
        assert "\x1b" not in done.err
    paths = [str(tmp_path / "missing")] * (MAX_FILES + 1)
    given = [argument for path in paths for argument in ("-a", path)]
    done = mailio(home, "send", BOB, *given, "--json")
    assert (2, "attachment") == (done.code, done.error["code"])
    assert MAX_FILES == MAX_ATTACHMENTS
    assert [] == mailio(home, "outbox", "--all", "--json").json


@contextmanager
def not_as_root() -> Iterator[None]:
    """Root may read everything: somebody else does this in its place."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that everybody may look into; those that pytest makes are their maker's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_a_file_that_may_not_be_read(mailio: Commands, home: Path, open_path: Path) -> None:
    secret = open_path / "secret"
    arguments = ("send", BOB, "--attach", str(secret), "--json")
    # Once before: by then all modules are loaded that somebody else might not be able to read.
    assert f"{secret} is not there" == mailio(home, *arguments).error["text"]
    secret.touch(mode=0)
    with not_as_root():
        done = mailio(home, *arguments)
    assert (2, "attachment") == (done.code, done.error["code"])
    assert f"can't read {secret}: Permission denied" == done.error["text"]


def test_a_file_is_the_same_to_the_end_and_closed_then(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    with opened([str(tmp_path / "a")]) as (one,):
        (tmp_path / "a").unlink()
        (tmp_path / "a").write_bytes(b"second")
        assert ("a", 5, b"first") == (one.name, one.size, one.file.read())
    assert one.file.closed


def test_names_are_safe_before_they_travel(mailio: Commands, home: Path, out: Path, tmp_path: Path) -> None:
    names = [
        b"a\nb.txt",
        b"\x1b[2J.txt",
        "\u202egpj.exe".encode(),
        b"\xff\xfe.bin",
        b"-rf",
        b".hidden",
        b"con.txt",
    ]
    paths = [Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)) for name in names]
    for n, path in enumerate(paths):
        path.write_bytes(bytes([n]))
    letter = send(mailio, home, *paths)
    done = mailio(home, "save", letter, str(out), "--json")
    saved = [Path(one["path"]) for one in done.json]
    assert ["a b.txt", "[2J.txt", "gpj.exe", "__.bin", "-rf", "hidden", "_con.txt"] == [
        path.name for path in saved
    ]
    assert [bytes([n]) for n in range(len(names))] == [path.read_bytes() for path in saved]


@pytest.mark.parametrize("pin", ["30s", "59m", "521w", "0d", "for ever"])
def test_nothing_is_kept_for_a_second_or_for_ever(
    mailio: Commands, home: Path, tmp_path: Path, pin: str
) -> None:
    (tmp_path / "a").touch()
    done = mailio(home, "send", BOB, "--attach", str(tmp_path / "a"), "--pin", pin, "--json")
    assert (2, "duration") == (done.code, done.error["code"])
    assert 0 == mailio(home, "files", "stat", "--json").json["used"]


def read_bytes() -> int:
    """Bytes that this process has read from files (Linux)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("rchar:")).split()[1])


def test_nothing_is_read_in_for_who_does_not_take_it(mailio: Commands, home: Path, tmp_path: Path) -> None:
    bob = owner("bob")
    takes = Capabilities(max_attachment=1_000_000_000)

    async def learn() -> None:
        async with open_desk(Home(home), Config(), None) as desk:
            batch = Batch()
            record = build_identity(bob.secrets, bob.chain, capabilities=takes, price=6, created=NOW)
            desk.names.learn(batch, record)
            await desk.store.write(batch)

    trio.run(learn)
    big, before = sparse(tmp_path / "big", 2_000_000_000), read_bytes()
    for who, code in (
        (BOB, "attachment-too-large"),
        ("nobody", "unknown-recipient"),
        ("a@b.example", "recipient-later"),
    ):
        done = mailio(home, "send", who, "--attach", str(big), "--json")
        assert (1, code) == (done.code, done.error["code"])
    extra = {"MAILIO_LIMITS_ATTACHMENT_SIZE": "5 MB"}
    done = mailio(home, "send", owner("carol").address, "--attach", str(big), "--json", extra=extra)
    assert (1, "attachment-too-large") == (done.code, done.error["code"])
    assert read_bytes() - before < 100_000_000
    assert 0 == mailio(home, "files", "stat", "--json").json["used"]


def test_no_room_for_it(mailio: Commands, home: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data_of(LARGE))
    extra = {"MAILIO_FILES_QUOTA": "1 MB"}
    done = mailio(home, "send", BOB, "--attach", str(tmp_path / "a"), "--json", extra=extra)
    assert (1, "files-quota") == (done.code, done.error["code"])
    assert "raise files.quota" in done.error["remedy"]
    stat = mailio(home, "files", "stat", "--json").json
    assert {"used": 0, "quota": 10_000_000_000, "files": 0, "incomplete": 0} == {
        name: stat[name] for name in ("used", "quota", "files", "incomplete")
    }
    assert "used    0 B of 10 GB (files.quota)\n" in mailio(home, "files", "stat").out


# ---- names of strangers

HOSTILE: Final = [
    "../x", "/etc/passwd", "C:\\x", "con.txt", "x" * 3_000, "\x1b[2J\u202ea\nb", "", "...", "a. . ", "a\x00b",
    ".hidden", "-rf", "a/", "\\\\host\\share", "~", "\N{PILE OF POO}" * 100, "a" * 250 + ".tar.gz",
    "\u202etxt.exe", "../../../../tmp/x", "%2e%2e%2fx", "x\r\ny", "nul", "COM1.log", "a" * 300,
    "é" * 200, ".", "..",
]  # fmt: skip


def hostile_letter(names: Sequence[str]) -> bytes:
    parts = [
        "--b\r\nContent-Type: application/x-test\r\nContent-Disposition: attachment; "
        f"filename*=utf-8''{quote(name, safe='')}\r\n\r\n{n}\r\n"
        for n, name in enumerate(names)
    ]
    head = "From: <bob@example.org>\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return (head + "".join(parts) + "--b--\r\n").encode()


def test_no_name_leaves_its_directory(mailio: Commands, home: Path, out: Path, tmp_path: Path) -> None:
    letter = arrive(home, hostile_letter(HOSTILE))
    before = names_in(tmp_path)
    with running(home):
        done = mailio(home, "save", letter, str(out))
    minded = [line.partition(": mind: ")[0][-6:] for line in done.err.splitlines()]
    assert (0, ["a.t.gz", "xt.exe"]) == (done.code, minded)
    told = [Path(line) for line in done.out.splitlines()]
    assert len(HOSTILE) == len(told) == len(names_in(out))
    assert [str(n).encode() for n in range(len(HOSTILE))] == [path.read_bytes() for path in told]
    for path in told:
        assert path.parent == out
        assert path.name.isprintable()
        assert len(os.fsencode(path.name)) <= MAX_NAME_BYTES
        assert path.name.strip(" .") == path.name != ""
        assert path.stem.upper() not in ("CON", "NUL", "COM1")
    assert before == names_in(tmp_path)
    assert "\x1b" not in mailio(home, "read", letter).out


def test_a_name_is_never_replaced_nor_followed(
    mailio: Commands, home: Path, out: Path, tmp_path: Path
) -> None:
    letter = arrive(home, hostile_letter(["a.txt", "a.txt", "b.txt"]))
    (out / "a.txt").write_bytes(b"mine")
    (out / "a (2).txt").symlink_to(tmp_path / "elsewhere")
    (out / "b.txt").mkdir()
    assert mailio(home, "save", letter, str(out)).code == 0
    assert ["a (2).txt", "a (3).txt", "a (4).txt", "a.txt", "b (2).txt", "b.txt"] == names_in(out)
    assert b"mine" == (out / "a.txt").read_bytes()
    assert not (tmp_path / "elsewhere").exists()


@given(st.text(max_size=600), st.integers(1, 999))
def test_a_number_fits_any_name(text: str, n: int) -> None:
    name = clean_filename(text, "attachment")
    made = _numbered(name, n)
    assert Path(made).name == made
    assert len(made.encode()) <= MAX_NAME_BYTES
    assert (made == name) == (n == 1)


# ---- what is not here


def reference(name: str, n: int, size: int = 1_000) -> ContentRef:
    there = reference_of(raw_cid(bytes([n])))
    return ContentRef(name, "application/pdf", size, b"h" * 32, there, Place(0), key=b"k" * 32)


def test_what_is_here_is_saved_and_the_rest_told(mailio: Commands, home: Path, out: Path) -> None:
    refs = [reference(f"{n}.pdf", n) for n in range(4)]
    letter = arrive(home, hostile_letter(["here.txt"]), refs, ["wanted", "waiting", "expired", "damaged"])
    lines = ["0.pdf (1.0 kB, on its way, 0 %: why)", "1.pdf (1.0 kB, not here: why)", "2.pdf (1.0 kB, why)"]
    lines.append("3.pdf (1.0 kB, not here: why)")
    shown = mailio(home, "read", letter).out.splitlines()
    assert ["File:    here.txt (1 B)", *(f"File:    {line}" for line in lines)] == [
        line for line in shown if line.startswith("File:")
    ]
    done = mailio(home, "save", letter, str(out))
    assert (1, f"{out / 'here.txt'}\n") == (done.code, done.out)
    assert done.err.splitlines() == [
        *(f"not saved: {line}" for line in lines),
        "ask its sender to send it again",
        "what is not here is fetched while the node runs: mailio run",
    ]
    done = mailio(home, "save", letter, str(out), "--json")
    assert (1, [str(out / "here (2).txt"), "", "", "", ""]) == (done.code, [one["path"] for one in done.json])
    assert ["here (2).txt", "here.txt"] == names_in(out)
    done = mailio(home, "read", "--raw", letter)
    assert (1, "") == (done.code, done.out)
    said = "a part of this letter is not here, so it can't be shown as it was written"
    assert f"mailio: {said}; fetch it with: mailio save ID DIR\n" == done.err


def test_states_in_words() -> None:
    one = {"filename": "a", "size": 2_000_000, "fetched": 1_500_000, "state": "complete", "detail": "x"}
    said = {
        "complete": "a (2.0 MB)", "fetching": "a (2.0 MB, on its way, 75 %: x)",
        "missing": "a (2.0 MB, not here: x)", "expired": "a (2.0 MB, x)", "new": "a (2.0 MB, new: x)",
    }  # fmt: skip
    assert said == {state: in_line(one | {"state": state}) for state in said}
    plain = {
        "fetching": "a (0 B, on its way, 0 %)",
        "expired": "a (0 B, no longer kept)",
        "missing": "a (0 B, not here)",
    }
    none = one | {"detail": "", "size": 0, "fetched": 0}
    assert plain == {state: in_line(none | {"state": state}) for state in plain}


def test_directories_that_are_none(mailio: Commands, home: Path, tmp_path: Path) -> None:
    letter = send(mailio, home)
    (tmp_path / "file").touch()
    for name in ("missing", "file", "x" * 300, "~nobody"):
        done = mailio(home, "save", letter, str(tmp_path / name), "--json")
        assert (2, "directory") == (done.code, done.error["code"])
    done = mailio(home, "save", "0" * 24, str(tmp_path), "--json")
    assert (1, "no-letter") == (done.code, done.error["code"])


# ---- what breaks off, with the node and without it


@contextmanager
def maybe_running(home: Path, node: bool) -> Iterator[Callable[[], str]]:
    """The home with its node running, or closed; what the node's log has said at the end."""
    if not node:
        yield lambda: ""
        return
    with running(home) as (process, _):

        def log() -> str:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)
            assert process.stderr is not None
            return process.stderr.read().decode()

        yield log


either = pytest.mark.parametrize("node", [False, True], ids=["closed", "running"])


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """As on a disk that is full at this size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@either
def test_a_full_disk(mailio: Commands, home: Path, out: Path, tmp_path: Path, node: bool) -> None:
    (tmp_path / "a.bin").write_bytes(data_of(LARGE))
    (tmp_path / "b.bin").write_bytes(data_of(50_000))
    letter = send(mailio, home, tmp_path / "b.bin", tmp_path / "a.bin")
    with maybe_running(home, node):
        with small_files(1_000_000):
            done = mailio(home, "save", letter, str(out))
        said = f"mailio: can't write {out / 'a.bin'}: File too large; free some space\n"
        assert (1, f"{out / 'b.bin'}\n", said) == (done.code, done.out, done.err)
        assert ["b.bin"] == names_in(out)
        done = mailio(home, "save", letter, "/proc", "--json")
        assert (1, "file") == (done.code, done.error["code"])


def test_what_the_disk_has_spoilt(mailio: Commands, home: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(data_of(3 * LARGE))
    letter = send(mailio, home, tmp_path / "a.bin")
    (content,) = [path for path in (home / "files").rglob("*") if path.is_file()]
    with content.open("r+b") as file:
        file.seek(2 * LARGE + LARGE // 2)
        file.write(b"another")
    done = mailio(home, "save", letter, str(out), "--json")
    assert (1, "attachment-damaged") == (done.code, done.error["code"])
    with running(home):
        done = mailio(home, "save", letter, str(out), "--json")
        assert (1, "answer") == (done.code, done.error["code"])
    assert [] == names_in(out)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)  # what it waits for happens in another process


def sizes(directory: Path) -> list[int]:
    found = []
    for path in directory.rglob("*"):
        try:
            found.append(path.stat().st_size if path.is_file() else 0)
        except FileNotFoundError:
            continue
    return found


def interrupt(home: Path, directory: Path, *arguments: str) -> Done:
    """Ctrl-C while a file in this directory is growing."""
    with subprocess.Popen(
        [*COMMAND, *arguments], env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until(lambda: any(sizes(directory)) or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    return Done(process.returncode, out.decode(), err.decode())


@either
def test_interrupted_while_it_sends(mailio: Commands, home: Path, tmp_path: Path, node: bool) -> None:
    big, files = sparse(tmp_path / "big", 2_000_000_000), home / "files"
    with maybe_running(home, node) as log:
        done = interrupt(home, files, "send", BOB, "--subject", "s", "--body", "t", "--attach", str(big))
        assert Done(130, "", "") == done
        until(lambda: not any(sizes(files)))
        assert [] == mailio(home, "outbox", "--all", "--json").json
        assert 0 == mailio(home, "files", "stat", "--json").json["used"]
        assert "Traceback" not in log()


@either
def test_a_reader_that_has_enough(mailio: Commands, home: Path, tmp_path: Path, node: bool) -> None:
    (tmp_path / "a.bin").write_bytes(data_of(LARGE))
    letter = send(mailio, home, tmp_path / "a.bin")
    with (
        maybe_running(home, node),
        subprocess.Popen(
            [*COMMAND, "read", "--raw", letter],
            env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(6) == b"Date: "
        process.stdout.close()
        assert b"" == process.stderr.read()


# ---- large ones

PEAK: Final = """
import sys
from pathlib import Path
from node.cli.main import run
code = run(sys.argv[1:])
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
sys.exit(code)
"""


@either
def test_a_huge_file(mailio: Commands, home: Path, out: Path, tmp_path: Path, node: bool) -> None:
    """Interrupted, it leaves nothing; and the memory of the command does not grow with it."""
    letter = send(mailio, home, sparse(tmp_path / "huge", HUGE))
    with maybe_running(home, node) as log:
        assert Done(130, "", "") == interrupt(home, out, "save", letter, str(out))
        assert [] == names_in(out)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, "save", letter, str(out)],
            env=environment(home), capture_output=True, check=True, timeout=PATIENCE_S,
        )  # fmt: skip
        path, peak = done.stdout.decode().splitlines()
        assert (str(out / "huge"), HUGE) == (path, (out / "huge").stat().st_size)
        assert int(peak) * 1_024 < MOST_MEMORY
        assert b"" == done.stderr
        assert "Traceback" not in log()


AT_ONCE: Final = (
    "import sys, node.cli.output as output; output.FIRST_S = output.AGAIN_S = 0; sys.argv[0] = 'mailio';"
    "from node.cli.main import main; main()"
)
"""The command, which shows progress from the first byte on."""


def on_terminal(home: Path, columns: int, *arguments: str, code: int = 0) -> tuple[bytes, list[str]]:
    """What a command writes to a terminal, and what stands there at the end."""
    screen = pyte.Screen(columns, 20)
    stream, written_ = pyte.ByteStream(screen), bytearray()
    main, side = pty.openpty()
    extra = {"COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", AT_ONCE, *arguments],
        env=environment(home, extra),
        stdin=side,
        stdout=side,
        stderr=side,
    ) as process:
        os.close(side)
        while True:
            try:
                piece = os.read(main, 4_096)
            except OSError:  # the terminal has no other end any more
                break
            written_ += piece
            stream.feed(piece)
    os.close(main)
    assert process.returncode == code, bytes(written_)
    return bytes(written_), [line.rstrip() for line in screen.display if line.strip()]


@pytest.mark.parametrize("columns", [80, 40])
def test_progress_is_for_terminals(
    mailio: Commands, home: Path, out: Path, tmp_path: Path, columns: int
) -> None:
    name = "a very long name of a film that nobody of us has ever seen.mp4"
    (tmp_path / name).write_bytes(data_of(LARGE))
    given = ["send", BOB, "--subject", "s", "--body", "t", "--attach", str(tmp_path / name)]
    for verb, arguments in (("reading", given), ("saving", ["save", "", str(out)])):
        if verb == "saving":
            arguments[1] = mailio(home, "list", "sent", "--json").json[0]["id"]
        said, screen = on_terminal(home, columns, *arguments)
        lines = [part for part in said.decode().replace("\n", "\r").split("\r") if " % of 3.0 MB, " in part]
        assert lines
        assert all(line.startswith(f"{verb} a ") and len(line.rstrip()) <= columns - 3 for line in lines)
        assert not [line for line in screen if "%" in line]
        assert verb == "reading" or screen == cut(str(out / name), columns)


def cut(text: str, columns: int) -> list[str]:
    """A line as a terminal breaks it."""
    return [text[start : start + columns].rstrip() for start in range(0, len(text), columns)]


# ---- from one node to another


async def friends(village: Village, **settings: str) -> tuple[Process, Process]:
    """Alice, with these settings, and Bob, who may write to her."""
    alice, bob = await village.owner("alice", **settings), await village.owner("bob")
    link = (await alice.mailio("handshake", "link"))["link"]
    await bob.mailio("handshake", "open", link)
    await heard(bob, alice)
    return alice, bob


async def test_between_two_nodes(tmp_path: Path) -> None:
    limits = {"MAILIO_LIMITS_ATTACHMENT_SIZE": "5 MB", "MAILIO_FILES_FETCH": "1 MB"}
    async with a_village(tmp_path) as village:
        alice, bob = await friends(village, **limits)
        contents = {"a.bin": data_of(LARGE, 1), "b.bin": data_of(500_000, 2), "c.txt": b"c"}
        given = []
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
            given += ["--attach", str(tmp_path / name)]
        await bob.mailio("send", alice.address, "--subject", "files", *given, "--body", "t", "--pin", "2h")
        letter = await came(alice, "files")
        (tmp_path / "out").mkdir()
        saved = await alice.mailio("save", letter["id"], str(tmp_path / "out"))
        assert contents == {name: (tmp_path / "out" / name).read_bytes() for name in contents}
        assert ["complete"] * 3 == [one["state"] for one in saved]

        big = sparse(tmp_path / "big", 2_000_000_000)
        said = await bob.try_mailio("send", alice.address, "--subject", "big", "--attach", str(big))
        assert (1, "attachment-too-large") == (said.code, said.value["error"]["code"])
        assert "5,000,000" in said.value["error"]["text"]


async def test_how_far_it_is_and_why_it_waits(tmp_path: Path, out: Path) -> None:
    """On terminals of 80 and 40 columns: it comes, and then its sender is away."""
    film = tmp_path / "a long name of a film.mp4"
    film.write_bytes(data_of(4_000_000))
    async with a_village(tmp_path) as village:
        alice, bob = await friends(village, MAILIO_FILES_FETCH="1 MB")
        letters = {}
        for columns in (80, 40):
            await bob.mailio("send", alice.address, "--subject", str(columns), "--attach", str(film))
            letters[columns] = str((await came(alice, str(columns)))["id"])
        lines, _ = await fetching(alice, 80, letters[80], out)
        assert any(line.startswith(f"fetching {film.name} ") for line in lines)
        await bob.stop()
        lines, screen = await fetching(alice, 40, letters[40], out, "--wait", "1s", code=1)
        assert {"fetching a lo…   0 % of 4.0 MB, 0 B/s"} == {line.rstrip() for line in lines}
        assert [f"waiting for {film.name}:", "its sender's node: can't reach the node"] == screen[:2]
        told = " ".join(screen)
        assert "nothing more comes now; the rest is fetched by itself as soon as it can be" in told
        assert f"not saved: {film.name} (4.0 MB, on its way, 0 %: its sender's node: can't reach" in told


async def fetching(
    who: Process, columns: int, letter: str, out: Path, *more: str, code: int = 0
) -> tuple[list[str], list[str]]:
    """The lines of progress that `save` writes, and what stands on the terminal at the end."""
    arguments = ("save", letter, str(out), *more)
    said, screen = await trio.to_thread.run_sync(
        lambda: on_terminal(who.home, columns, *arguments, code=code)
    )
    lines = [part for part in said.decode().replace("\n", "\r").split("\r") if "% of 4.0 MB, " in part]
    assert all(len(line.rstrip()) <= columns - 3 for line in lines)
    assert not [line for line in screen if "% of" in line]
    return lines, screen
