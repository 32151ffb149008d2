"""Kinds of settings that attachments on an IPFS daemon of the owner's add to those of settings.py."""

import base64
import ipaddress
from dataclasses import dataclass, field
from typing import Final

from node.runtime.settings import Kind, is_ip, is_name, is_port, text_of

DNS: Final = ("dns", "dns4", "dns6")
SECRET_FORM: Final = "bearer:TOKEN or basic:USER:PASSWORD"  # noqa: S105 - a form, not a secret


@dataclass(frozen=True, slots=True)
class KuboApi:
    """Where a daemon's RPC API is; `text` is the multiaddr as the owner wrote it."""

    text: str
    host: str = field(compare=False)
    port: int = field(compare=False)
    tls: bool = field(compare=False)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, so that nothing crosses a wire."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower().rstrip(".") == "localhost"


def parse_kubo_api(text: str) -> KuboApi:
    """From a multiaddr such as `/ip4/127.0.0.1/tcp/5001` or `/dns4/ipfs.example.org/tcp/443/https`. Raises
    ValueError, also for one that is off this machine without TLS: whoever reads along learns what mail goes
    by, and this API lets anybody do anything to the daemon.
    """
    match text.split("/"):
        case ["", protocol, host, "tcp", port, *rest] if rest in ([], ["http"], ["https"]) and is_port(port):
            if (is_ip(protocol, host) and "%" not in host) or (protocol in DNS and is_name(host)):
                api = KuboApi(text, host, int(port), rest == ["https"])
                if not (api.tls or api.is_local):
                    raise ValueError(f'"{text}" is not on this machine, and only https is taken from there')
                return api
    raise ValueError(f'"{text}" is no address of an IPFS daemon')


def kubo_api() -> Kind:
    """An RPC API as parse_kubo_api reads it; the text itself is kept."""

    def read(raw: object) -> str:
        text = text_of(raw).strip()
        parse_kubo_api(text)
        return text

    wants = (
        "an address such as /ip4/127.0.0.1/tcp/5001, or off this machine /dns4/ipfs.example.org/tcp/443/https"
    )
    return Kind(wants, read)


def authorization(secret: str) -> str:
    """What the header `Authorization` is to say, from a secret in the form that Kubo's own settings have
    (`API.Authorizations`, AuthSecret). Raises ValueError; the text does not repeat the secret.
    """
    kind, _, rest = secret.partition(":")
    if kind == "bearer" and rest and rest.isascii() and rest.isprintable() and " " not in rest:
        return f"Bearer {rest}"
    user, colon, password = rest.partition(":")
    if kind == "basic" and user and colon and password and rest.isprintable():
        return "Basic " + base64.b64encode(rest.encode()).decode()
    raise ValueError(f"write it as {SECRET_FORM}, as the daemon's API.Authorizations have it")
