"""The first signal ends a node in order, the second at once."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.commands import PATIENCE_S, environment

NODE = """
import trio
from node.cli.nodes import _serve

async def runner(*, stop, ready):
    await ready(None)
    await stop.wait()
    await ready(None)
    await trio.{}

async def ready(_):
    print("ready", flush=True)

trio.run(_serve, runner, ready)
"""


def start(home: Path, ending: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", NODE.format(ending)], stdout=subprocess.PIPE, env=environment(home)
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_the_node_end_by_itself(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path, "lowlevel.checkpoint()") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0


def test_the_second_signal_does_not_wait(tmp_path: Path) -> None:
    with start(tmp_path, "sleep_forever()") as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
