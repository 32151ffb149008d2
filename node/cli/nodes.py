"""`mailio run` and `mailio bootstrap`: a node in the foreground, its log and its end."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from node.cli.output import console, note, write_json, write_line
from node.cli.screen import Choices, Line, first_screen, public_screen
from node.cli.session import (
    PassphraseOption,
    Session,
    ask_passphrase,
    command,
    group,
    on_terminal,
    passphrase_from_file,
)
from node.cli.text import clean
from node.runtime.errors import NodeError
from node.runtime.home import Home

if TYPE_CHECKING:
    import trio

    from node.api import Base
    from node.runtime.config import Config

KILLED: Final = 130
"""Exit code when a second Ctrl-C ends the node at once; what was promised is on disk by then."""

Runner = Callable[..., Awaitable[None]]


def register(app: typer.Typer) -> None:
    command(app, "run", short_help="Run your node; makes your identity if there is none.")(run)
    inner = group("bootstrap", "A public node: others find each other through it.", app)
    command(inner, "run")(run_public)
    command(inner, "peers")(first_peers)


def run(session: Session, passphrase_file: PassphraseOption = None) -> None:
    """Run your node, in the foreground; makes your identity first if there is none.

    It runs until you press Ctrl-C.
    """
    from node.runtime.config import load

    home = session.home
    config = load(home.path, os.environ)
    passphrase = passphrase_from_file(passphrase_file)
    if not home.identity_file.exists():
        _make_identity(session, home, passphrase)
    from node.app import run_node

    _run(session, config, partial(run_node, home, config, _unlocking(home, passphrase)))


def run_public(session: Session, passphrase_file: PassphraseOption = None) -> None:
    """Run a public node until you press Ctrl-C. It has no owner and keeps no mail."""
    from node.runtime.config import load

    home = session.home
    config = load(home.path, os.environ)
    passphrase = passphrase_from_file(passphrase_file)
    from bootstrap.service import run_bootstrap

    _run(session, config, partial(run_bootstrap, home, config, _unlocking(home, passphrase)))


def first_peers(session: Session) -> None:
    """The first peers that a node here dials."""
    from node.app.ground import first_peers as known
    from node.runtime.config import load

    found = list(known(load(session.home.path, os.environ)))
    if session.json:
        write_json(found)
        return
    for one in found:
        write_line(clean(one))
    if not found:
        note("none yet: there is no public network. Set some: mailio config set network.bootstrap ADDRESS")


def _make_identity(session: Session, home: Home, passphrase: str | None) -> None:
    if session.json or not (on_terminal() and sys.stdout.isatty()):
        raise NodeError(
            "no-identity", f"there is no identity in {home.path} yet", "make one with: mailio init --json"
        )
    from node.cli.words import make_identity, show_made

    show_made(make_identity(home, passphrase, None))
    input("\nPress Enter when you have them on paper. ")


def _unlocking(home: Home, passphrase: str | None) -> str | None:
    """The passphrase that this home needs, asked for where there is someone to ask."""
    if passphrase is not None or not home.key_file.exists() or not on_terminal():
        return passphrase
    from node.storage.keys import is_locked

    return ask_passphrase() if is_locked(home) else None


def _run(session: Session, config: Config, runner: Runner) -> None:
    import trio

    start_log(config.log.level)
    if sys.stderr.isatty():
        note("starting …")
    trio.run(_serve, runner, partial(_ready, config, session))


async def _serve(runner: Runner, ready: Callable[[Base], Awaitable[None]]) -> None:
    """Run the node; the first signal ends it in order, the second at once."""
    import trio

    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, stop)
        await runner(stop=stop, ready=ready)
        nursery.cancel_scope.cancel()


async def _watch_signals(stop: trio.Event, task_status: trio.TaskStatus[None]) -> None:
    import trio

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                os._exit(KILLED)
            stop.set()
            if sys.stderr.isatty():
                note("closing … (Ctrl-C again ends it at once)")


async def _ready(config: Config, session: Session, base: Base) -> None:
    """Say that the node is up: the screen for a person, one line of JSON for a program."""
    from node.api.local import id_of
    from node.api.status import status_of
    from node.app.ground import first_peers as known

    status, identity = status_of(base), id_of(base)
    if session.json:
        write_json(status | identity)
        sys.stdout.flush()
        return
    choices = Choices(config.network.announce, len(known(config)), first_of_all(session.home))
    width = console().width if sys.stdout.isatty() else 80
    owner = identity["address"] is not None
    show_lines(
        first_screen(status, identity, choices, width) if owner else public_screen(identity, choices, width)
    )


def first_of_all(home: Home) -> tuple[str, ...]:
    """What another terminal has to be told, so that `mailio` is found there and finds this home."""
    here = Path(sys.argv[0]).absolute()
    found = shutil.which("mailio")
    said = []
    if here.name == "mailio" and (found is None or not here.samefile(found)):
        said.append(f"export PATH={shlex.quote(str(here.parent))}:$PATH")
    if home.path != Home.locate(None, {"HOME": os.environ.get("HOME", "")}).path:
        said.append(f"export MAILIO_HOME={shlex.quote(str(home.path.absolute()))}")
    return tuple(said)


def show_lines(lines: list[Line]) -> None:
    """Print a screen. What is to be copied goes out in one piece: the terminal wraps it, and no line
    end gets into the copy.
    """
    output: Any = console()
    for line in lines:
        output.print(line.text, style="bold" if line.kind == "title" else None, soft_wrap=True)
    sys.stdout.flush()


class _Plain(logging.Formatter):
    """One line a record, with nothing in it that could steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record), lines=True)


def start_log(level: str) -> None:
    """Log to standard error. Nothing that is logged holds mail, words or keys."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)  # of other people's packages
    for ours in ("node", "bootstrap", "protocol"):
        logging.getLogger(ours).setLevel(level.upper())
