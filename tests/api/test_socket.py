"""The API on its real socket, asked by the client that commands use."""

import socket
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from hypercorn.trio.tcp_server import TCPServer

from node.api import Desk, make_api, serve_api
from node.cli.client import Answer, NotRunning, Question, ask
from node.runtime.errors import NodeError
from node.runtime.home import Home
from tests.kit.homes import open_closed
from tests.kit.owners import owner


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[Desk]:
    async with open_closed(path) as desk, trio.open_nursery() as nursery:
        await nursery.start(partial(serve_api, make_api(desk), desk.home))
        yield desk
        nursery.cancel_scope.cancel()


async def asked(home: Home, question: Question) -> Answer:
    return await trio.to_thread.run_sync(ask, home, question)


async def test_a_question_over_the_socket(tmp_path: Path) -> None:
    async with served(tmp_path / "home") as desk:
        found = (await asked(desk.home, Question("GET", "/local/id"))).value()
        assert found["address"] == desk.identity.address


async def test_only_the_owner_can_open_it(tmp_path: Path) -> None:
    async with served(tmp_path / "home") as desk:
        mode = desk.home.socket_path.lstat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
        assert stat.S_IMODE(desk.home.path.stat().st_mode) == 0o700


async def test_a_long_home_gets_a_short_socket(tmp_path: Path) -> None:
    async with served(tmp_path / ("h" * 100) / "home") as desk:
        assert desk.home.socket_path.parent != desk.home.path
        assert (await asked(desk.home, Question("GET", "/local/id"))).status == 200
    assert not desk.home.socket_path.exists()


async def test_a_dead_socket_is_replaced(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(home.socket_path))
    dead.close()
    with pytest.raises(NotRunning):
        ask(home, Question("GET", "/local/id"))
    async with served(home.path) as desk:
        assert (await asked(desk.home, Question("GET", "/local/id"))).status == 200
    assert not home.socket_path.exists()


async def test_an_error_comes_as_it_was_said(tmp_path: Path) -> None:
    async with served(tmp_path / "home") as desk:
        answer = await asked(desk.home, Question("POST", "/api/v1/handshake/link"))
        with pytest.raises(NodeError) as caught:
            answer.value()
        assert (caught.value.code, caught.value.exit_code) == ("not-running", 1)
        answer = await asked(desk.home, Question("POST", "/api/v1/folder", body={"nam": "x"}))
        with pytest.raises(NodeError) as caught:
            answer.value()
        assert (caught.value.code, caught.value.exit_code) == ("bad-request", 2)


async def test_a_large_letter_goes_in_and_comes_back(tmp_path: Path) -> None:
    text = "ä\n" * 150_000
    async with served(tmp_path / "home") as desk:
        body = {"to": [owner("bob").address], "text": text}
        assert (await asked(desk.home, Question("POST", "/api/v1/message", body=body))).status == 202
        (copy,) = (await asked(desk.home, Question("GET", "/api/v1/message", {"folder": "sent"}))).value()
        found = (await asked(desk.home, Question("GET", f"/api/v1/message/{copy['id']}"))).value()
        assert found["text"] == text


async def test_following_a_letter_ends_when_it_is_decided(tmp_path: Path) -> None:
    async with served(tmp_path / "home") as desk, trio.open_nursery() as nursery:
        body = {"to": [owner("bob").address], "text": "x"}
        letter = (await asked(desk.home, Question("POST", "/api/v1/message", body=body))).value()["id"]
        answers: list[Answer] = []

        async def follow() -> None:
            question = Question("GET", f"/api/v1/outbox/{letter}", {"wait": 60}, patience=60)
            answers.append(await asked(desk.home, question))

        nursery.start_soon(follow)
        await asked(desk.home, Question("POST", f"/api/v1/outbox/{letter}/cancel"))
        with trio.fail_after(30):
            while not answers:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert answers[0].value()["recipients"][0]["state"] == "cancelled"


def test_a_file_in_its_place_is_not_talked_to(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    home.socket_path.write_text("")
    with pytest.raises(NodeError) as caught:
        ask(home, Question("GET", "/local/id"))
    assert caught.value.code == "socket"


def test_answers_that_break_off_are_said(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    for reply in (
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        b"rubbish\r\n\r\n{}",
    ):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(home.socket_path))
            listener.listen()
            answering = threading.Thread(target=_answer_with, args=(listener, reply))
            answering.start()
            with pytest.raises(NodeError):
                ask(home, Question("GET", "/local/id"))
            answering.join()
        home.socket_path.unlink()


def _answer_with(listener: socket.socket, reply: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1_000)
        connection.sendall(reply)


async def test_whatever_goes_wrong_with_one_client_the_next_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen with nine hundred clients that went at once, in the middle of what they asked."""
    reads, read = [], TCPServer._read_data

    async def fail_first(server: TCPServer) -> None:
        reads.append(server)
        if len(reads) == 1:
            raise trio.BusyResourceError
        await read(server)

    monkeypatch.setattr(TCPServer, "_read_data", fail_first)
    async with served(tmp_path / "home") as desk:
        with pytest.raises(NodeError):
            await asked(desk.home, Question("GET", "/local/id"))
        assert (await asked(desk.home, Question("GET", "/local/id"))).status == 200
