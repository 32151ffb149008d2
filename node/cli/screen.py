"""What a person sees once the node is up: who they are now, what others can see, and what to do next.

Pure: lines from documents, for any width; printing is others' business.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from node.cli.bridge import (
    ADD_DOMAIN,
    ADD_PROVIDER,
    ADD_USER,
    SET_ADDRESS,
    SET_PASSWORD,
    SET_SMARTHOST,
    addresses_of,
    out_by,
    place_of,
    sending_of,
    server_of,
)
from node.cli.text import clean

LEAST_WIDTH: Final = 40
"""Columns; a narrower terminal wraps the lines itself."""

MOST_WIDTH: Final = 80
"""Columns; longer lines are hard to read."""

SIDE_BY_SIDE: Final = 64
"""Columns from which a command and its meaning fit on one line."""

Kind = Literal["text", "title", "copy"]

_REACHES: Final = {
    "public": "Other nodes reach this one from anywhere.",
    "relayed": "Other nodes reach this one through a relay.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the screen. `copy` is meant to be copied: it is never broken, whatever its length."""

    text: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Choices:
    """What a newcomer should know of the settings and of this shell: who gets our addresses, whether
    anyone is there to be joined, and what another terminal needs so that `mailio` finds this node.
    """

    announce: str = "all"
    first_peers: int = 0
    first_of_all: tuple[str, ...] = ()


def first_screen(
    status: Mapping[str, Any], identity: Mapping[str, Any], choices: Choices, width: int
) -> list[Line]:
    """The screen for an owner's node, from `status --json` and `id --json`."""
    wide = max(LEAST_WIDTH, min(width, MOST_WIDTH))
    lines = [Line("Your Mailio node is running.", "title"), Line("")]
    lines += [Line("Your address"), Line(clean(identity["address"]), "copy"), Line("")]
    lines += _wrapped("Your contact link: who has it knows who and where you are", wide)
    lines += [Line(clean(identity["link"]), "copy"), Line("")]
    if choices.first_of_all:
        lines.append(Line("First, in another terminal", "title"))
        lines += [*(Line(f"  {one}", "copy") for one in choices.first_of_all), Line("")]
    lines += _block(
        "Next, there" if choices.first_of_all else "Next, in another terminal", wide, _next(status)
    )
    lines += _block("Network", wide, _network(status, choices))
    lines += _block("E-mail", wide, _mail(status))
    lines += _block("What others can see", wide, _seen(choices))
    lines += _block("Not done yet", wide, _undone(status))
    return [*lines, *_wrapped("It runs here until you press Ctrl-C.", wide)]


def public_screen(identity: Mapping[str, Any], choices: Choices, width: int) -> list[Line]:
    """The screen for a public node: what others need to join through it."""
    wide = max(LEAST_WIDTH, min(width, MOST_WIDTH))
    addrs = [clean(addr) for addr in identity["addrs"]]
    lines = [Line("This public Mailio node is running.", "title"), Line("")]
    lines += [Line("Others join through it with")]
    command = "mailio config set network.bootstrap"
    lines += [Line(f"{command} {addr}", "copy") for addr in addrs] or [Line("(it listens nowhere)")]
    lines.append(Line(""))
    joined = f"It joins others through {choices.first_peers} first peers." if choices.first_peers else ""
    text = (
        "It helps nodes find each other and keeps no mail. Choose the address that the others can reach. "
        f"{joined} It runs until you press Ctrl-C."
    )
    return [*lines, *_wrapped(" ".join(text.split()), wide)]


@dataclass(frozen=True, slots=True)
class _Step:
    """A sentence, or with `command` a thing to type and what it does."""

    text: str
    command: str = ""


def _next(status: Mapping[str, Any]) -> Iterator[_Step]:
    yield _Step("invite someone: gives a link for one person", "mailio handshake link")
    yield _Step("accept an invitation that you got", "mailio handshake open 'LINK'")
    yield _Step("write to them", "mailio send WHO --subject S")
    yield _Step("see what has come", "mailio list")
    yield _Step("see how things stand", "mailio status")


