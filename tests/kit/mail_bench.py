"""How fast ordinary mail comes in, beside a bare aiosmtpd that keeps nothing; called by scripts/bench.

Server and sender are processes of their own. The sender speaks SMTP by hand, so that it takes little of the
machine; both servers get the same bytes from it.
"""

import asyncio
import contextlib
import json
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import trio

from tests.kit.dkim_keys import rsa_key, sign
from tests.kit.names_server import open_names
from tests.kit.people import require
from tests.kit.processes import Process, a_village

LETTER_BYTES: Final = 10_000
"""Of a whole letter."""

CONNECTIONS: Final = 10
ROUNDS: Final = 5
"""Measurements of a rate, of which the median counts."""

SIGNED: Final = 50
"""Different signed letters; making one takes longer than verifying it, so they come again from others."""

OWNER: Final = "owner@home.example"
AUTHOR: Final = "author@example.org"
STRANGER: Final = "stranger@example.com"

RECORDS: Final = {
    "example.org": "v=spf1 include:_spf.example.org -all",
    "_spf.example.org": "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 ip4:127.0.0.0/8 ~all",
    "_dmarc.example.org": "v=DMARC1; p=reject; adkim=s; rua=mailto:reports@example.org",
}
"""What the author's domain publishes beside its key; the stranger's nothing."""

Figures = dict[str, Any]

