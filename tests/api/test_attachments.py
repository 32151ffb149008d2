"""Files through the API: handed in, sent, seen, taken out; and what happens where that breaks off."""

import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from node.api import Desk, make_api, serve_api
from node.api.letters import MAX_PIN_MS, MIN_PIN_MS
from node.api.stream import started
from node.app import open_desk
from node.cli.client import Question, ask
from node.files.threads import STEP
from node.letters import Missing, Reduced
from node.letters.missing import State
from node.letters.uploads import KEPT_MS, MAX_ATTACHMENTS
from node.runtime.config import Config
from node.runtime.errors import NodeError
from node.runtime.sections import FilesConfig, LimitsConfig, MailConfig, SmtpConfig
from node.storage import Batch
from protocol.identity import Capabilities, build_identity
from protocol.place import Encoding, Place
from protocol.stream import ContentRef
from protocol.unixfs import raw_cid, reference_of
from tests.kit.homes import caller, new_home
from tests.kit.letters import arrival, written
from tests.kit.owners import NOW, owner
from tests.kit.processes import until

BOB, CAROL = owner("bob").address, owner("carol").address
EVE = "eve@example.net"
SMALL, LARGE = 9_000, 700_000
"""Bytes of a file that stays inside a letter, and of one that does not."""

QUOTA = 1_000_000
MOST = 800_000
CONFIG = Config(
    smtp=SmtpConfig(smarthost="smtp://alice@mail.example.org:587"),
    mail=MailConfig(("alice@example.org",)),
    files=FilesConfig(quota=50_000_000),
    limits=LimitsConfig(attachment_size=40_000_000, mail_size=2_000_000),
)
TIGHT = Config(files=FilesConfig(quota=QUOTA), limits=LimitsConfig(attachment_size=MOST))


