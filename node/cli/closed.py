"""Asks the same API on a closed store: opened in this process, without a network, for one question."""

from __future__ import annotations

from node.cli.client import Answer, Question
from node.runtime.config import Config
from node.runtime.errors import NodeError
from node.runtime.home import Home


def ask_closed(home: Home, config: Config, passphrase: str | None, question: Question) -> Answer:
    """The answer of the store itself. Raises NodeError, also where another process holds the store."""
    import trio

    try:
        return trio.run(_ask, home, config, passphrase, question)
    except NodeError as fault:
        if fault.code != "store-locked":
            raise
        raise NodeError(
            "node-silent",
            f"another process uses {home.path}, but no node answers there",
            "if it is starting or stopping, try again in a moment",
        ) from fault


async def _ask(home: Home, config: Config, passphrase: str | None, question: Question) -> Answer:
    import httpx

    from node.api import make_api
    from node.app import open_desk

    async with open_desk(home, config, passphrase) as desk:
        transport = httpx.ASGITransport(make_api(desk))
        async with httpx.AsyncClient(transport=transport, base_url="http://mailio") as client:
            headers = {"Content-Type": "application/json"}
            answer = await client.request(
                question.method, question.target, content=question.content, headers=headers
            )
            return Answer(answer.status_code, answer.content)
