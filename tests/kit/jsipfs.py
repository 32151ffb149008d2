"""A real IPFS daemon on loopback with Kubo's RPC API: js-ipfs, which scripts/peers gets. Ports of its own, a
repository of its own, nobody to join, ended for certain, also with whoever started it.

Where it differs from Kubo is said in docs/decisions/0032-kubo-rpc.md.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from tests.kit.mailers import PEERS
from tests.kit.peers import START_S, STOP_S, needs

PLACE: Final = PEERS / "jsipfs"

ANY_PORT: Final = "/ip4/127.0.0.1/tcp/0"

# The daemon's own program without what would listen or dial besides. Its parts want a method that Node.js
# has from 22 on. It ends when its standard input does.
_DAEMON: Final = """
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new Promise((...both) => { [resolve, reject] = both; });
  return { promise, resolve, reject };
};
process.stdin.on("end", () => process.exit(1)).resume();
const { create } = await import("ipfs-core");
const { HttpApi } = await import("ipfs-http-server");
const { repo, api, online } = JSON.parse(process.argv[1]);
const ipfs = await create({
  repo, start: online, silent: true, preload: { enabled: false },
  init: { emptyRepo: true, algorithm: "Ed25519" },
  config: {
    Addresses: { Swarm: ["/ip4/127.0.0.1/tcp/0"], API: api, Gateway: "", RPC: "", Delegates: [] },
    Bootstrap: [],
    Discovery: { MDNS: { Enabled: false }, webRTCStar: { Enabled: false } },
    Routing: { Type: "none" },
    Swarm: { DisableNatPortMap: true },
    Pubsub: { Enabled: false },
  },
});
const server = new HttpApi(ipfs);
await server.start();
const { id, addresses } = await ipfs.id();
console.log(JSON.stringify({ peer: id, addrs: addresses }));
"""


def why_no_jsipfs() -> str:
    """Why the daemon can't run here; "" where it can."""
    if shutil.which("node") is None:
        return "there is no Node.js here (scripts/peers gets one)"
    if not (PLACE / ".installed").is_file():
        return "there is no js-ipfs here (scripts/peers gets one)"
    return ""


needs_jsipfs: Final = needs(why_no_jsipfs())


@dataclass
class JsIpfs:
    """One daemon. `api` is the multiaddr of its RPC API, which it keeps when it is started again. Where it is
    `online` other peers reach it at `addrs`, and it waits for them to bring what it does not have; else it
    says at once what it lacks, as Kubo does when it is asked offline.
    """

    repo: Path
    online: bool = False
    api: str = ANY_PORT
    peer: str = ""
    addrs: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Until it answers, with what it had before."""
        given = {"repo": str(self.repo), "api": self.api, "online": self.online}
        command = ["node", "--input-type=module", "-e", _DAEMON, json.dumps(given)]
        with (self.repo.with_suffix(".log")).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as the process is made
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=PLACE
            )
        with trio.fail_after(START_S):
            said = json.loads(await trio.to_thread.run_sync(self._first_line, abandon_on_cancel=True))
        self.api = (self.repo / "api").read_text()
        self.peer, self.addrs = said["peer"], tuple(said["addrs"])

    async def kill(self) -> None:
        """End it without a word, as a power failure would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with trio.CancelScope(shield=True), trio.fail_after(STOP_S):
                await trio.to_thread.run_sync(process.wait)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            shutil.rmtree(self.repo / "repo.lock", ignore_errors=True)  # else the next one waits for its age

    def _first_line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@asynccontextmanager
async def a_jsipfs(directory: Path, *, online: bool = False) -> AsyncIterator[JsIpfs]:
    """A running one, whose repository is in this directory."""
    daemon = JsIpfs(directory / "ipfs", online)
    try:
        await daemon.start()
        yield daemon
    finally:
        await daemon.kill()


@contextmanager
def jsipfs_meanwhile(directory: Path) -> Iterator[JsIpfs]:
    """As a_jsipfs, for who is not in trio's hands."""
    daemon = JsIpfs(directory / "ipfs")
    try:
        trio.run(daemon.start)
        yield daemon
    finally:
        trio.run(daemon.kill)
