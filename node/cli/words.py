"""`mailio init` and `mailio words`: the identity and the 24 words that it comes from.

Words are read from standard input and shown once; they never stand in an argument or a log.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from node.cli.output import folded, note, pairs, write_json, write_line
from node.cli.session import (
    PassphraseOption,
    Session,
    command,
    group,
    on_terminal,
    passphrase_from_file,
)
from node.runtime.errors import NodeError, UsageError
from node.runtime.home import Home

if TYPE_CHECKING:
    from node.storage import DatabaseKey

WORDS: Final = 24
COLUMNS: Final = 4
"""Words in a row: four numbered words of at most eight letters fit 60 columns."""

CELL: Final = 13
"""Columns of a numbered word."""

MAX_LINE: Final = 4_096
"""Characters read at once where words are expected."""

MAX_LINES: Final = 200

Recover = Annotated[bool, typer.Option("--recover", help="Make it from the 24 words that you have.")]
HostHints = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="ADDRESS", help="With --recover: a host that you had. May be repeated."),
]


@dataclass(frozen=True, slots=True)
class Made:
    """A new identity; `words` is empty where the owner gave them."""

    address: str
    did: str
    peer_id: str
    words: tuple[str, ...]


def register(app: typer.Typer) -> None:
    command(app, "init")(init)
    inner = group("words", "Your 24 words.", app)
    command(inner, "confirm")(confirm)


def init(
    session: Session,
    recover: Recover = False,
    host: HostHints = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make your identity. Shows 24 words once: the only way back to it.

    With --recover your hosts give back what they keep: handshakes, contacts, letters that wait.
    """
    home = session.home
    require_none(home)
    hints = read_hints(host or [], recover)
    if not session.json and not sys.stdout.isatty():
        raise NodeError(
            "no-terminal",
            "the words are shown once, and nobody would see them here",
            "run it on a terminal or with --json",
        )
    passphrase = passphrase_from_file(passphrase_file)
    given = read_words() if recover else None
    made = make_identity(home, passphrase, given, hints)
    told = {"address": made.address, "did": made.did, "peerId": made.peer_id, "words": list(made.words)}
    if given is not None:  # who has just typed the words need not be asked whether they have them
        session.passphrase = passphrase
        session.post("/local/words", words=given)
        if not session.json:
            show_made(made)
        from node.cli.recovering import bring_back

        bring_back(session, passphrase, hints, told)
        return
    if session.json:
        write_json(told)
        return
    show_made(made)
    note("start your node with: mailio run")


def confirm(session: Session) -> None:
    """Check that you have the words: type all of them. Nothing of them is kept."""
    session.get("/local/id")  # says early where there is no node to ask
    found = session.post("/local/words", words=read_words())
    write_json(found) if session.json else note("these are your words; keep them safe")


def require_none(home: Home) -> None:
    """Raises NodeError where there is an identity already."""
    if home.identity_file.exists():
        raise NodeError(
            "identity-exists",
            f"there is an identity in {home.path} already",
            "choose another --home for a second one",
        )


def read_hints(hosts: Sequence[str], recover: bool) -> tuple[str, ...]:
    """The addresses of former hosts. Raises UsageError."""
    from node.hosts.recovering import MAX_HINTS
    from protocol.errors import RemoteProtocolError
    from protocol.peers import check_multiaddr

    if hosts and not recover:
        raise UsageError("host", "--host goes with --recover", "later: mailio host add ADDRESS")
    if len(hosts) > MAX_HINTS:
        raise UsageError("host", f"an owner has at most {MAX_HINTS} hosts", "name fewer")
    for one in hosts:
        try:
            check_multiaddr(one)
            if "/p2p/" not in one:
                raise RemoteProtocolError("without its peer id")
        except RemoteProtocolError as fault:
            raise UsageError(
                "host", f"{one[:100]}: {fault}", "as in /ip4/192.0.2.1/tcp/4101/p2p/…"
            ) from fault
    return tuple(hosts)


def make_identity(
    home: Home, passphrase: str | None, given: Sequence[str] | None, hints: Sequence[str] = ()
) -> Made:
    """Make an identity, new or from its words, and the key of its database. One from its words looks for its
    hosts when its node is started, at `hints` too. Raises NodeError.
    """
    import trio

    return trio.run(_make, home, passphrase, given, hints)


async def _make(
    home: Home, passphrase: str | None, given: Sequence[str] | None, hints: Sequence[str]
) -> Made:
    import secrets

    import base58

    from node.identity import create, load_peer_key
    from node.storage import create_key, unlock
    from protocol.account import peer_id_of
    from protocol.errors import LocalProtocolError
    from protocol.keys import Secrets, SigningKey, did_of, root_of, words_of

    try:
        root = secrets.token_bytes(32) if given is None else root_of(given)
    except LocalProtocolError as fault:
        raise UsageError("words", str(fault), "type all 24 words in their order") from None
    home.create()
    # A database key may be there from an attempt that was interrupted.
    key = await (unlock(home, passphrase) if home.key_file.exists() else create_key(home, passphrase))
    now = time.time_ns() // 1_000_000
    if given is not None:
        await _begin_recovery(home, key, hints, now)
    create(home, key, root, now)
    address = Secrets.derive(root).address
    peer_id = peer_id_of(SigningKey.from_seed(load_peer_key(home, key)).public)
    words = words_of(root) if given is None else ()
    return Made(address, did_of(address), base58.b58encode(peer_id).decode(), tuple(words))


async def _begin_recovery(home: Home, key: DatabaseKey, hints: Sequence[str], now: int) -> None:
    """Before there is an identity: a node that knew nothing of a recovery would tell its hosts that it has
    nothing.
    """
    from node.hosts.recovering import begin
    from node.storage import Batch, open_store

    async with open_store(home.database, key, inline=True) as store:
        batch = Batch()
        begin(batch, hints, now)
        await store.write(batch)


def read_words() -> list[str]:
    """24 words from standard input, on one line or several. Raises UsageError for fewer."""
    if on_terminal():
        note("Type your 24 words in their order, on one line or several:")
    found: list[str] = []
    for _ in range(MAX_LINES):
        line = sys.stdin.readline(MAX_LINE)
        found += [word.strip(",.;").lower() for word in line.split() if not word.rstrip(".").isdigit()]
        if len(found) >= WORDS or not line:
            break
        if on_terminal() and line.strip():
            note(f"{len(found)} so far")
    if len(found) != WORDS:
        raise UsageError(
            "words", f"these are {len(found)} words, not {WORDS}", "type all 24 words in their order"
        )
    return found


def show_made(made: Made) -> None:
    """The new identity for a person, and its words where they are new."""
    write_line("Your identity is made." if made.words else "Your identity is back.")
    pairs([("Address", made.address), ("DID", made.did)])
    if not made.words:
        return
    write_line()
    said = (
        "These 24 words are the only way back to it. Write them down now, on paper; they are not shown again."
    )
    write_line(folded(f"{said} Whoever has them has everything.", sys.stdout))
    write_line()
    columns = max(1, min(COLUMNS, (shutil.get_terminal_size().columns - 2) // CELL))
    for line in grid(made.words, columns):
        write_line(line)
    write_line()
    write_line(folded("Check what you wrote at any time with: mailio words confirm", sys.stdout))


def grid(words: Sequence[str], columns: int = COLUMNS) -> list[str]:
    """The words numbered, in reading order."""
    cells = [f"{n:2d} {word:<10}" for n, word in enumerate(words, 1)]
    return ["  " + "".join(cells[n : n + columns]).rstrip() for n in range(0, len(cells), columns)]
