"""Opens what everyone may ask of this node by HTTPS, where a certificate is set. Serving is node.api's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import get_args

from node.api import Https, make_public_web, open_https
from node.runtime.certificate import ServerCertificate
from node.runtime.config import Config
from protocol.mtasts import Mode, Policy, own_policy

HostOf = Callable[[str], str | None]
"""The public name of the server that takes a domain's mail; None where the domain is not the owner's."""


@dataclass(frozen=True, slots=True)
class Web:
    """The open listener, or none."""

    https: Https | None

    def listening(self) -> dict[str, str | None]:
        """Where: host:port, None for what is not open."""
        return {"http": self.https.where if self.https is not None else None}

    async def run(self) -> None:
        """Answer."""
        if self.https is not None:
            await self.https.run()


@asynccontextmanager
async def open_web(
    config: Config, certificate: ServerCertificate | None, host_of: HostOf
) -> AsyncIterator[Web]:
    """Raises NodeError where the port is taken."""
    if certificate is None or not config.http.host:
        yield Web(None)
        return

    def policy(domain: str) -> Policy | None:
        host = host_of(domain) if domain else None
        return own_policy(_mode(config), [host]) if host else None

    app = make_public_web(policy)
    async with open_https(config.http.host, config.http.port, app, certificate.context) as https:
        yield Web(https)


def published_policy(config: Config, host: str) -> Policy | None:
    """The policy that the DNS has to announce for a domain whose mail this host takes; None where there is to
    be none.
    """
    if config.tls.certificate is None or not config.http.host or config.smtp.sts == "none":
        return None
    return own_policy(_mode(config), [host])


def _mode(config: Config) -> Mode:
    return next(mode for mode in get_args(Mode) if mode == config.smtp.sts)