def _network(status: Mapping[str, Any], choices: Choices) -> Iterator[_Step]:
    peers = status["peers"]
    listens = bool(status["listen"]["libp2p"])
    if peers:
        yield _Step(f"Connected to {peers} other node{'s' if peers != 1 else ''}.")
    if choices.first_peers == 0:
        yield _Step(
            "There is no public network yet, and none is needed: two nodes that can reach each other find "
            "their way by the contact link. To join others, or be the one they join through:"
        )
        yield _Step("join (then start again)", "mailio config set network.bootstrap ADDRESS")
        yield _Step("be a first peer (another --home)", "mailio bootstrap run")
    elif not peers:
        yield _Step("No other node has answered yet; it keeps trying.")
    if not listens:
        yield _Step("It listens nowhere, so that it can only call others: see network.listen.")
    elif status["reachability"] in _REACHES:
        yield _Step(_REACHES[status["reachability"]])


def _mail(status: Mapping[str, Any]) -> Iterator[_Step]:
    addresses, sending = addresses_of(status), sending_of(status)
    where = status["listen"].get("smtp")
    yield _Step("Ordinary e-mail is not sealed: the mail servers on its way can read it.")
    if addresses and where:
        yield _Step(f"Mail to {', '.join(addresses)} is taken at {place_of(where)}.")
    if sending["state"] != "none":
        yield _Step(f"Yours goes out {out_by(sending)}.")
    yield from _unset(addresses, sending)
    if server := server_of(status["listen"].get("submission")):
        encryption = "no encryption needed on this machine" if server.is_local else "STARTTLS"
        yield _Step(
            f"To write with a mail program, set as its outgoing server {server.name}, port {server.port}, "
            f"{encryption}. User name and password come from:"
        )
        yield _Step("", ADD_USER)


def _unset(addresses: list[str], sending: Mapping[str, Any]) -> Iterator[_Step]:
    """What of ordinary e-mail wants setting, with the command that does it."""
    if not addresses and sending["state"] == "none":
        yield _Step("with a mailbox at a provider, this is all", ADD_PROVIDER)
        yield _Step("with a domain of your own: what its DNS needs", ADD_DOMAIN)
    if not addresses:
        yield _Step("your e-mail address", SET_ADDRESS)
    if sending["state"] == "none":
        yield _Step("who sends your mail", SET_SMARTHOST)
    elif sending["password"] == "missing":  # noqa: S105 - a state
        yield _Step("its password", SET_PASSWORD)
    if not addresses or sending["state"] == "none":
        yield _Step("What is set holds from the next start on.")


def _seen(choices: Choices) -> Iterator[_Step]:
    if choices.announce == "all":
        yield _Step(
            "Whoever looks up your address finds your public key and, where this machine has one, its "
            "public internet address. To show that to accepted people only:"
        )
        yield _Step("", "mailio config set network.announce contacts")
    else:
        yield _Step(
            "Whoever looks up your address finds your public key, and not where you are. Your letters tell "
            "that to those you have accepted; writing to someone accepts them too."
        )
    yield _Step(
        "Nodes that you connect to see this machine's internet address. Sealed letters, contacts and who "
        "has accepted whom are seen by nobody but you and those you write to."
    )


def _undone(status: Mapping[str, Any]) -> Iterator[_Step]:
    for one in status["warnings"]:
        text = clean(one["text"])
        yield _Step(f"{text[:1].upper()}{text[1:]}.")
        if one["remedy"]:
            yield _Step("", clean(one["remedy"]))


def _block(title: str, width: int, steps: Iterator[_Step]) -> list[Line]:
    """A title and its steps, commands in a column where there is room; nothing where there are none."""
    found = list(steps)
    if not found:
        return []
    column = 2 + max((len(one.command) for one in found if one.command and one.text), default=0) + 2
    lines = [Line(title, "title")]
    for one in found:
        lines += _step(one, width, column)
    return [*lines, Line("")]


def _step(step: _Step, width: int, column: int) -> list[Line]:
    if not step.command:
        return _wrapped(step.text, width, "  ")
    if not step.text:
        return [Line(f"    {step.command}")]
    if width >= SIDE_BY_SIDE and column + len(step.text) <= width:
        return [Line(f"  {step.command}".ljust(column) + step.text)]
    return [Line(f"  {step.command}"), *_wrapped(step.text, width, "      ")]


def _wrapped(text: str, width: int, indent: str = "") -> list[Line]:
    found = textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [Line(one) for one in found]