def data_of(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


class Files:
    """What a program does with files through the API."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.call = desk, caller(desk)
        transport = httpx.ASGITransport(make_api(desk))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://mailio/api/v1")

    async def hand_in(
        self, data: Any, length: int | None = None, filename: str = "a.bin", kind: str = ""
    ) -> tuple[int, Any]:
        """Status and answer; `data` are bytes or a source, `length` what is said of them."""
        headers = {} if length is None else {"content-length": str(length)}
        params = {"filename": filename, "mediaType": kind}
        answer = await self._http.post("/attachment", content=data, headers=headers, params=params)
        return answer.status_code, answer.json()

    async def given(self, data: bytes, filename: str = "a.bin", kind: str = "") -> str:
        status, made = await self.hand_in(data, None, filename, kind)
        assert (201, len(data)) == (status, made["size"])
        return str(made["id"])

    async def send(self, *ids: str, to: str = BOB, **more: Any) -> dict[str, Any]:
        """The copy that is kept of a letter with these files."""
        status, found = await self.call(
            "POST", "/api/v1/message", {"to": [to], "attachments": list(ids), **more}
        )
        assert status == 202, found
        return await self.newest()

    async def newest(self, folder: str = "sent") -> dict[str, Any]:
        _, rows = await self.call("GET", "/api/v1/message", folder=folder)
        _, read = await self.call("GET", f"/api/v1/message/{rows[0]['id']}")
        return dict(read)

    async def get(self, letter: str, n: int, **headers: Any) -> httpx.Response:
        return await self._http.get(f"/message/{letter}/attachment/{n}", headers=headers)

    async def mime(self, letter: str) -> bytes:
        answer = await self._http.get(f"/message/{letter}/mime")
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) == len(answer.content)
        return answer.content

    async def used(self) -> int:
        """Bytes that contents take, of which nothing is left on the disk where it is 0."""
        used: int = (await self.desk.files.stat())["used"]
        assert used or not self.on_disk()
        return used

    def on_disk(self) -> list[Path]:
        return [path for path in self.desk.home.files.rglob("*") if path.is_file()]


@asynccontextmanager
async def opened(path: Path, config: Config = CONFIG) -> AsyncIterator[Files]:
    async with open_desk(await new_home(path / "home"), config, None) as desk:
        yield Files(desk)


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Files]:
    async with opened(tmp_path) as found:
        yield found


def parts(raw: bytes) -> list[tuple[str | None, str, bytes]]:
    """Files of a message, as the standard library reads them: name, type, content."""
    found = []
    for one in message_from_bytes(raw, policy=default).iter_attachments():
        content = one.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((one.get_filename(), one.get_content_type(), content))
    return found


async def in_two(data: bytes) -> AsyncIterator[bytes]:
    yield data[:1]
    yield data[1:]


# ---- handing in


@pytest.mark.parametrize("size", [0, 1, SMALL, LARGE])
async def test_a_file_comes_back_as_it_was_handed_in(files: Files, size: int) -> None:
    data = b"%PDF-1.7\n\x00"[:size] + data_of(max(0, size - 10))
    letter = await files.send(await files.given(data, "a b.pdf", "application/pdf"))
    (shown,) = letter["attachments"]
    kind = {0: "application/octet-stream", 1: "text/plain"}.get(size, "application/pdf")
    assert ("a b.pdf", kind, size, "complete") == (
        shown["filename"], shown["mediaType"], shown["size"], shown["state"]
    )  # fmt: skip
    answer = await files.get(letter["id"], 1)
    assert (200, data, str(size)) == (answer.status_code, answer.content, answer.headers["content-length"])
    how = "inline" if kind == "text/plain" else "attachment"
    assert f"{how}; filename*=utf-8''a%20b.pdf" == answer.headers["content-disposition"]


async def test_its_length_is_told_before(files: Files) -> None:
    status, found = await files.hand_in(in_two(b"abc"))
    assert (400, "length") == (status, found["error"]["code"])
    for length in ("-1", "x", "²", "9" * 16):
        answer = await files._http.post(
            "/attachment", content=in_two(b"abc"), headers=[(b"content-length", length.encode("latin-1"))]
        )
        assert (400, "length") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("told", [LARGE - 1, LARGE + 1, 0])
async def test_a_file_that_has_another_length(files: Files, told: int) -> None:
    status, found = await files.hand_in(in_two(data_of(LARGE)), told)
    assert (409, "attachment-size") == (status, found["error"]["code"])
    assert await files.used() == 0


async def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async def unread(needed: bool = False) -> AsyncIterator[bytes]:
        assert needed
        yield b""

    async with opened(tmp_path, TIGHT) as files:
        status, found = await files.hand_in(unread(), MOST + 1, "../big\n.bin")
        assert (409, "attachment-too-large") == (status, found["error"]["code"])
        assert "big.bin has 800,001 bytes; at most 800,000 can be attached" == found["error"]["text"]
        assert (await files.hand_in(data_of(MOST)))[0] == 201
        status, found = await files.hand_in(unread(), MOST)
        assert (503, "files-quota") == (status, found["error"]["code"])
        assert "raise files.quota" in found["error"]["remedy"]


async def test_what_no_letter_took_goes_after_a_day(files: Files) -> None:
    upload, now = await files.given(data_of(LARGE)), files.desk.clock.now()
    assert await files.used() > LARGE
    for later, gone in ((0, 0), (KEPT_MS + 60_000, 1)):
        batch = Batch()
        assert files.desk.uploads.expire(batch, now + later) == gone
        await files.desk.store.write(batch)
    await files.desk.files.collect()
    assert await files.used() == 0
    status, found = await files.call("POST", "/api/v1/message", {"to": [BOB], "attachments": [upload]})
    assert (404, "no-such-attachment") == (status, found["error"]["code"])


# ---- sending


async def test_one_letter_takes_an_upload_and_no_other_does(files: Files) -> None:
    upload = await files.given(data_of(LARGE))
    letter = await files.send(upload, upload)
    assert [LARGE, LARGE] == [one["size"] for one in letter["attachments"]]
    assert (
        parts(await files.mime(letter["id"])) == [("a.bin", "application/octet-stream", data_of(LARGE))] * 2
    )
    for ids in ([upload], ["00" * 16], ["zz"], ["ab"], ["0" * 64]):
        status, found = await files.call("POST", "/api/v1/message", {"to": [BOB], "attachments": ids})
        assert (404, "no-such-attachment") == (status, found["error"]["code"])
    assert (await files.newest())["id"] == letter["id"]


async def test_a_letter_has_a_hundred_files_at_most(files: Files) -> None:
    upload = await files.given(b"x")
    letter = await files.send(*[upload] * MAX_ATTACHMENTS)
    assert (MAX_ATTACHMENTS, list(range(1, 101))) == (
        len(letter["attachments"]), [one["n"] for one in letter["attachments"]]
    )  # fmt: skip
    body = {"to": [BOB], "attachments": [await files.given(b"x")] * (MAX_ATTACHMENTS + 1)}
    status, found = await files.call("POST", "/api/v1/message", body)
    assert (400, "bad-request") == (status, found["error"]["code"])
    assert found["error"]["text"].startswith("attachments: ")


async def test_nobody_keeps_files_for_a_second_or_for_ever(files: Files) -> None:
    body = {"to": [BOB], "attachments": [await files.given(b"x")]}
    for pin in (MIN_PIN_MS - 1, MAX_PIN_MS + 1, -1, 1.5, "30d", True):
        status, found = await files.call("POST", "/api/v1/message", body | {"pin": pin})
        assert (400, "bad-request") == (status, found["error"]["code"])
    for pin in (MIN_PIN_MS, MAX_PIN_MS):
        assert await files.send(await files.given(b"x"), pin=pin)


async def test_small_ones_go_inside_and_large_ones_outside(files: Files) -> None:
    small, large = data_of(SMALL, 1), data_of(LARGE, 2)
    ids = [
        await files.given(small, "Grüße\n.txt", "text/plain"),
        await files.given(large, "b.pdf", "application/pdf"),
        await files.given(b"", "nothing", "no type at all"),
    ]
    body = {"to": [BOB, EVE], "cc": [CAROL], "subject": "s", "text": "t\n", "attachments": ids}
    status, sent = await files.call("POST", "/api/v1/message", body)
    assert status == 202
    assert {BOB: "mailio", CAROL: "mailio", EVE: "smtp"} == {
        one["to"]: one["route"] for one in sent["recipients"]
    }
    copy = await files.newest()
    assert [False, True, False] == [bool(one["reference"]) for one in copy["attachments"]]
    raw = await files.mime(copy["id"])
    assert parts(raw) == [
        ("Grüße.txt", "text/plain", small),
        ("b.pdf", "application/pdf", large),
        ("nothing", "application/octet-stream", b""),
    ]
    assert copy["size"] == len(raw)
    assert ("alice@example.org", EVE) == tuple(
        message_from_bytes(raw, policy=default)[name] for name in ("From", "To")
    )
    assert LARGE < await files.used() < 2 * LARGE  # once, for all of them


async def test_a_long_text_lies_outside_and_is_shown_whole(files: Files) -> None:
    text = "".join(f"{n} äö\n" for n in range(40_000))
    assert len(text.encode()) > 400_000
    letter = await files.send(await files.given(b"x"), text=text)
    assert (text, 1) == (letter["text"], len(letter["attachments"]))
    assert await files.used() > 400_000
    body = message_from_bytes(await files.mime(letter["id"]), policy=default).get_body()
    assert body is not None
    assert text == body.get_content().replace("\r\n", "\n")


async def test_who_takes_less_is_known_before_anything_is_handed_in(files: Files) -> None:
    bob = owner("bob")
    takes = build_identity(
        bob.secrets, bob.chain, capabilities=Capabilities(max_attachment=5_000), price=6, created=NOW
    )
    batch = Batch()
    files.desk.names.learn(batch, takes)
    await files.desk.store.write(batch)
    for who, sizes, code in (
        ([CAROL, BOB], [1, 5_001], "attachment-too-large"),
        ([EVE], [1_900_000], "letter-too-large"),
        ([CAROL], [40_000_001], "attachment-too-large"),
    ):
        status, found = await files.call("POST", "/local/recipients", {"who": who, "sizes": sizes})
        assert (409, code) == (status, found["error"]["code"])
    taken = {"who": [CAROL, BOB, EVE], "sizes": [1, 5_000]}
    assert (await files.call("POST", "/local/recipients", taken))[0] == 200


# ---- looking and taking out


def reference(name: str, size: int, n: int) -> ContentRef:
    place = Place(0, Encoding.IDENTITY)
    there = reference_of(raw_cid(bytes([n])))
    return ContentRef(name, "application/pdf", size, b"h" * 32, there, place, key=b"k" * 32)


async def come(files: Files, refs: tuple[ContentRef, ...], raw: bytes | None = None) -> bytes:
    """A letter of Bob's that refers to these."""
    names = tuple(bytes([n]) * 16 for n in range(len(refs)))
    raw = written(author=BOB) if raw is None else raw
    message = Reduced(raw, refs, names, b"h" * 32 if refs else None)
    batch = Batch()
    letter = files.desk.mailbox.take_in(batch, arrival(author=BOB, raw=raw, message=message, fetch=True))
    await files.desk.store.write(batch)
    return letter


async def test_how_files_stand(files: Files) -> None:
    sizes = {"a.pdf": 9, "b.pdf": 100_000_001, "c.pdf": 9, "d.pdf": 9}
    letter = await come(files, tuple(reference(*one, n) for n, one in enumerate(sizes.items())))
    batch = Batch()
    states: dict[int, State] = {2: "expired", 3: "damaged"}
    for n, state in states.items():
        files.desk.mailbox.outstanding.book.put(batch, Missing(letter, n, BOB, state, "why"))
    await files.desk.store.write(batch)
    expected = [
        ("a.pdf", "fetching", ""),
        ("b.pdf", "missing", "larger than what is fetched unasked"),
        ("c.pdf", "expired", "why"),
        ("d.pdf", "missing", "why"),
    ]
    status, found = await files.call("GET", f"/api/v1/message/{letter.hex()}/attachment")
    assert (200, expected) == (status, [(one["filename"], one["state"], one["detail"]) for one in found])
    assert found == (await files.newest("inbox"))["attachments"]
    for path in (f"{letter.hex()}/attachment/1", f"{letter.hex()}/mime"):
        status, found = await files.call("GET", f"/api/v1/message/{path}")
        assert (409, "attachment-missing") == (status, found["error"]["code"])


async def test_only_the_running_node_fetches(files: Files) -> None:
    letter = await come(files, (reference("a.pdf", 9, 1),))
    status, found = await files.call("POST", f"/api/v1/message/{letter.hex()}/fetch")
    assert (503, "start the node with: mailio run") == (status, found["error"]["remedy"])
    status, found = await files.call("POST", f"/api/v1/message/{'0' * 24}/fetch")
    assert (404, "no-letter") == (status, found["error"]["code"])


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_part_of_a_file(files: Files, size: int) -> None:
    data = data_of(size)
    letter = (await files.send(await files.given(data)))["id"]
    for text, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, size),
        (f"bytes={size - 1}-", size - 1, size),
        (f"bytes=100-{10**15}", 100, size),
        (f"bytes={size // 2}-{size // 2 + 99}", size // 2, size // 2 + 100),
    ):
        answer = await files.get(letter, 1, range=text)
        told = answer.headers["content-range"]
        assert (206, f"bytes {start}-{stop - 1}/{size}") == (answer.status_code, told)
        assert answer.content == data[start:stop]