_LINES: Final = "".join(secrets.token_hex(36) + "\r\n" for _ in range((LETTER_BYTES - 300) // 74)).encode()


def letter(number: int, author: str) -> bytes:
    """One letter; no two are alike."""
    head = (
        f"From: Author <{author}>\r\nTo: {OWNER}\r\nSubject: letter {number}\r\n"
        f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{secrets.token_hex(16)}@example.org>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    return head.encode() + _LINES


# ---- the sender, in a process of its own: letters from files, each connection in turn


async def _connection(port: int, letters: list[tuple[str, bytes]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)

    async def said(expected: bytes) -> None:
        line = await reader.readline()
        while line[3:4] == b"-":
            line = await reader.readline()
        if not line.startswith(expected):
            raise SystemExit(f"expected {expected!r}, saw {line!r}")

    await said(b"220")
    writer.write(b"EHLO bench.example\r\n")
    await said(b"250")
    for sender, raw in letters:
        writer.write(f"MAIL FROM:<{sender}>\r\n".encode())
        await said(b"250")
        writer.write(f"RCPT TO:<{OWNER}>\r\n".encode())
        await said(b"250")
        writer.write(b"DATA\r\n")
        await said(b"354")
        writer.write(raw + b".\r\n")
        await said(b"250")
    writer.write(b"QUIT\r\n")
    await said(b"221")
    writer.close()


async def _send(port: int, letters: list[tuple[str, bytes]]) -> float:
    begun = time.perf_counter()
    await asyncio.gather(*(_connection(port, letters[n::CONNECTIONS]) for n in range(CONNECTIONS)))
    return time.perf_counter() - begun


def _sender(port: int, count: int, directory: Path | None) -> None:
    """Prints letters a second. `directory` holds signed letters, else each is made here."""
    if directory is None:
        letters = [(STRANGER, letter(n, STRANGER)) for n in range(count)]
    else:
        signed = [path.read_bytes() for path in sorted(directory.iterdir())]
        letters = [(f"b{secrets.token_hex(8)}@example.org", signed[n % len(signed)]) for n in range(count)]
    print(json.dumps(count / asyncio.run(_send(port, letters))), flush=True)


# ---- the bare sink


class _Sink:
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        return "250 OK"


def _sink() -> None:
    """A bare aiosmtpd in this process; prints its port."""
    from aiosmtpd.smtp import SMTP

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(_Sink(), hostname="sink", loop=loop), "127.0.0.1", 0)
        print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


@contextmanager
def bare_sink() -> Iterator[int]:
    """The port of a bare sink that runs beside us."""
    command = [sys.executable, "-m", "tests.kit.mail_bench", "sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield int(json.loads(process.stdout.readline()))
        finally:
            process.kill()


# ---- the measurements


async def _rate(port: int, count: int, directory: Path | None = None) -> float:
    arguments = [str(port), str(count), *([str(directory)] if directory else [])]
    command = [sys.executable, "-m", "tests.kit.mail_bench", "send", *arguments]
    done = await trio.run_process(command, capture_stdout=True)
    return float(json.loads(done.stdout))


def _port(node: Process) -> int:
    return int(node.ask("GET", "/api/v1/status")["listen"]["smtp"].rpartition(":")[2])


def _write_signed(directory: Path) -> None:
    directory.mkdir()
    for n in range(SIGNED):
        (directory / f"{n:04}.eml").write_bytes(sign(letter(n, AUTHOR), rsa_key(), "example.org", "bench"))


async def smtp_in(directory: Path, count: int) -> list[Figures]:
    """Letters a second into a bare sink, into a node from a domain that publishes nothing, and into a node
    with all that there is to check: a signature (RSA, 2,048 bits), SPF through an include and DMARC, all in
    its cache, of an accepted author whose letters go to the inbox. Each round measures all three, one after
    the other, for the machine's own speed comes and goes.
    """
    rates: dict[str, list[float]] = {"bare": [], "node": [], "node_checked": []}
    signed = directory / "signed"
    await trio.to_thread.run_sync(_write_signed, signed)
    with bare_sink() as sink:
        async with open_names() as names, a_village(directory) as village:
            names.txt("bench._domainkey.example.org", rsa_key().txt)
            for name, text in RECORDS.items():
                names.txt(name, text)
            node = await village.owner(
                "owner",
                MAILIO_MAIL_ADDRESSES=OWNER,
                MAILIO_DNS_NAMESERVERS=names.address,
                MAILIO_LIMITS_HANDSHAKE_LETTERS="1000000",
                MAILIO_LIMITS_HANDSHAKE_BYTES="1 TB",
            )
            await node.mailio("handshake", "accept", AUTHOR)
            for warm in (True, *(False for _ in range(ROUNDS))):
                for name, port, letters in (
                    ("bare", sink, None),
                    ("node", _port(node), None),
                    ("node_checked", _port(node), signed),
                ):
                    rate = await _rate(port, count // 5 if warm else count, letters)
                    rates[name] += [] if warm else [rate]
            each = ROUNDS * count + count // 5
            require("letters that the node took", (await node.mailio("status"))["smtp"]["received"], 2 * each)
            folders = {f["name"]: f["totalMessages"] for f in await node.mailio("folder", "list")}
            require("letters by folder", (folders["inbox"], folders["handshake"]), (each, each))
    context = {"letters": count, "letter_bytes": LETTER_BYTES, "connections": CONNECTIONS}
    figures = [_figure(f"smtp_in_{name}", found, "1/s", context) for name, found in rates.items()]
    for name in ("node", "node_checked"):
        shares = [one / bare for one, bare in zip(rates[name], rates["bare"], strict=True)]
        figures.append(_figure(f"smtp_in_{name}_to_bare", shares, "ratio", context))
    return figures


def _figure(name: str, found: list[float], unit: str, context: Figures) -> Figures:
    digits = 1 if unit == "1/s" else 3
    value, least, most = (round(one, digits) for one in (statistics.median(found), min(found), max(found)))
    return {"name": name, "value": value, "min": least, "max": most, "unit": unit, **context}


def main(arguments: list[str]) -> None:
    if arguments[0] == "sink":
        with contextlib.suppress(KeyboardInterrupt):
            _sink()
    else:
        port, count, *directory = arguments[1:]
        _sender(int(port), int(count), Path(directory[0]) if directory else None)


if __name__ == "__main__":
    main(sys.argv[1:])
