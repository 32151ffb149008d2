"""Kinds of settings that the bridge to ordinary e-mail adds to those of settings.py."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from node.runtime.settings import Kind, commas, text_of, texts_of
from protocol.addresses import Addresses
from protocol.email import normal_domain
from protocol.errors import RemoteProtocolError

PORTS: Final = {"smtp": 587, "smtps": 465}
"""Where a smarthost listens unless its URL says otherwise (RFC 6409, RFC 8314)."""

IMAP_PORTS: Final = {"imap": 143, "imaps": 993}
"""Where a mailbox is read (RFC 9051, RFC 8314)."""

DNS_PORT: Final = 53

_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", re.ASCII)
_SERVER = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Smarthost:
    """The mail server that takes our mail to others. With `implicit_tls` the connection begins in TLS,
    else it is asked for by STARTTLS. `user` is "" where no password is wanted.
    """

    host: str
    port: int
    implicit_tls: bool
    user: str

    @property
    def place(self) -> str:
        """As status and errors name it."""
        return f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, so that nothing crosses a wire."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


MailServer = Smarthost
"""The same of any server that wants a password of ours."""


def parse_smarthost(text: str, ports: Mapping[str, int] = PORTS) -> Smarthost:
    """From `smtp://user@host:port` or `smtps://…`, or with IMAP_PORTS from `imap://…`. Raises ValueError."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("not the address of a mail server") from None
    if parts.password is not None:
        raise ValueError("a password does not belong here (mailio config set --secret smtp.smarthost)")
    host = parts.hostname or ""
    if parts.scheme not in ports or not (_HOST.fullmatch(host) or _is_ip(host)):
        raise ValueError("not the address of a mail server")
    if parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
        raise ValueError("not the address of a mail server")
    user = unquote(parts.username or "")
    if not user.isprintable():
        raise ValueError("the user's name has control characters in it")
    return Smarthost(host, port or ports[parts.scheme], parts.scheme.endswith("s"), user)


def smarthost_url() -> Kind:
    """A mail server as parse_smarthost reads it; the text itself is kept."""

    def read(raw: object) -> str:
        text = text_of(raw)
        parse_smarthost(text)
        return text

    return Kind("an address such as smtp://user@mail.example.org:587, or smtps:// with TLS at once", read)


def own_emails() -> Kind:
    """The owner's e-mail addresses, `*@domain` for all of a domain."""

    def read(raw: object) -> tuple[str, ...]:
        texts = texts_of(raw)
        for text in texts:
            try:
                found = Addresses.parse([text])
            except RemoteProtocolError as fault:
                raise ValueError(f'"{text}": {fault}') from fault
            if "mailio.alt" in found.domains or any(one.endswith("@mailio.alt") for one in found.exact):
                raise ValueError("an address at mailio.alt is no e-mail address")
        return texts

    return Kind('a list such as ["you@example.org", "*@example.net"]', read, commas)


def domain_names() -> Kind:
    """Domains."""

    def read(raw: object) -> tuple[str, ...]:
        return tuple(_domain(text) for text in texts_of(raw))

    return Kind('a list such as ["example.org"]', read, commas)


def ip_networks() -> Kind:
    """Networks, or single addresses."""

    def read(raw: object) -> tuple[str, ...]:
        texts = texts_of(raw)
        for text in texts:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise ValueError(f'"{text}" is no network') from None
        return texts

    return Kind('a list such as ["127.0.0.1", "192.0.2.0/28", "2001:db8::/64"]', read, commas)


def nameserver_list() -> Kind:
    """Name servers: an IP address, with a port if it is not 53; IPv6 in brackets where there is a port."""

    def read(raw: object) -> tuple[str, ...]:
        texts = texts_of(raw)
        for text in texts:
            parse_nameserver(text)
        return texts

    return Kind('a list such as ["9.9.9.9", "127.0.0.1:5353", "[::1]:5353"]', read, commas)


def yes_or_no() -> Kind:
    """True or false; in the environment and on the command line `true` and `false`."""

    def read(raw: object) -> bool:
        if not isinstance(raw, bool):
            raise ValueError("neither true nor false")  # noqa: TRY004 - one exception for what is not right
        return raw

    def from_text(text: str) -> object:
        return {"true": True, "false": False}.get(text.strip().lower(), text)

    return Kind("true or false", read, from_text)


def parse_nameserver(text: str) -> tuple[str, int]:
    """Address and port. Raises ValueError."""
    if _is_ip(text):
        return text, DNS_PORT
    found = _SERVER.fullmatch(text)
    address = (found["six"] or found["four"]) if found else ""
    port = int(found["port"] or DNS_PORT) if found else 0
    if not _is_ip(address) or not 0 < port <= 65_535:
        raise ValueError(f'"{text}" is no name server')
    return address, port


def ip_address_or_none() -> Kind:
    """An IP address to listen on, or nothing."""

    def read(raw: object) -> str:
        text = text_of(raw).strip()
        if text and not _is_ip(text):
            raise ValueError(f'"{text}" is no IP address')
        return text

    return Kind('an IP address such as "127.0.0.1", or ""', read)


def file_path() -> Kind:
    """Where a file is; whether it is there is seen when it is read."""

    def read(raw: object) -> str:
        text = text_of(raw)
        if not Path(text).is_absolute():
            raise ValueError("not a whole path")
        return text

    return Kind("a whole path such as /etc/ssl/private/mail.pem", read)


def _domain(text: str) -> str:
    try:
        return normal_domain(text)
    except RemoteProtocolError:
        raise ValueError(f'"{text}" is no domain') from None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
