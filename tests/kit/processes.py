"""Real nodes as processes on loopback: each with a home of its own, free ports and a log, ended for certain.

They are driven by the `mailio` command alone; only whether one is up is asked on its socket.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import trio

from node.cli.client import NotRunning, Question, ask
from node.runtime.errors import NodeError
from node.runtime.home import Home

T = TypeVar("T")

ROOT: Final = Path(__file__).parents[2]
_COMMAND: Final = Path(sys.executable).with_name("mailio")
MAILIO: Final = (
    (str(_COMMAND),)
    if _COMMAND.exists()
    else (sys.executable, "-c", "from node.cli.main import main; main()")
)
"""The command that the environment has, or in a checkout that is not installed what it would run."""

START_S: Final = 30.0
"""Seconds until a node must answer; it takes two on an idle machine."""

STOP_S: Final = 10.0
"""Seconds in which a node must have drained and ended (interface.md)."""

COMMAND_S: Final = 90.0
"""Seconds for one command, those that follow a letter for half a minute included."""

LOOK_S: Final = 0.25
"""Seconds between two looks at something that has no event for us."""


class Unmet(Exception):  # noqa: N818 - not a fault of the program that says it
    """Something that should be so is not."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command ended with; `value` is its JSON, None where it printed none."""

    code: int
    value: Any
    error: str


