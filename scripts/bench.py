"""Runs the measurements of tests/kit and prints each figure as one line of JSON. Nothing is measured here."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

import trio

from tests.kit import (
    attachment_bench,
    files_bench,
    flood_bench,
    hosting_bench,
    kubo_bench,
    mail_bench,
    network_bench,
    node_bench,
    store_bench,
    traffic_bench,
)
from tests.kit.processes import Unmet

LETTERS: Final = 1_000
"""Letters sent for a rate: five seconds' worth."""

MAILS: Final = 2_000
"""Ordinary mails taken in for a rate: a second's or two's worth."""

MAILBOX: Final = 100_000
"""Letters in the large mailbox."""

DELAYED: Final = 20
"""Letters sent in bad company."""

Figures = dict[str, Any]


def bare() -> Iterator[Figures]:
    """Requests over libp2p alone and over node.network, between two processes."""
    for kind in network_bench.Kind.__args__:  # type: ignore[attr-defined] # the Literal's names
        figures = network_bench.measure(kind)
        context = {"request_bytes": network_bench.REQUEST, "answer_bytes": network_bench.ANSWER}
        for name, value in figures.items():
            unit = "1/s" if name.startswith("per_second") else "ms"
            yield {"name": f"{kind}_{name}", "value": value, "unit": unit, **context}


def letters() -> Iterator[Figures]:
    """Letters between two nodes, and how that compares with bare libp2p in the same run."""
    rates = network_bench.measure("bare")
    streams = {name: rate for name, rate in rates.items() if name.startswith("per_second")}
    best = max(streams.values())
    for figure in _at_home(lambda home: traffic_bench.letters(home, LETTERS)):
        yield figure
        if figure["unit"] == "1/s":
            value = round(figure["value"] / best, 3)
            yield {"name": f"{figure['name']}_to_bare", "value": value, "unit": "ratio", "bare": best}


def hosting() -> Iterator[Figures]:
    """A host full of letters; its parts run on their own."""
    with tempfile.TemporaryDirectory(prefix="mailio-bench-") as directory:
        yield from hosting_bench.hosting(Path(directory))


def _at_home(measure: Callable[[Path], Any]) -> list[Figures]:
    """What an asynchronous measurement finds in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="mailio-bench-") as directory:
        found: list[Figures] = trio.run(measure, Path(directory))
        return found


GROUPS: Final[Mapping[str, Callable[[], Iterator[Figures]]]] = {
    "crypto": lambda: iter(node_bench.crypto()),
    "bare": bare,
    "letters": letters,
    "files": lambda: chain([files_bench.cids()], _at_home(attachment_bench.files)),
    "files-memory": lambda: iter(_at_home(attachment_bench.memory)),
    "store": lambda: chain(_at_home(store_bench.putting), _at_home(store_bench.many)),
    "kubo": lambda: iter(_at_home(kubo_bench.kubo)),
    "smtp": lambda: iter(_at_home(lambda home: mail_bench.smtp_in(home, MAILS))),
    "floods": lambda: iter(_at_home(flood_bench.floods)),
    "hosting": hosting,
    "mailbox": lambda: iter(_at_home(lambda home: node_bench.mailbox(home, MAILBOX))),
    "start": lambda: iter(_at_home(node_bench.start)),
    "delay": lambda: iter(_at_home(lambda home: traffic_bench.delay(home, DELAYED))),
}


def main(names: list[str]) -> int:
    """Exit 1 where a measurement could not be made, 2 for an unknown name."""
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    for name in names or GROUPS:
        try:
            for figure in GROUPS[name]():
                print(json.dumps(figure | machine), flush=True)
        except Unmet as fault:
            print(f"{name}: {fault}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