async def test_a_part_that_the_file_does_not_have(files: Files) -> None:
    letter = (await files.send(await files.given(data_of(LARGE)), await files.given(b"")))["id"]
    for n, size, text in ((1, LARGE, f"bytes={LARGE}-"), (2, 0, "bytes=0-"), (2, 0, "bytes=0-9")):
        answer = await files.get(letter, n, range=text)
        assert (416, f"bytes */{size}") == (answer.status_code, answer.headers["content-range"])
        assert answer.json()["error"]["code"] == "range"
    for text in ("bytes=-5", "bytes=9-3", "bytes=1-2,5-6", "lines=1-2", "bytes=٣-", "-", "bytes=" + "9" * 20):
        answer = await files.get(letter, 1, range=text.encode())
        assert (400, "range") == (answer.status_code, answer.json()["error"]["code"])
    answer = await files.get(letter, 1, range="bytes=1-" + "9" * 200)
    assert (400, "bad-request") == (answer.status_code, answer.json()["error"]["code"])


async def test_numbers_that_are_none(files: Files) -> None:
    letter = (await files.send(await files.given(b"x")))["id"]
    for n in ("0", "-1", "x", "2001", "9" * 40, "%00"):
        status, found = await files.call("GET", f"/api/v1/message/{letter}/attachment/{n}")
        assert (400, "bad-request") == (status, found["error"]["code"])


