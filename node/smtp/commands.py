"""The grammar of a session's lines: MAIL and RCPT with their parameters, AUTH's answers. Pure, linear in
what it reads; what an address means is not decided here.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from node.smtp.incoming import TOO_LONG
from node.smtp.limits import MAX_HELO, MAX_PATH
from node.smtp.reply import Reply
from node.smtp.words import BAD_LINE, LONG_LINE

# RFC 5321 §4.1.2, RFC 6531 §3.3: a source route is read and ignored; a name without a domain can only be
# the postmaster (§4.5.1).
_PATH: Final = re.compile(
    r"<(?:@[^\x00-\x20\x7f<>:\"]{1,1000}:)?"
    r"(?P<mailbox>(?:\"(?:[^\x00-\x1f\x7f\"\\]|\\[ -~])*\"|[^\x00-\x20\x7f<>\"@:,;()\\\[\]]+)"
    r"@[^\x00-\x20\x7f<>\"@,;()\\]+|[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr]|)>(?P<rest>(?: .*)?)"
)
_PARAMETER: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[^\x00-\x20\x7f=]+))?")
_HELO: Final = re.compile(rf"[^\x00-\x20\x7f]{{1,{MAX_HELO}}}")

_MAX_DIGITS: Final = 20  # of SIZE (RFC 1870 §4)

SYNTAX_MAIL: Final = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address>")
SYNTAX_RCPT: Final = Reply(501, "5.5.4", "Syntax: RCPT TO:<address>")
BAD_SENDER: Final = Reply(553, "5.1.7", "Not an address")
BAD_RECIPIENT: Final = Reply(553, "5.1.3", "Not an address")
NEEDS_UTF8: Final = Reply(553, "5.6.7", "Such an address needs SMTPUTF8")
UNKNOWN_PARAMETER: Final = Reply(555, "5.5.4", "A parameter that is not known here")
TOO_LARGE: Final = Reply(552, "5.3.4", "Larger than is taken here")
BAD_BASE64: Final = Reply(501, "5.5.2", "Not base64")


class Refused(Exception):  # noqa: N818 - it is no fault of ours
    """A line that can't be obeyed; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Goodbye(Exception):  # noqa: N818 - it is no fault
    """The session ends with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class MailFrom:
    """MAIL, read. `sender` is "" for `<>`."""

    sender: str
    utf8: bool
    eight_bit: bool


def split_line(line: bytes) -> tuple[str, str]:
    """Verb, in upper case, and argument. A line ends with CRLF and nothing less. Raises Refused."""
    if line == TOO_LONG:
        raise Refused(LONG_LINE)
    if not line.endswith(b"\r\n") or line.count(b"\r") != 1:
        raise Refused(BAD_LINE)
    try:
        verb, _, arg = line[:-2].decode().partition(" ")
    except UnicodeDecodeError:
        raise Refused(BAD_LINE) from None
    return (verb.upper() if verb.isascii() else ""), arg.strip(" ")


def parse_mail(arg: str, *, max_size: int, with_auth: bool) -> MailFrom:
    """What follows `MAIL`. `with_auth`: AUTH= is known, and ignored (RFC 4954 §5). Raises Refused."""
    sender, rest = _path(arg, "FROM:", SYNTAX_MAIL, BAD_SENDER)
    parameters = _parameters(rest, SYNTAX_MAIL)
    utf8, body, size = "SMTPUTF8" in parameters, parameters.pop("BODY", "7BIT"), parameters.pop("SIZE", "0")
    if parameters.pop("SMTPUTF8", None) or body is None or body.upper() not in {"7BIT", "8BITMIME"}:
        raise Refused(SYNTAX_MAIL)
    if size is None or not (size.isascii() and size.isdigit()) or len(size) > _MAX_DIGITS:
        raise Refused(SYNTAX_MAIL)
    if with_auth:
        parameters.pop("AUTH", None)
    if parameters:
        raise Refused(UNKNOWN_PARAMETER)
    if sender and "@" not in sender:
        raise Refused(BAD_SENDER)
    if int(size) > max_size:
        raise Refused(TOO_LARGE)
    if not (utf8 or sender.isascii()):
        raise Refused(NEEDS_UTF8)
    return MailFrom(sender, utf8, body.upper() == "8BITMIME")


def parse_recipient(arg: str, *, utf8: bool) -> str:
    """What follows `RCPT`. Raises Refused."""
    recipient, rest = _path(arg, "TO:", SYNTAX_RCPT, BAD_RECIPIENT)
    if _parameters(rest, SYNTAX_RCPT):
        raise Refused(UNKNOWN_PARAMETER)
    if not recipient:
        raise Refused(BAD_RECIPIENT)
    if not (utf8 or recipient.isascii()):
        raise Refused(NEEDS_UTF8)
    return recipient


def parse_helo(arg: str) -> str:
    """The name that a client gives itself, whatever it is worth: the first word; "" if it is none."""
    name = arg.partition(" ")[0]
    return name if _HELO.fullmatch(name) else ""


def parse_plain(answer: str) -> tuple[str, str]:
    """Name and password of SASL PLAIN (RFC 4616); who is acted for is ignored. Raises Refused."""
    parts = decode(answer).split("\0")
    if len(parts) != 3:
        raise Refused(Reply(501, "5.5.2", "Not a name and a password"))
    return parts[1], parts[2]


def decode(answer: str) -> str:
    """An answer of AUTH in base64, `=` for an empty one (RFC 4954 §4). Raises Refused."""
    if answer == "=":
        return ""
    try:
        return base64.b64decode(answer, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Refused(BAD_BASE64) from None


def _path(arg: str, keyword: str, syntax: Reply, bad: Reply) -> tuple[str, str]:
    if arg[: len(keyword)].upper() != keyword:
        raise Refused(syntax)
    found = _PATH.fullmatch(arg[len(keyword) :].lstrip(" "))
    if found is None or len(found["mailbox"]) > MAX_PATH:
        raise Refused(bad)
    return found["mailbox"], found["rest"]


def _parameters(text: str, syntax: Reply) -> dict[str, str | None]:
    """RFC 5321 §4.1.2. One that comes twice, or is none, is a fault of syntax."""
    parameters: dict[str, str | None] = {}
    for word in text.split():
        found = _PARAMETER.fullmatch(word)
        if found is None or found["name"].upper() in parameters:
            raise Refused(syntax)
        parameters[found["name"].upper()] = found["value"]
    return parameters
