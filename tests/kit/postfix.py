"""A real Postfix on loopback: configuration, queue and mailboxes of its own, no systemd, ended for certain.

Needs root (its daemons change their user) and Debian's package; `needs_postfix` marks the tests that do.
"""

from __future__ import annotations

import os
import pwd
import random
import re
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
from tests.kit.corpus import with_crlf
from tests.kit.peers import SBIN, STOP_S, greeted, needs, why_no_daemon

MAILBOXES: Final = "outside.example"
"""The domain whose mail it keeps itself."""

_ADDED: Final = re.compile(
    rb"Return-Path: [^\n]*\n(?:X-Original-To: [^\n]*\n)?Delivered-To: (?P<to>[^\n]*)\n"
    rb"Received: [^\n]*\n(?:[ \t][^\n]*\n)*(?P<mail>.*)",
    re.DOTALL,
)

_MAIN: Final = """
compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
maillog_file = {top}/log/maillog
maillog_file_prefixes = {top}/log
mail_owner = postfix
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks, reject
alias_maps =
alias_database =
local_recipient_maps =
local_header_rewrite_clients =
append_dot_mydomain = no
biff = no
message_size_limit = 40000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtp_dns_support_level = disabled
smtp_host_lookup = native
transport_maps = texthash:{top}/etc/transport
virtual_mailbox_domains = {mailboxes}
virtual_mailbox_base = {top}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
"""

_TLS: Final = """
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = encrypt
smtp_tls_security_level = encrypt
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
"""

_SERVICES: Final = """
{host}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

needs_postfix: Final = needs(why_no_daemon("postfix", "Postfix"))


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running one; it takes mail for anybody from this machine, on `host`:`port`."""

    port: int
    top: Path
    host: str = "127.0.0.1"

    async def stop(self) -> None:
        """Until `start` nobody gets in or out; what is in its queue stays there."""
        await _end(self.top)

    async def start(self) -> None:
        await _postfix(self.top, "start")
        await greeted(self.port, b"220", self.host)

    async def route(self, domain: str, port: int) -> None:
        """From now on it carries this domain's mail to that port of 127.0.0.1."""
        await trio.to_thread.run_sync(_add_route, self.top, domain, port)
        await _postfix(self.top, "reload")

    def mails(self, recipient: str) -> list[bytes]:
        """What came for this address at MAILBOXES, as it was handed over: without the header fields that
        Postfix put on top, and with CRLF, which it keeps as LF.
        """
        files = sorted((self.top / "mail/all/new").glob("*"))
        found = [_ADDED.fullmatch(file.read_bytes()) for file in files]
        to = recipient.encode()
        return [with_crlf(one["mail"]) for one in found if one is not None and one["to"] == to]

    def log(self) -> str:
        return (self.top / "log/maillog").read_text()

    def waiting(self) -> int:
        """Mails in its queue."""
        folders = ("maildrop", "incoming", "active", "deferred", "hold")
        return sum(1 for one in folders for file in (self.top / "queue" / one).rglob("*") if file.is_file())


@asynccontextmanager
async def a_postfix(
    certificate: Certificate | None = None, *, standard: bool = False
) -> AsyncIterator[Postfix]:
    """Start one that keeps the mail for MAILBOXES and has no way to any other domain, until it is given one.
    With a certificate nothing goes in or out of it without STARTTLS. `standard`: on port 25, of an address of
    its own (Linux).
    """
    # Its daemons are the user postfix, who can't look into the folders that pytest makes.
    top = Path(tempfile.mkdtemp(prefix="postfix-", dir="/tmp"))
    try:
        host, port = (own_loopback(25), 25) if standard else ("127.0.0.1", _free_port())
        _write(top, host, port, certificate)
        try:
            found = Postfix(port, top, host)
            await found.start()
            yield found
        finally:
            with trio.CancelScope(shield=True):
                await _end(top)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _write(top: Path, host: str, port: int, certificate: Certificate | None) -> None:
    user = pwd.getpwnam("postfix")
    top.chmod(0o711)
    for name in ("etc", "queue", "data", "log", "mail"):
        (top / name).mkdir()
    for name in ("data", "mail"):
        os.chown(top / name, user.pw_uid, user.pw_gid)
    main = _MAIN.format(top=top, mailboxes=MAILBOXES, uid=user.pw_uid, gid=user.pw_gid)
    if certificate is not None:
        main += _TLS.format(chain=certificate.chain, key=certificate.key)
    (top / "etc/main.cf").write_text(main)
    (top / "etc/transport").write_text(f"{MAILBOXES} virtual:\n* error:5.1.2 no way there\n")
    (top / "etc/master.cf").write_text(_SERVICES.format(host=host, port=port))


def _add_route(top: Path, domain: str, port: int) -> None:
    table = top / "etc/transport"
    table.write_text(f"{domain} smtp:[127.0.0.1]:{port}\n{table.read_text()}")


async def _end(top: Path) -> None:
    """Ask it to stop, wait until all its daemons have, and make sure."""
    with trio.move_on_after(STOP_S):
        await _postfix(top, "stop", check=False)
        while _daemons(top):  # noqa: ASYNC110 - processes have no event for us
            await trio.sleep(0.05)
    for pid in _daemons(top):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _daemons(top: Path) -> list[int]:
    """The processes that live in this Postfix's queue, as all its daemons do."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if link.readlink() == top / "queue":
                found.append(int(link.parent.name))
    return found


async def _postfix(top: Path, verb: str, check: bool = True) -> None:
    environ = {"PATH": f"{SBIN}:/sbin:/usr/bin:/bin", "LANG": "C"}
    done = await trio.run_process(
        ["postfix", "-c", str(top / "etc"), verb],
        stdin=subprocess.DEVNULL,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env=environ,
    )
    if check and done.returncode != 0:
        log = top / "log/maillog"
        words = done.stderr.decode(errors="replace") + (log.read_text() if log.exists() else "")
        raise RuntimeError(f"postfix {verb} ended with {done.returncode}: {words}")


def own_loopback(port: int) -> str:
    """An address of this machine's 127.0.0.0/8 at which nobody listens on this port."""
    while True:
        host = f"127.{random.randint(2, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return host


def _free_port() -> int:
    """Postfix can't be told to pick one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