async def test_a_number_that_is_not_there(files: Files) -> None:
    letter = (await files.send(await files.given(b"x")))["id"]
    status, found = await files.call("GET", f"/api/v1/message/{letter}/attachment/2")
    assert (404, "no-attachment") == (status, found["error"]["code"])


async def test_nobody_waits_for_ever(files: Files) -> None:
    letter = (await files.send(await files.given(b"x")))["id"]
    for wait in ("-1", "nan", "inf", "1e9", "x", ""):
        status, found = await files.call("GET", f"/api/v1/message/{letter}/attachment", wait=wait)
        assert (400, "bad-request") == (status, found["error"]["code"])


async def test_types_are_words_or_nothing(files: Files) -> None:
    unknown = "application/octet-stream"
    for kind in ("application/pdf", "", "☃/☃", "a/b\r\nx: y", "multipart/mixed", "a" * 255):
        letter = await files.send(await files.given(data_of(LARGE), kind=kind))
        claimed = kind if kind == "application/pdf" else unknown
        assert (claimed, unknown) == (
            letter["attachments"][0]["claimedType"], letter["attachments"][0]["mediaType"]
        )  # fmt: skip
        answer = await files.get(letter["id"], 1)
        assert (200, unknown) == (answer.status_code, answer.headers["content-type"])
        assert "sandbox" == answer.headers["content-security-policy"]
        assert "x" not in answer.headers


