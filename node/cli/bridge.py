"""Ordinary e-mail in words: what `status --json` says of the bridge, for a person. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.cli.text import clean

SET_ADDRESS: Final = "mailio config set mail.addresses you@example.org"
ADD_PROVIDER: Final = "mailio provider add you@example.org"
ADD_DOMAIN: Final = "mailio domain add example.org"
SET_SMARTHOST: Final = "mailio config set smtp.smarthost smtp://USER@HOST:587"
SET_PASSWORD: Final = "mailio config set --secret smtp.smarthost"  # noqa: S105 - a command
ADD_USER: Final = "mailio user add NAME"

_ANY_HOST: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on

_SENDING: Final = {"ok": ", which works", "unknown": ", not tried yet"}

DIRECTLY: Final = "its recipients' own mail servers"

_SHOWN: Final = 3
"""Destinations that letters wait for, in words."""

_COUNTED: Final = {"received": "came in", "refused": "refused"}


@dataclass(frozen=True, slots=True)
class Server:
    """Where a mail program hands in what it sends; `host` is "" where it is any of this machine's."""

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        return self.host == "::1" or self.host.startswith("127.")

    @property
    def name(self) -> str:
        return self.host or "this machine's name, as its certificate has it"

    @property
    def encryption(self) -> str:
        return "none needed: nothing leaves this machine" if self.is_local else "STARTTLS"

    def document(self) -> dict[str, Any]:
        """For --json; `host` is None where it is any of this machine's."""
        kind = "none" if self.is_local else "starttls"
        return {"host": self.host or None, "port": self.port, "encryption": kind}


def server_of(where: str | None) -> Server | None:
    """From `host:port` of `listen.submission`; None where nothing is taken, or the port is not known yet."""
    host, _, port = (where or "").rpartition(":")
    if not port.isdigit() or not int(port):
        return None
    host = clean(host.strip("[]"))
    return Server("" if host in _ANY_HOST else host, int(port))


def place_of(where: str) -> str:
    """`host:port` as one says it."""
    host, _, port = clean(where).rpartition(":")
    return f"port {port} of this machine" if host.strip("[]") in _ANY_HOST else f"{host}:{port}"


def is_email(name: object) -> bool:
    """Whether a person's one name is an e-mail address; the other kind is a Mailio address."""
    return "@" in str(name)


def addresses_of(status: Mapping[str, Any]) -> list[str]:
    """The owner's e-mail addresses as they are set."""
    return [clean(one) for one in (status.get("smtp") or {}).get("addresses", [])]


def sending_of(status: Mapping[str, Any]) -> dict[str, Any]:
    """How the way out stands: `state`, `host`, `text`, `password`."""
    found: dict[str, Any] = {"state": "none", "host": "", "text": "", "password": "none"}
    if direct := (status.get("smtp") or {}).get("direct"):
        return found | {"state": direct["state"], "host": DIRECTLY}
    return found | dict((status.get("smtp") or {}).get("smarthost") or {})


def out_by(sending: Mapping[str, Any]) -> str:
    """The way out in words, of `sending_of`."""
    return f"{'straight to' if sending['host'] == DIRECTLY else 'through'} {clean(sending['host'])}"


def host_of(url: str) -> str:
    """The server in its address, as one says it."""
    return clean(url.rpartition("@")[2])


def fetching_of(provider: Mapping[str, Any]) -> str:
    """How a mailbox at a provider stands, in words."""
    words = {
        "unknown": "the node is not running",
        "connecting": "connecting",
        "ok": f"{provider.get('fetched', 0)} letters fetched since the start",
    }
    return words.get(provider["state"]) or clean(provider["text"])


def coming_in(status: Mapping[str, Any]) -> Iterator[str]:
    """Where ordinary mail is taken, for whom, and how much came; a line each."""
    for provider in status.get("providers") or ():
        place = f"{clean(provider['address'])} from {host_of(provider['imap'])}"
        fault = provider["state"] in ("fault", "full")
        yield f"{place}: {'does not come' if fault else fetching_of(provider)}"
    where = status["listen"].get("smtp")
    addresses = addresses_of(status)
    if not where:
        yield "nowhere: this node takes none (smtp.host)" if status.get("running", True) else "not now"
    elif addresses:
        yield f"taken at {place_of(where)}, for {', '.join(addresses)}"
    else:
        yield f"for nobody yet: {SET_ADDRESS}"
    if counted := _counted(status):
        yield counted


def going_out(status: Mapping[str, Any]) -> Iterator[str]:
    """Through whom ordinary mail goes out, and how that stands; a line each."""
    if direct := (status.get("smtp") or {}).get("direct"):
        yield from _directly(direct)
        return
    sending = sending_of(status)
    host = clean(sending["host"])
    if sending["state"] == "none":
        yield f"nowhere yet: {SET_SMARTHOST}"
        return
    yield f"through {host}" + _SENDING.get(sending["state"], "")
    if sending["state"] == "fault":
        yield f"which fails: {clean(sending['text'])}"
    if sending["password"] == "missing":  # noqa: S105 - a state
        yield f"its password is not set: {SET_PASSWORD}"


def _directly(direct: Mapping[str, Any]) -> Iterator[str]:
    yield f"straight to {DIRECTLY}"
    faults = direct["faults"]
    for one in faults[:_SHOWN]:
        yield f"waits for {clean(one['domain'])}: {clean(one['text'])}"
    if len(faults) > _SHOWN:
        yield f"and for {len(faults) - _SHOWN} more (status --json lists them)"


def handing_in(status: Mapping[str, Any]) -> Iterator[str]:
    """Where mail programs hand in what they send."""
    if server := server_of(status["listen"].get("submission")):
        yield f"hand in at {server.name}, port {server.port} (password: {ADD_USER})"
    else:
        yield "hand in nowhere (submission.host)" if status.get("running", True) else "not now"


def _counted(status: Mapping[str, Any]) -> str:
    mail = status.get("smtp") or {}
    parts = [f"{mail[name]} {word}" for name, word in _COUNTED.items() if name in mail]
    return f"{', '.join(parts)} since the start" if parts else ""
