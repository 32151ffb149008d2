"""What `mailio init --recover` does once the identity is made: it runs the node until its hosts have given
back what they keep, and says what that was.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from node.cli.output import note, write_json, write_line
from node.cli.session import Session

if TYPE_CHECKING:
    import trio

    from node.api import Desk
    from node.runtime.config import Config
    from node.runtime.home import Home

LOOK_S: Final = 0.5
"""Seconds between two looks at how far it is."""

LETTERS_S: Final = 600.0
"""Seconds for the letters, once it is known who may write; the others come when the node runs."""

NOTHING: Final[Mapping[str, int]] = {"handshakes": 0, "contacts": 0, "letters": 0, "hosts": 0}


def bring_back(session: Session, passphrase: str | None, hints: Sequence[str], told: dict[str, Any]) -> None:
    """Look for the hosts, where there is a network to look in, and say what came back beside `told`. Raises
    NodeError.
    """
    import trio

    from node.app.ground import first_peers
    from node.runtime.config import load

    config = load(session.home.path, os.environ)
    restored = dict(NOTHING)
    if hints or first_peers(config) or config.hosts.use:
        note("looking for your hosts …")
        trio.run(_look, session.home, config, passphrase, restored)
    if session.json:
        write_json(told | {"restored": restored})
        return
    show_restored(restored)


def show_restored(restored: Mapping[str, int]) -> None:
    """For a person."""
    if not restored["hosts"]:
        note("none of your hosts was found yet; the node goes on looking: mailio run")
        note("if you remember one: mailio host add ADDRESS")
        return
    for name in ("handshakes", "contacts", "letters"):
        write_line(f"{name.capitalize():<12}{restored[name]}")
    note("start your node with: mailio run")


async def _look(home: Home, config: Config, passphrase: str | None, restored: dict[str, int]) -> None:
    import trio

    from node.app import run_node

    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_early, stop, nursery.cancel_scope)
        await run_node(home, config, passphrase, stop=stop, ready=partial(_wait, stop, restored))
        nursery.cancel_scope.cancel()


async def _wait(stop: trio.Event, restored: dict[str, int], desk: Desk) -> None:
    """Until everything is back, or nobody answers."""
    import trio

    fetching: float | None = None
    while not stop.is_set():
        found = desk.status()["recovery"]
        assert isinstance(found, Mapping)
        restored |= {name: found[name] for name in NOTHING if name in found}
        now = trio.current_time()
        if found["state"] == "done" or (found["settled"] and not found["hosts"]):
            break
        fetching = now if fetching is None and found["settled"] else fetching
        if fetching is not None and now > fetching + LETTERS_S:
            break
        with trio.move_on_after(LOOK_S):
            await stop.wait()
    stop.set()


async def _end_early(stop: trio.Event, scope: trio.CancelScope) -> None:
    """Ctrl-C ends the looking; what came back is on disk, and `mailio run` goes on."""
    import signal

    import trio

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if stop.is_set():
                scope.cancel()
            stop.set()