async def test_names_and_types_are_bounded(files: Files) -> None:
    for params in ({"mediaType": "a" * 256}, {"filename": "x" * 5_001}):
        answer = await files._http.post("/attachment", content=b"x", params=params)
        assert (400, "bad-request") == (answer.status_code, answer.json()["error"]["code"])
    assert await files.used() == 0


async def test_what_a_stranger_calls_a_type_is_no_header(files: Files) -> None:
    lines = ["Content-Type: te☃t/x; name=a.bin", "", "hi"]
    letter = await come(files, (), "\r\n".join(lines).encode())
    answer = await files.get(letter.hex(), 1)
    assert (200, b"hi") == (answer.status_code, answer.content)


# ---- what breaks off


async def test_a_source_is_closed_though_nobody_read_from_it() -> None:
    closed = []

    async def source() -> AsyncGenerator[bytes, None]:
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    await (await started(source())).aclose()
    assert [True] == closed
    assert [b"a", b"b"] == [piece async for piece in await started(source())]


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[Files]:
    async with opened(path) as files, trio.open_nursery() as nursery:
        await nursery.start(partial(serve_api, make_api(files.desk), files.desk.home))
        yield files
        nursery.cancel_scope.cancel()


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever clients do, the log has nothing to say of it."""
    yield
    assert [] == [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.mark.usefixtures("quiet")
async def test_a_client_that_goes_while_it_hands_in_leaves_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as files:
        connection = await trio.open_unix_socket(str(files.desk.home.socket_path))
        head = "POST /api/v1/attachment?filename=a HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n"
        await connection.send_all(head.encode() + bytes(2 * STEP))

        async def begun() -> bool | None:
            return any(path.stat().st_size for path in files.on_disk()) or None

        async def nothing_is_left() -> bool | None:
            return (not files.on_disk() and await files.used() == 0) or None

        await until("the first bytes on the disk", begun)
        await connection.aclose()
        await until("that nothing is left", nothing_is_left)


@pytest.mark.usefixtures("quiet")
async def test_a_client_that_goes_while_it_takes_out_ends_the_work(tmp_path: Path) -> None:
    async with served(tmp_path) as files:
        letter = (await files.send(await files.given(data_of(30_000_000))))["id"]
        for what in ("attachment/1", "mime"):
            connection = await trio.open_unix_socket(str(files.desk.home.socket_path))
            request = f"GET /api/v1/message/{letter}/{what} HTTP/1.1\r\nHost: x\r\n\r\n"
            await connection.send_all(request.encode())
            assert await connection.receive_some(4_096)
            await connection.aclose()
        outbox = await files.call("GET", "/api/v1/outbox")
        await files.call("POST", f"/api/v1/outbox/{outbox[1][0]['id']}/cancel")
        for _ in range(2):
            assert (await files.call("DELETE", f"/api/v1/message/{letter}"))[0] == 200

        async def collected() -> bool | None:  # what somebody still reads is not
            await files.desk.files.collect()
            return await files.used() == 0 or None

        await until("that everything is collected", collected)


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as files:
        letter = (await files.send(await files.given(data_of(3 * STEP))))["id"]
        (path,) = files.on_disk()
        with path.open("r+b") as content:
            content.seek(2 * STEP + 1_000)
            content.write(b"another")
        for what in ("attachment/1", "mime"):
            taken: list[bytes] = []
            question = Question("GET", f"/api/v1/message/{letter}/{what}")
            with pytest.raises(NodeError) as caught:
                await trio.to_thread.run_sync(ask, files.desk.home, question, taken.append)
            assert ("answer", "the node's answer broke off") == (caught.value.code, caught.value.text)
            assert STEP < sum(map(len, taken)) < 3 * STEP
        answer = await files.get(letter, 1, range=f"bytes={2 * STEP}-")
        assert (409, "attachment-damaged") == (answer.status_code, answer.json()["error"]["code"])
        assert (
            await trio.to_thread.run_sync(ask, files.desk.home, Question("GET", "/local/id"))
        ).status == 200
    told = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    broke = "broke off: an attachment can't be opened with the key in its letter"
    assert told == [f"GET /api/v1/message/{letter}/{what} {broke}" for what in ("attachment/1", "mime")]
    assert "Traceback" not in caplog.text


async def test_a_bug_in_a_route_is_answered_in_our_form(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(text: str) -> bytes:
        raise ZeroDivisionError(text)

    monkeypatch.setattr(files.desk.mailbox, "find_id", fail)
    status, found = await files.call("GET", "/api/v1/message/secret/attachment")
    assert (500, "internal") == (status, found["error"]["code"])
    assert 1 == len([record for record in caplog.records if "ZeroDivisionError" in record.getMessage()])


async def test_a_node_that_refuses_a_file_says_why_while_it_is_sent(tmp_path: Path) -> None:
    async with served(tmp_path) as files:
        with (tmp_path / "big").open("w+b") as big:
            big.truncate(41_000_000)
            question = Question("POST", "/api/v1/attachment", {"filename": "big"}, file=big, size=41_000_000)
            answer = await trio.to_thread.run_sync(ask, files.desk.home, question)
        assert (409, "attachment-too-large") == (answer.status, answer.fault().code)
