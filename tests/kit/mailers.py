"""Mail programs of others as clients: swaks and nodemailer, one letter a call, each a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

PEERS: Final = Path(
    os.environ.get("PEERS")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailio-peers"
)
"""Where scripts/peers puts nodemailer."""

_NODE_PATH: Final = f"{PEERS / 'node_modules'}:/usr/share/nodejs"

SEND_S: Final = 60.0
"""Seconds for one letter."""

_NODEMAILER: Final = """
const nodemailer = require("nodemailer");
let text = "";
process.stdin.on("data", (chunk) => { text += chunk; });
process.stdin.on("end", async () => {
  const { transport, message } = JSON.parse(text);
  try {
    const said = await nodemailer.createTransport(transport).sendMail(message);
    console.log(JSON.stringify({ ok: true, response: said.response, messageId: said.messageId, error: "" }));
  } catch (fault) {
    const words = fault.response || String(fault);
    console.log(JSON.stringify({ ok: false, response: words, messageId: "", error: fault.code || "" }));
  }
});
"""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a letter is handed in. With `authority` STARTTLS is a must and the server's name is verified."""

    port: int
    user: str = ""
    password: str = ""
    authority: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`response` is the server's last words, or what went wrong."""

    ok: bool
    response: str


def why_no_swaks() -> str:
    """Why swaks can't run here; "" where it can."""
    if shutil.which("swaks") is None:
        return "there is no swaks here (scripts/peers gets one)"
    if _fails(["perl", "-MNet::SSLeay", "-e", "1"]):
        return "swaks can't do TLS here (scripts/peers gets what it needs)"
    return ""


def why_no_nodemailer() -> str:
    """Why nodemailer can't run here; "" where it can."""
    if shutil.which("node") is None:
        return "there is no Node.js here (scripts/peers gets one)"
    if _fails(["node", "-e", 'require("nodemailer")']):
        return "there is no nodemailer here (scripts/peers gets one)"
    return ""


async def swaks(server: Server, sender: str, recipients: Sequence[str], raw: bytes) -> Outcome:
    """Send these bytes by swaks, which doubles leading dots. No `%NAME%` in them: swaks fills them in."""
    command = ["swaks", "--server", "127.0.0.1", "--port", str(server.port), "--from", sender]
    command += ["--to", ",".join(recipients), "--ehlo", "swaks.example", "--timeout", "30s"]
    if server.authority is not None:
        command += ["--tls", "--tls-verify", "--tls-ca-path", str(server.authority)]
    if server.user:
        command += ["--auth", "PLAIN", "--auth-user", server.user]
    with tempfile.TemporaryDirectory() as folder:
        command += _swaks_files(Path(folder), raw, server.password)
        done = await _run(command)
    lines = [
        line for line in done.stdout.decode(errors="replace").splitlines() if line.startswith(("<", "*"))
    ]
    return Outcome(done.returncode == 0, "\n".join(lines))


def _swaks_files(folder: Path, raw: bytes, password: str) -> list[str]:
    """Arguments for what is too long for one, or secret: a password in argv is in the process table."""
    data, config = folder / "letter", folder / "config"
    data.write_bytes(raw.removesuffix(b"\r\n"))  # swaks ends the last line itself
    config.touch(0o600)
    config.write_text(f"auth-password {password}\n" if password else "")
    return ["--config", str(config), "--data", f"@{data}"]


async def nodemailer(server: Server, message: Mapping[str, object]) -> Outcome:
    """Send what nodemailer makes of `message` (its own words: from, to, cc, bcc, subject, text, html,
    attachments, envelope, raw).
    """
    tls: dict[str, object] = {"ignoreTLS": True}
    if server.authority is not None:
        tls = {
            "requireTLS": True,
            "tls": {"ca": server.authority.read_text(), "servername": "localhost"},
        }
    transport = {"host": "127.0.0.1", "port": server.port, "name": "nodemailer.example", **tls}
    if server.user:
        transport["auth"] = {"user": server.user, "pass": server.password}
    asked = json.dumps({"transport": transport, "message": dict(message)})
    done = await _run(["node", "-e", _NODEMAILER], asked.encode())
    if not done.stdout:
        return Outcome(False, done.stderr.decode(errors="replace"))
    said = json.loads(done.stdout)
    return Outcome(said["ok"], said["response"])


async def _run(command: Sequence[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    with trio.fail_after(SEND_S):
        return await trio.run_process(
            command, stdin=stdin, capture_stdout=True, capture_stderr=True, check=False, env=_environ()
        )


def _fails(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False, env=_environ()).returncode != 0


def _environ() -> dict[str, str]:
    return {**os.environ, "NODE_PATH": _NODE_PATH}
