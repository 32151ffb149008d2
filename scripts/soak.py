"""Lets nodes be killed and suspended for as long as is wanted, or plays every story of the fault harness, and
says what came of it. How, is told in tests/kit/soaking.py and tests/kit/playing.py.
"""

import argparse
import json
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import trio

from tests.kit.processes import Unmet
from tests.kit.soaking import Plan, soak
from tests.kit.soakpost import Figures


def tell(text: str) -> None:
    print(text, flush=True)


def main(arguments: argparse.Namespace) -> int:
    """Exit 1 where a letter was lost or came twice; the nodes' homes and logs stay then."""
    plan = Plan(arguments.letters, arguments.kills, arguments.stops, arguments.seed, arguments.minutes * 60)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the nodes are ended then too
    directory = Path(tempfile.mkdtemp(prefix="mailio-soak-"))
    tell(f"seed {plan.seed}, in {directory}")
    try:
        figures = trio.run(soak, directory, plan, tell)
    except Unmet as fault:
        tell(f"{fault}; see {directory}")
        return 1
    tell(json.dumps(figures.to_json() | {"seed": plan.seed}))
    if _good(figures):
        shutil.rmtree(directory)
        return 0
    for line in (*figures.lost, *figures.doubled, *figures.amiss):
        tell(line)
    tell(f"see {directory}")
    return 1


def _good(figures: Figures) -> bool:
    return not (figures.lost or figures.doubled or figures.amiss)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.0, help="as much as fits, in place of numbers")
    parser.add_argument("--letters", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--stops", type=int, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_arguments()))
