"""A real mail server that takes letters and does with them as told: in a test, or as a process of its own.

`python -m tests.kit.sink FOLDER` prints {"port": …} and puts each letter into the folder as N.eml and N.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from node.runtime.bridge import Bridge, open_bridge

OK = "250 2.0.0 Ok: queued"


@dataclass
class Behaviour:
    """What the server does; may be changed while it runs. Replies are whole lines such as `550 5.1.1 No`.

    `refuse` has replies for recipients, `accounts` name → password (with any, nobody sends without),
    `drop` is how many of the next letters it takes and then hangs up on without a word, `seconds` the
    time it thinks about a letter.
    """

    refuse: dict[str, str] = field(default_factory=dict)
    refuse_sender: str = ""
    refuse_letter: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    drop: int = 0
    seconds: float = 0.0
    size: int = 40_000_000
    """Bytes of the largest letter."""

    hidden: tuple[str, ...] = ()
    """What EHLO does not offer, such as 8BITMIME, though it is there."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A letter that the server has, exactly as it came, dots undone."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    options: tuple[str, ...]
    helo: str
    tls: bool
    user: str


@dataclass
class Sink:
    """The server. `connections` counts all that were opened, `guesses` the tries to log in; `thinking` is
    set at the first letter.
    """

    behaviour: Behaviour
    folder: Path | None = None
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    guesses: int = 0
    thinking: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    sessions: list[SMTP] = field(default_factory=list)
    bridge: Bridge | None = None

    # aiosmtpd's hooks

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [one for one in responses if one[4:].split()[0] not in self.behaviour.hidden]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.behaviour.accounts and not session.authenticated:
            return "530 5.7.0 Log in first"
        if self.behaviour.refuse_sender:
            return self.behaviour.refuse_sender
        envelope.mail_from, envelope.mail_options = address, options
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.behaviour.refuse:
            return self.behaviour.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.thinking.set()
        await asyncio.sleep(self.behaviour.seconds)
        if self.behaviour.refuse_letter:
            return self.behaviour.refuse_letter
        assert isinstance(envelope.content, bytes)
        user = session.auth_data.decode() if isinstance(session.auth_data, bytes) else ""
        self._keep(
            Taken(
                envelope.mail_from or "",
                tuple(envelope.rcpt_tos),
                envelope.content,
                tuple(envelope.mail_options),
                session.host_name or "",
                _is_tls(server),
                user,
            )
        )
        if self.behaviour.drop:
            self.behaviour.drop -= 1
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return OK

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.guesses += 1
        good = self.behaviour.accounts.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=good, handled=False, auth_data=data.login)

    def _keep(self, letter: Taken) -> None:
        self.taken.append(letter)
        if self.folder is not None:
            stem = self.folder / str(len(self.taken))
            stem.with_suffix(".eml").write_bytes(letter.raw)
            rest = {name: value for name, value in asdict(letter).items() if name != "raw"}
            part = stem.with_suffix(".part")
            part.write_text(json.dumps(rest))
            part.rename(stem.with_suffix(".json"))  # who sees it sees a whole letter

    # running

    async def until_thinking(self) -> None:
        """Until it has a whole letter and thinks about it."""

        async def wait() -> None:
            await self.thinking.wait()

        assert self.bridge is not None
        await self.bridge.run(wait)

    async def hang_up(self) -> None:
        """End every connection without a word."""

        async def end() -> None:
            for one in self.sessions:
                if isinstance(one.transport, asyncio.WriteTransport):
                    one.transport.abort()

        assert self.bridge is not None
        await self.bridge.run(end)

    async def serve(
        self, port: int, tls: ssl.SSLContext | None, *, implicit: bool, host: str = "127.0.0.1"
    ) -> asyncio.Server:
        """Listen on loopback; STARTTLS with `tls`, or TLS at once."""
        loop = asyncio.get_running_loop()

        def session() -> SMTP:
            self.connections += 1
            self.sessions.append(
                _Server(
                    self,
                    hostname="sink.example.test",
                    enable_SMTPUTF8=True,
                    tls_context=None if implicit else tls,
                    authenticator=self.authenticate,
                    auth_require_tls=False,
                    data_size_limit=self.behaviour.size,
                    loop=loop,
                )
            )
            return self.sessions[-1]

        server = await loop.create_server(session, host, port, ssl=tls if implicit else None)
        self.port = server.sockets[0].getsockname()[1]
        return server


def _is_tls(server: SMTP) -> bool:
    return server.transport is not None and server.transport.get_extra_info("sslcontext") is not None


class _Server(SMTP):
    line_length_limit = 2_000_000  # what a line may hold is not this server's business


@asynccontextmanager
async def open_sink(
    behaviour: Behaviour | None = None,
    tls: ssl.SSLContext | None = None,
    *,
    implicit: bool = False,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[Sink]:
    """A sink inside a trio test, in a thread of its own."""
    sink = Sink(behaviour or Behaviour())

    async def start() -> asyncio.Server:
        return await sink.serve(port, tls, implicit=implicit, host=host)

    async def close(server: asyncio.Server) -> None:
        server.close()

    async with open_bridge() as bridge:
        sink.bridge = bridge
        server = await bridge.run(start)
        try:
            yield sink
        finally:
            await bridge.run(close, server)
            await sink.hang_up()


async def _main(arguments: argparse.Namespace) -> None:
    tls = None
    if arguments.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(arguments.certificate, arguments.key)
    behaviour = Behaviour(
        refuse=_pairs(arguments.refuse), accounts=_pairs(arguments.account), drop=arguments.drop
    )
    arguments.folder.mkdir(parents=True, exist_ok=True)
    sink = Sink(behaviour, arguments.folder)
    server = await sink.serve(arguments.port, tls, implicit=arguments.implicit)
    sys.stdout.write(json.dumps({"port": sink.port}) + "\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


def _pairs(texts: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kit.sink")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--refuse", action="append", default=[], help="ADDRESS='550 5.1.1 No such user'")
    parser.add_argument("--account", action="append", default=[], help="NAME=PASSWORD")
    parser.add_argument("--drop", type=int, default=0)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--implicit", action="store_true", help="TLS at once")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(_main(_arguments()))
