"""The certificate that all our listeners show, read anew when its files change. Getting one is not done here.

An open connection keeps what it was opened with.
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio
from cryptography import x509

from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from node.runtime.rooms import Warning_

log = logging.getLogger(__name__)

LOOK_S: Final = 60.0
"""Seconds between two looks at the files: who renews does so days before the end."""

SOON_MS: Final = 14 * 86_400_000
"""Before its end, when we begin to warn: ACME clients renew 30 days before it, so something has failed."""

MAX_FILE: Final = 1_048_576
"""Bytes of a PEM file; a long chain has 20,000."""

REMEDY: Final = "see tls.certificate and tls.key: both are PEM files"

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the certificate says: its names (DNS names, `*.` allowed; IP addresses as text), and its end in
    Unix milliseconds.
    """

    names: tuple[str, ...]
    not_after: int

    def fits(self, host: str) -> bool:
        """Whether a client that asks for this host is satisfied (RFC 6125 §6.4.3: `*` is one label)."""
        host = host.lower().removesuffix(".")
        parent = host.partition(".")[2]
        return any(name == host or (parent and name == f"*.{parent}") for name in self.names)


class ServerCertificate:
    """The pair of files, as it is shown now. Belongs to trio's thread; `context` may be used in any."""

    def __init__(self, certificate: Path, key: Path, clock: Clock) -> None:
        """Raises NodeError that names the file which can't be used."""
        self._files = certificate, key
        self._clock = clock
        self._stamps = self._look()
        self._current, self.shown = self._load()
        self.fault: NodeError | None = None
        self.context = _context(*self._files)
        """For every listener and for as long as it lives: each handshake gets what is current then."""
        self.context.sni_callback = self._choose

    @property
    def files(self) -> tuple[Path, Path]:
        """Certificate and key."""
        return self._files

    async def run(self) -> None:
        """Look at the files again and again."""
        while True:
            await trio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Take the pair if it is another one; what is broken, or half there, is tried again next time."""
        try:
            stamps = self._look()
            if stamps == self._stamps and self.fault is None:
                return
            current, shown = self._load()
        except NodeError as fault:
            if self.fault is None or self.fault.text != fault.text:
                log.warning("the certificate is not read anew: %s", fault.text)
            self.fault = fault
            return
        self._stamps, self._current, self.shown, self.fault = stamps, current, shown, None
        log.info("the certificate in %s is shown from now on", self._files[0])

    def warnings(self) -> list[Warning_]:
        """What its owner should know."""
        found = []
        if self.fault is not None:
            text = f"the new certificate is not used, the one before still is: {self.fault.text}"
            found.append(Warning_("tls-reload", text, self.fault.remedy))
        if (left := self.shown.not_after - self._clock.now()) < SOON_MS:
            text = f"the certificate in {self._files[0]} {_ends(left)}"
            found.append(Warning_("tls-expiry", text, "renew it: it is read anew within a minute"))
        if self.key_is_open():
            text = f"everyone on this machine can read the private key {self._files[1]}"
            found.append(Warning_("tls-key-open", text, f"chmod o-rwx {self._files[1]}"))
        return found

    def key_is_open(self) -> bool:
        """Whether everyone on this machine can read the key."""
        with contextlib.suppress(OSError):
            return bool(self._files[1].stat().st_mode & stat.S_IROTH)
        return False

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _front: ssl.SSLContext
    ) -> None:
        connection.context = self._current

    def _look(self) -> tuple[Stamp, Stamp]:
        certificate, key = map(_stamp, self._files)
        return certificate, key

    def _load(self) -> tuple[ssl.SSLContext, Shown]:
        return _context(*self._files), _shown(self._files[0])


def server_certificate(certificate: str | None, key: str | None, clock: Clock) -> ServerCertificate | None:
    """What the settings name, None where no certificate is set. Raises NodeError."""
    if certificate is None or key is None:
        if certificate or key:
            missing = "tls.key" if certificate else "tls.certificate"
            raise NodeError("tls", f"{missing} is not set", f"set it: mailio config set {missing} FILE")
        return None
    return ServerCertificate(Path(certificate), Path(key), clock)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as fault:
        text = f"{certificate} and {key} are not a certificate and its key ({fault.reason or 'unreadable'})"
        raise NodeError("tls", text, REMEDY) from fault
    except OSError as fault:
        raise NodeError("tls", f"can't read {certificate} or {key}: {fault.strerror}", REMEDY) from fault
    return context


def _shown(path: Path) -> Shown:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        return Shown(_names(found), round(found.not_valid_after_utc.timestamp() * 1000))
    except (OSError, ValueError) as fault:
        raise NodeError("tls", f"{path} holds no certificate that can be read", REMEDY) from fault


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        return ()
    addresses = map(str, found.get_values_for_type(x509.IPAddress))
    return (*(name.lower() for name in found.get_values_for_type(x509.DNSName)), *addresses)


def _stamp(path: Path) -> Stamp:
    """What is another one once the file was written or replaced. Raises NodeError where it can't be read."""
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
    except OSError as fault:
        raise NodeError("tls", f"can't read {path}: {fault.strerror}", REMEDY) from fault
    if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_FILE:
        raise NodeError("tls", f"{path} is no PEM file", REMEDY)
    return state.st_mtime_ns, state.st_ino, state.st_size


def _ends(left_ms: int) -> str:
    days = abs(left_ms) // 86_400_000
    when = "today" if not days else "1 day" if days == 1 else f"{days} days"
    if left_ms < 0:
        return "has ended today" if not days else f"has ended {when} ago"
    return f"ends {when}" if not days else f"ends in {when}"


def _no_password() -> str:
    """Asked for by OpenSSL where a key is locked; without this it would ask the terminal."""
    raise NodeError("tls", "the key in tls.key is locked by a password", "give one without")
