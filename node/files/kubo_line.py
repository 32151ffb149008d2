"""The line on which an IPFS daemon is asked: where it is, and how another thread cuts it. Nothing is sent
here, and the library is not loaded for it.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from node.files.errors import KuboAway
from node.runtime.settings_files import SECRET_FORM, KuboApi, authorization

SET_SECRET: Final = f"set it, as {SECRET_FORM}: mailio config set --secret files.kubo_api"


@dataclass(frozen=True)
class Daemon:
    """Where it is, and what gives its secret, "" for none."""

    api: KuboApi
    secret: Callable[[], str]

    def authorization(self) -> str:
        """What `Authorization` says to it, "" for nothing. Raises KuboAway where the secret is none."""
        secret = self.secret()
        try:
            return authorization(secret) if secret else ""
        except ValueError:  # its cause would show the secret
            raise KuboAway(self.api.text, "has no secret set that is one", SET_SECRET) from None

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Whom to believe that it is the daemon; some 20 ms when first asked."""
        return ssl.create_default_context()

    def __repr__(self) -> str:
        return f"Daemon({self.api.text!r})"


class Line:
    """A connection on which one call goes at a time. Any thread may cut it, before there is one too; then
    there is none any more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._is_cut = False

    def hold(self, sock: socket.socket) -> None:
        """Have this connection cut, whatever TLS makes of its socket object. Raises ConnectionAbortedError
        if it is to be cut already.
        """
        with self._lock:
            self._drop()
            self._sock = sock.dup()
            if self._is_cut:
                self._shut()
                raise ConnectionAbortedError("nobody waits any more")

    def cut(self) -> None:
        """Whoever reads or writes on it is done at once."""
        with self._lock:
            self._is_cut = True
            self._shut()

    def close(self) -> None:
        """Nobody calls any more."""
        with self._lock:
            self._drop()

    def __del__(self) -> None:
        self.close()

    def _shut(self) -> None:
        if self._sock is not None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
