"""Asks the same API on a closed store: opened in this process, without a network, for one question."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

import trio

from node.cli.client import Answer, Question, Take
from node.runtime.config import Config
from node.runtime.errors import NodeError
from node.runtime.home import Home


def ask_closed(
    home: Home, config: Config, passphrase: str | None, question: Question, take: Take | None = None
) -> Answer:
    """The answer of the store itself; `take` as in `client.ask`. Raises NodeError, also where another process
    holds the store, and what `take` does.
    """
    try:
        return trio.run(_ask, home, config, passphrase, question, take).answer()
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt):
            raise KeyboardInterrupt from None  # as without a nursery on the way
        raise
    except NodeError as fault:
        if fault.code != "store-locked":
            raise
        raise NodeError(
            "node-silent",
            f"another process uses {home.path}, but no node answers there",
            "if it is starting or stopping, try again in a moment",
        ) from fault


async def _ask(
    home: Home, config: Config, passphrase: str | None, question: Question, take: Take | None
) -> _Exchange:
    from node.api import make_api
    from node.app import open_desk

    async with open_desk(home, config, passphrase) as desk:
        exchange = _Exchange(question, take)
        await make_api(desk)(exchange.scope, exchange.receive, exchange.send)
        return exchange


class _Exchange:
    """One request and its answer as ASGI has them, without a server between."""

    def __init__(self, question: Question, take: Take | None) -> None:
        headers = {"content-type": question.kind, "content-length": str(question.length)}
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": question.method,
            "scheme": "http",
            "path": unquote(question.path),
            "raw_path": question.path.encode("ascii"),
            "query_string": question.query.encode("ascii"),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": None,
            "server": None,
        }
        self._pieces = question.pieces()
        self._take = take
        self._gone = trio.Event()
        self._asked = False
        self._status = 500
        self._held: list[bytes] = []
        self._fault: Exception | None = None

    async def receive(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        piece = next(self._pieces, None)
        if piece is not None:
            return {"type": "http.request", "body": piece, "more_body": True}
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message.get("body"):
            self._deliver(message["body"])

    def answer(self) -> Answer:
        """What came of it. Raises what `take` did."""
        if self._fault is not None:
            raise self._fault
        return Answer(self._status, b"".join(self._held))

    def _deliver(self, piece: bytes) -> None:
        if self._take is None or self._status >= 400:
            self._held.append(piece)
        elif self._fault is None:
            try:
                self._take(piece)
            except Exception as fault:  # noqa: BLE001 - who asked hears it, as if from a client that went
                self._fault = fault
                self._gone.set()
