"""A real Dovecot on loopback that plays somebody's mail provider: one configuration file, users in a file,
mailboxes in a folder of its own, no systemd, ended for certain.

Needs root (its daemons change their user) and Debian's package; `needs_dovecot` marks the tests that do.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from tests.kit.certificates import Certificate
from tests.kit.peers import SBIN, STOP_S, greeted, needs, why_no_daemon

USER: Final = "alice@provider.example"
PASSWORD: Final = "correct horse"

_CONFIG: Final = """
protocols = imap
base_dir = {top}/run
state_dir = {top}/state
log_path = {top}/log
listen = 127.0.0.1
default_login_user = dovenull
default_internal_user = dovecot
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{top}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
mail_privileged_group =
mail_max_userip_connections = 50
auth_mechanisms = plain login
auth_failure_delay = 0
login_greeting = Ready
imap_capability = {capability}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {top}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={top}/mail/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = {with_tls}
  }}
}}
ssl = {ssl}
{certificate}
"""

needs_dovecot: Final = needs(why_no_daemon("dovecot", "Dovecot"))


@dataclass(frozen=True, slots=True)
class Dovecot:
    """One on 127.0.0.1: `port` has STARTTLS where there is a certificate, `tls_port` TLS at once."""

    port: int
    tls_port: int
    top: Path

    async def start(self) -> None:
        await _run("dovecot", "-c", str(self.top / "dovecot.conf"))
        await greeted(self.port, b"* OK")

    async def kill(self) -> None:
        """End it and all of its daemons at once."""
        with trio.fail_after(STOP_S):
            while pids := self._daemons():
                for pid in pids:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                await trio.sleep(0.01)
        (self.top / "run/master.pid").unlink(missing_ok=True)

    def put(self, raw: bytes, name: str, folder: str = "", flags: str = "") -> None:
        """A letter comes, as a delivery agent would bring it; with `flags` somebody has seen to it."""
        box, user = self._folder(folder), _keeper()
        (box / "tmp" / name).write_bytes(raw)
        os.chown(box / "tmp" / name, user.pw_uid, user.pw_gid)
        (box / "tmp" / name).rename(box / "cur" / f"{name}:2,{flags}" if flags else box / "new" / name)

    def letters(self, folder: str = "") -> dict[str, str]:
        """What lies there: name of each letter and its flags (S: read, T: marked as deleted)."""
        box = self._folder(folder)
        found = {file.name.partition(":2,")[0]: file.name.partition(":2,")[2] for file in box.glob("cur/*")}
        return found | {file.name: "" for file in box.glob("new/*")}

    async def renumber(self, validity: int) -> None:
        """The letters of INBOX are numbered anew, under this UIDVALIDITY."""
        await self.kill()
        box = self._folder("")
        for file in box.glob("dovecot*"):
            file.unlink()
        (box / "dovecot-uidlist").write_text(f"3 V{validity} N100 G{'0' * 32}\n")
        os.chown(box / "dovecot-uidlist", _keeper().pw_uid, _keeper().pw_gid)
        await self.start()

    def log(self) -> str:
        return (self.top / "log").read_text()

    def _folder(self, folder: str) -> Path:
        box = self.top / "mail" / USER / (f".{folder}" if folder else "")
        for part in (".", "new", "cur", "tmp"):
            if not (box / part).exists():
                (box / part).mkdir()
                os.chown(box / part, _keeper().pw_uid, _keeper().pw_gid)
        return box

    def _daemons(self) -> list[int]:
        """The processes that live in its folder, and their master, which names it."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (process / "cmdline").read_bytes()
                place = (process / "cwd").readlink()
                if str(self.top).encode() in words or self.top in (place, *place.parents):
                    found.append(int(process.name))
        return found


@asynccontextmanager
async def a_dovecot(
    certificate: Certificate | None = None, *, capability: str = ""
) -> AsyncIterator[Dovecot]:
    """Start one that keeps USER's mail. With a certificate nobody logs in without TLS. `capability` is what
    it says that it can, in place of all that it can.
    """
    # Its daemons are other users, who can't look into the folders that pytest makes.
    top = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))
    dovecot = Dovecot(*_free_ports(), top)
    try:
        _write(dovecot, certificate, capability)
        try:
            await dovecot.start()
            yield dovecot
        finally:
            with trio.CancelScope(shield=True):
                await dovecot.kill()
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _write(dovecot: Dovecot, certificate: Certificate | None, capability: str) -> None:
    top = dovecot.top
    top.chmod(0o755)
    (top / "mail").mkdir()
    os.chown(top / "mail", _keeper().pw_uid, _keeper().pw_gid)
    (top / "users").write_text(f"{USER}:{PASSWORD}\n")
    tls = f"ssl_cert = <{certificate.chain}\nssl_key = <{certificate.key}\n" if certificate else ""
    (top / "dovecot.conf").write_text(
        _CONFIG.format(
            top=top,
            uid=_keeper().pw_uid,
            gid=_keeper().pw_gid,
            port=dovecot.port,
            tls_port=dovecot.tls_port,
            ssl="required" if certificate else "no",
            with_tls="yes" if certificate else "no",
            certificate=tls,
            capability=capability,
        )
    )


def _keeper() -> pwd.struct_passwd:
    """Whose the mailboxes are: Dovecot serves none of root's."""
    return pwd.getpwnam("mail")


async def _run(*words: str) -> None:
    """What it says is not waited for: its daemons inherit where it is said to, and go on."""
    environ = {"PATH": f"{SBIN}:/usr/bin:/bin", "LANG": "C"}
    with tempfile.TemporaryFile() as said:
        done = await trio.run_process(
            words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, env=environ
        )
        if done.returncode:
            said.seek(0)
            raise RuntimeError(
                f"{words} ended with {done.returncode}: {said.read().decode(errors='replace')}"
            )


def _free_ports() -> tuple[int, int]:
    """Dovecot can't be told to pick some itself."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])
