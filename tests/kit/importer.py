"""The importer of JavaScript's IPFS, from which the CID of a file is had a second time. It keeps no block."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from typing import Final

import trio

from tests.kit.mailers import PEERS

IMPORT_S: Final = 120.0
"""Seconds for one file."""

_PACKAGE: Final = "ipfs-unixfs-importer"

# Kubo's `ipfs add --cid-version=1 --raw-leaves`, each default of the importer written out.
_IMPORTER: Final = """
import { importByteStream } from "ipfs-unixfs-importer";
import { fixedSize } from "ipfs-unixfs-importer/chunker";
import { balanced } from "ipfs-unixfs-importer/layout";
const store = { put: async (cid) => cid };
const entry = await importByteStream(process.stdin, store, {
  cidVersion: 1,
  rawLeaves: true,
  leafType: "raw",
  reduceSingleLeafToSelf: true,
  chunker: fixedSize({ chunkSize: 262144 }),
  layout: balanced({ maxChildrenPerNode: 174 }),
});
console.log(entry.cid.toString());
"""


def why_no_importer() -> str:
    """Why the importer can't run here; "" where it can."""
    if shutil.which("node") is None:
        return "there is no Node.js here (scripts/peers gets one)"
    if not PEERS.is_dir() or _fails(f'await import("{_PACKAGE}")'):
        return f"there is no {_PACKAGE} here (scripts/peers gets one)"
    return ""


async def importer_cid(pieces: Iterable[bytes]) -> str:
    """The CID, as it is written, of a file that comes in these pieces; they are not held."""
    with trio.fail_after(IMPORT_S):
        async with trio.open_nursery() as nursery:
            process = await nursery.start(_open)
            async with process.stdin:
                for piece in pieces:
                    await process.stdin.send_all(piece)
            said = b"".join([part async for part in process.stdout])
    return said.decode("ascii").strip()


async def _open(task_status: trio.TaskStatus[trio.Process]) -> None:
    """The importer's process; the nursery fails if it does."""
    await trio.run_process(
        _command(_IMPORTER),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PEERS,
        task_status=task_status,
    )


def _fails(script: str) -> bool:
    return subprocess.run(_command(script), capture_output=True, check=False, cwd=PEERS).returncode != 0


def _command(script: str) -> list[str]:
    """Modules are looked for where it is run, in PEERS: NODE_PATH does not lead to modules of this kind."""
    return ["node", "--input-type=module", "--eval", script]
