"""MTA-STS (RFC 8461): a domain's policy file and the TXT record that announces it, read and written.

No look-up and no fetch here; what a policy means for a delivery is its carrier's.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from protocol.email import normal_domain
from protocol.errors import RemoteProtocolError

Mode = Literal["enforce", "testing", "none"]

MAX_POLICY: Final = 65_536  # bytes of a policy file (RFC 8461 §3.3 suggests it)
MAX_MX: Final = 256  # patterns in one policy; real ones have a handful
MAX_RECORDS: Final = 64  # TXT records at one name
MAX_TXT: Final = 4_096  # bytes of one TXT record; a real one has 30
MAX_AGE_S: Final = 31_557_600  # seconds, a year (RFC 8461 §3.2); a longer one is taken as this

TESTING_AGE_S: Final = 86_400  # seconds that others keep our policy while it is tried
ENFORCE_AGE_S: Final = 604_800  # once it binds: RFC 8461 §3.2 wants weeks, and a way back soon

PATH: Final = "/.well-known/mta-sts.txt"

_VERSION: Final = "STSv1"
_ID_HEX: Final = 32  # characters of an id at most (RFC 8461 §3.1)
_FIELD: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*?)[ \t]*", re.ASCII)
_TAG: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e]+)", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_AGE: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain says of the servers that take its mail. `mx` holds names, `*.` for one label before
    (none in mode `none`); `max_age` is in seconds.
    """

    mode: Mode
    mx: tuple[str, ...]
    max_age: int

    def matches(self, host: str) -> bool:
        """Whether a server's name is one of the domain's (RFC 8461 §4.1)."""
        try:
            name = normal_domain(host.removesuffix("."))
        except RemoteProtocolError:
            return False
        parent = name.partition(".")[2]
        return any(one == name or (parent and one == f"*.{parent}") for one in self.mx)


def parse_policy(body: bytes) -> Policy:
    """A policy file as it was fetched; RemoteProtocolError when it is none (RFC 8461 §3.2).

    Of a field that stands twice the first counts, `mx` aside; unknown ones and empty lines are passed over.
    """
    if len(body) > MAX_POLICY:
        raise RemoteProtocolError(f"MTA-STS: a policy over {MAX_POLICY} bytes")
    try:
        lines = body.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise RemoteProtocolError("MTA-STS: not UTF-8") from None
    found: dict[str, str] = {}
    mx: list[str] = []
    for line in filter(None, (one.strip(" \t") for one in lines)):
        field = _FIELD.fullmatch(line)
        if field is None:
            raise RemoteProtocolError("MTA-STS: not a list of key: value")
        if field[1] == "mx":
            mx.append(_pattern(field[2]))
        else:
            found.setdefault(field[1], field[2])
        if len(mx) > MAX_MX:
            raise RemoteProtocolError(f"MTA-STS: more than {MAX_MX} mx")
    return _policy(found, tuple(dict.fromkeys(mx)))


def format_policy(policy: Policy) -> bytes:
    """The file that says it, with CRLF."""
    mx = [f"mx: {one}" for one in policy.mx]
    lines = [f"version: {_VERSION}", f"mode: {policy.mode}", *mx, f"max_age: {policy.max_age}"]
    return "".join(f"{line}\r\n" for line in lines).encode()


def own_policy(mode: Mode, mx: Sequence[str]) -> Policy:
    """The policy of a domain of ours whose mail the servers in `mx` take."""
    return Policy(mode, tuple(mx), ENFORCE_AGE_S if mode == "enforce" else TESTING_AGE_S)


def policy_id(policy: Policy) -> str:
    """Its id in the TXT record: another policy has another one, the same one the same."""
    return hashlib.sha256(format_policy(policy)).hexdigest()[:_ID_HEX]


def txt_name(domain: str) -> str:
    """Where a domain's TXT record stands (RFC 8461 §3.1)."""
    return f"_mta-sts.{domain}"


def policy_host(domain: str) -> str:
    """The host that serves a domain's policy at PATH, by HTTPS (RFC 8461 §3.2)."""
    return f"mta-sts.{domain}"


def format_txt(policy: Policy) -> str:
    """The TXT record that announces it."""
    return f"v={_VERSION}; id={policy_id(policy)};"


def find_id(records: Iterable[Sequence[bytes | str]]) -> str | None:
    """The policy's id among all TXT records at a name, None where none is MTA-STS's (RFC 8461 §3.1).

    RemoteProtocolError where one is malformed or there are two: then the domain has no policy.
    """
    found: list[str] = []
    for number, strings in enumerate(records):
        if number >= MAX_RECORDS:
            raise RemoteProtocolError(f"MTA-STS: more than {MAX_RECORDS} TXT records")
        text = _join(strings)
        if text is not None and re.match(rf"v={_VERSION}[ \t]*;", text):
            found.append(_id_in(text))
    if len(found) > 1:
        raise RemoteProtocolError("MTA-STS: two TXT records")
    return found[0] if found else None


def _policy(found: dict[str, str], mx: tuple[str, ...]) -> Policy:
    if found.get("version") != _VERSION:
        raise RemoteProtocolError(f"MTA-STS: version is not {_VERSION}")
    mode = next((one for one in get_args(Mode) if one == found.get("mode")), None)
    if mode is None:
        raise RemoteProtocolError("MTA-STS: mode is not enforce, testing or none")
    age = found.get("max_age", "")
    if not _AGE.fullmatch(age):
        raise RemoteProtocolError("MTA-STS: max_age is not a number of seconds")
    if not mx and mode != "none":
        raise RemoteProtocolError("MTA-STS: no mx")
    return Policy(mode, mx, min(int(age), MAX_AGE_S))


def _pattern(text: str) -> str:
    star = "*." if text.startswith("*.") else ""
    return star + normal_domain(text.removeprefix(star))


def _join(strings: Sequence[bytes | str]) -> str | None:
    """The text of one TXT record; None where it can't be MTA-STS's."""
    data = b"".join(s.encode("utf-8", "replace") if isinstance(s, str) else s for s in strings)
    if len(data) > MAX_TXT or not data.isascii():
        return None
    return data.decode("ascii").strip(" \t")


def _id_in(text: str) -> str:
    tags: dict[str, str] = {}
    for part in text.rstrip(" \t").removesuffix(";").split(";")[1:]:
        tag = _TAG.fullmatch(part.strip(" \t"))
        if tag is None:
            raise RemoteProtocolError("MTA-STS: TXT is not a list of tag=value")
        tags.setdefault(tag[1], tag[2])
    if not _ID.fullmatch(found := tags.get("id", "")):
        raise RemoteProtocolError("MTA-STS: TXT has no id of up to 32 letters and digits")
    return found
