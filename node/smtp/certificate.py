"""The certificate that our listeners show, read from the files that the settings name."""

from __future__ import annotations

import ssl
from pathlib import Path

from node.runtime.errors import NodeError


def server_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """TLS for our listeners, None where no certificate is set. Raises NodeError that names the file."""
    if certificate is None or key is None:
        if certificate or key:
            missing = "tls.key" if certificate else "tls.certificate"
            raise NodeError("tls", f"{missing} is not set", f"set it: mailio config set {missing} FILE")
        return None
    for file in (certificate, key):
        _require_readable(Path(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as fault:
        text = f"{certificate} and {key} are not a certificate and its key ({fault.reason or 'unreadable'})"
        raise NodeError("tls", text, "see tls.certificate and tls.key: both are PEM files") from fault
    return context


def _require_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as fault:
        raise NodeError(
            "tls", f"can't read {path}: {fault.strerror}", "see tls.certificate, tls.key"
        ) from fault


def _no_password() -> str:
    """Asked for by OpenSSL where a key is locked; without this it would ask the terminal."""
    raise NodeError("tls", "the key in tls.key is locked by a password", "give one without")
