"""Homes with a real identity and key, and their rooms opened on a closed store."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from node.api import Desk, make_api
from node.app import open_desk
from node.identity import create
from node.runtime.config import Config
from node.runtime.home import Home
from node.storage import create_key
from protocol.keys import words_of

NOW = 1_795_400_000_000  # 23 November 2026, ms: when the identity was made


def root(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def words(name: str) -> list[str]:
    return list(words_of(root(name)))


async def new_home(path: Path, name: str = "alice", passphrase: str | None = None) -> Home:
    """A home with the identity that comes from this name."""
    home = Home(path)
    home.create()
    create(home, await create_key(home, passphrase), root(name), NOW)
    return home


@asynccontextmanager
async def open_closed(path: Path, name: str = "alice") -> AsyncIterator[Desk]:
    """A new home's rooms, without a network."""
    async with open_desk(await new_home(path, name), Config(), None) as desk:
        yield desk


class Caller:
    """Calls an API in this process, and holds every answer to our shape of errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mailio")

    async def __call__(self, method: str, path: str, body: Any = None, **params: Any) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        answer = await self._client.request(method, path, json=body, params=params)
        return self._read(answer)

    async def content(self, method: str, path: str) -> str:
        """An answer that must be good, as text: for what is no single JSON value."""
        answer = await self._client.request(method, path)
        assert answer.status_code == 200
        return answer.text

    async def raw(self, method: str, path: str, content: bytes) -> tuple[int, Any]:
        """The same with these bytes as body."""
        headers = {"Content-Type": "application/json"}
        return self._read(await self._client.request(method, path, content=content, headers=headers))

    def _read(self, answer: httpx.Response) -> tuple[int, Any]:
        found = answer.json()
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert {"code", "text", "remedy"} == found["error"].keys()
            assert found["status"] == answer.status_code
            assert "\n" not in found["error"]["text"]
        return answer.status_code, found


def caller(desk: Desk) -> Caller:
    return Caller(make_api(desk))