@dataclass
class Process:
    """One node. `environment` overrides its settings; `home` is made by `init` or by the node itself."""

    name: str
    home: Path
    log: Path
    environment: Mapping[str, str]
    running: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    address: str = ""

    async def init(self) -> None:
        """Make an identity."""
        self.address = (await self.mailio("init"))["address"]

    async def try_mailio(self, *arguments: str, stdin: str = "") -> Said:
        """Run one command on this home, with `--json`, however it ends."""
        done = await self._run("--json", *arguments, stdin=stdin)
        value = None
        with suppress(ValueError):
            value = json.loads(done.stdout)
        return Said(done.returncode, value, done.stderr.decode(errors="replace").strip())

    async def written(self, *arguments: str) -> bytes:
        """What a command that must succeed writes for a person, or for another program."""
        done = await self._run(*arguments)
        if done.returncode != 0:
            raise Unmet(f"`mailio {' '.join(arguments)}` of {self.name} ended with {done.returncode}")
        return done.stdout

    async def _run(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[bytes]":
        with trio.move_on_after(COMMAND_S):
            return await trio.run_process(
                [*MAILIO, "--home", str(self.home), *arguments],
                stdin=stdin.encode(),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                cwd=ROOT,
                env=self._environ(),
            )
        raise Unmet(f"`mailio {' '.join(arguments)}` of {self.name} did not end in {COMMAND_S:.0f} s")

    async def mailio(self, *arguments: str, stdin: str = "") -> Any:
        """The JSON of a command that must succeed."""
        said = await self.try_mailio(*arguments, stdin=stdin)
        if said.code != 0:
            words = f"`mailio {' '.join(arguments)}` of {self.name}"
            raise Unmet(f"{words} ended with {said.code}: {said.error or said.value}")
        return said.value

    async def start(self, *arguments: str) -> float:
        """Start it (`run`, or what else is named) and wait until it answers; seconds that took."""
        begun = time.perf_counter()
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as the process is made
                [*MAILIO, "--home", str(self.home), *(arguments or ("run",))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=self._environ(),
                start_new_session=True,
            )
        with trio.move_on_after(START_S):
            while not await trio.to_thread.run_sync(self.answers):
                if self.running.poll() is not None:
                    raise Unmet(
                        f"{self.name} ended at its start with {self.running.returncode}; see {self.log}"
                    )
                await trio.sleep(0.02)
            return time.perf_counter() - begun
        raise Unmet(f"{self.name} did not answer within {START_S:.0f} s; see {self.log}")

    def answers(self) -> bool:
        """Whether the node of this home answers on its socket."""
        with suppress(NotRunning, NodeError):
            return bool(self.ask("GET", "/api/v1/status")["running"])
        return False

    def ask(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """One question to the running node, without a process for it. Raises NotRunning, NodeError."""
        return ask(Home(self.home), Question(method, path, params or None, body)).value()

    def send_signal(self, number: signal.Signals) -> None:
        assert self.running is not None
        self.running.send_signal(number)

    async def stop(self) -> float:
        """Ask it to end; seconds that took. Raises Unmet if it does not end well in time."""
        assert self.running is not None
        begun = time.perf_counter()
        self.running.terminate()
        with trio.move_on_after(STOP_S):
            code = await self._ended()
            if code != 0:
                raise Unmet(f"{self.name} ended with {code} after SIGTERM; see {self.log}")
            return time.perf_counter() - begun
        raise Unmet(f"{self.name} did not end within {STOP_S:.0f} s after SIGTERM; see {self.log}")

    async def kill(self) -> None:
        """End it without a word, as a power failure would."""
        assert self.running is not None
        self.running.kill()
        await self._ended()

    def end(self) -> None:
        """Whatever state it is in: it and what it started are gone when this returns."""
        if self.running is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.running.pid, signal.SIGKILL)  # our own session; a stopped process dies of it too
        self.running.wait()
        self.running = None

    @property
    def rss(self) -> int:
        """Bytes of memory of its main process (Linux)."""
        assert self.running is not None
        pages = int(Path(f"/proc/{self.running.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def peak_rss(self) -> int:
        """The most that it ever was (Linux)."""
        assert self.running is not None
        lines = Path(f"/proc/{self.running.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    async def _ended(self) -> int:
        assert self.running is not None
        while (code := self.running.poll()) is None:  # noqa: ASYNC110 - a process has no event for us
            await trio.sleep(0.02)
        return code

    def _environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAILIO_")}
        return {**kept, **self.environment}


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process, and its living children, have used (Linux). Nodes that were
    started here are no children in this sense: each has a session of its own.
    """
    found: dict[int, tuple[int, int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            found[int(path.parent.name)] = int(fields[1]), int(fields[3]), int(fields[11]) + int(fields[12])
    session = found[pid][1]
    ticks = sum(used for one, (parent, its, used) in found.items() if its == session and pid in (one, parent))
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """Seconds of processor time that all processes of the machine have used since it started (Linux)."""
    used = [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(used) - used[3] - used[4]) / os.sysconf("SC_CLK_TCK")  # less idle and waiting for disks


class Village:
    """Nodes that live in one directory and know one bootstrap node."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bootstrap: tuple[str, ...] = ()
        self.nodes: list[Process] = []

    def node(self, name: str, **environment: str) -> Process:
        """A node that is to be; it is ended with the village."""
        settings = {
            "MAILIO_NETWORK_LISTEN": "/ip4/127.0.0.1/tcp/0",
            "MAILIO_SMTP_PORT": "0",
            "MAILIO_SUBMISSION_PORT": "0",
            "MAILIO_HTTP_PORT": "0",
            "MAILIO_NETWORK_BOOTSTRAP": ",".join(self.bootstrap),
            **environment,
        }
        made = Process(name, self.directory / name, self.directory / f"{name}.log", settings)
        self.nodes.append(made)
        return made

    async def open_bootstrap(self) -> Process:
        """Start the node through which all later ones join."""
        made = self.node("bootstrap")
        await made.start("bootstrap", "run")
        self.bootstrap = tuple((await made.mailio("status"))["listen"]["libp2p"])
        if not self.bootstrap:
            raise Unmet("the bootstrap node names no address that it listens on")
        return made

    async def owner(self, name: str, **environment: str) -> Process:
        """A node with an identity, running."""
        made = self.node(name, **environment)
        await made.init()
        await made.start()
        return made

    def end(self) -> None:
        for one in self.nodes:
            one.end()


@asynccontextmanager
async def a_village(directory: Path) -> AsyncIterator[Village]:
    """Whatever happens inside, no process outlives it."""
    village = Village(directory)
    try:
        yield village
    finally:
        village.end()


async def until(what: str, look: Callable[[], Awaitable[T | None]], seconds: float = 30.0) -> T:
    """What `look` finds, looked for again and again; Unmet names what did not come."""
    with trio.move_on_after(seconds):
        while True:
            if (found := await look()) is not None:
                return found
            await trio.sleep(LOOK_S)
    raise Unmet(f"within {seconds:.0f} s {what} did not come about")
