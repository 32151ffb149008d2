"""`mailio send` and `mailio outbox`: letters on their way out."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.attaching import SLOWEST, Handed, hand_in, opened
from node.cli.client import Question
from node.cli.delivery import SHORT, in_words, is_open, lies_there, name_of, outcome
from node.cli.output import NO_SUBJECT, note, table, when, write_json, write_line
from node.cli.session import INTERRUPTED, HomeOption, JsonOption, Session, command, group, settle
from node.cli.text import duration_ms, short_ids
from node.runtime.errors import NodeError, UsageError
from node.runtime.settings import LEAST_PIN, MOST_PIN

DEFAULT_WAIT: Final = "30s"
MAX_WAIT_MS: Final = 3_600_000
"""An hour: who wants to wait longer looks into the outbox."""

STEP_S: Final = 5.0
"""Seconds of one question to the node while a letter is followed."""

LOOK_S: Final = 0.5
"""Seconds between two looks whether our hosts have the attachments."""

MAX_TEXT: Final = 1_100_000
"""Bytes read from standard input; a letter is smaller."""

LONG: Final = 100_000_000
"""Bytes of attachments from which it takes a second or more to make a letter of them."""

LOST: Final = frozenset({"refused", "failed", "cancelled", "not-collected"})
WATCHED: Final = frozenset({"refused", "failed"})
"""States that make `send` exit with 1."""

Recipients = Annotated[
    list[str],
    typer.Argument(metavar="TO...", help="A contact's name, e-mail or Mailio address, DID or contact link."),
]
Subject = Annotated[str, typer.Option("--subject", "-s", metavar="S", help="What it is about.")]
Copies = Annotated[
    list[str] | None,
    typer.Option("--cc", metavar="WHO", help="Gets a copy, and all see it.", show_default=False),
]
Hidden = Annotated[
    list[str] | None, typer.Option("--bcc", metavar="WHO", help="Gets a copy, unseen.", show_default=False)
]
Text = Annotated[
    str | None,
    typer.Option("--body", metavar="T", help="The text; without it standard input.", show_default=False),
]
Attach = Annotated[
    list[str] | None,
    typer.Option(
        "--attach", "-a", metavar="FILE", help="A file that goes with it; any number.", show_default=False
    ),
]
Pin = Annotated[
    str | None,
    typer.Option(
        "--pin",
        metavar="D",
        help="How long files are kept for those who fetch them, such as 90d; else as files.pin says.",
        show_default=False,
    ),
]
Wait = Annotated[str, typer.Option("--wait", metavar="D", help="How long to follow it, such as 30s or 5m.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Only put it into the outbox.")]
LetterId = Annotated[
    str, typer.Argument(metavar="ID", help="A letter's id, or how it begins; see: mailio outbox.")
]
All = Annotated[bool, typer.Option("--all", help="All that are remembered, not only the last day's.")]


def register(app: typer.Typer) -> None:
    command(app, "send")(send)

    def alone(
        context: typer.Context, everything: All = False, home: HomeOption = None, json: JsonOption = False
    ) -> None:
        session = settle(context, home, json=json)
        if context.invoked_subcommand is None:
            listing(session, everything)

    inner = group("outbox", "What is on its way, and why it waits.", app, alone)
    command(inner, "retry")(retry)
    command(inner, "cancel")(cancel)
    command(inner, "approve")(approve)


def send(
    session: Session,
    to: Recipients,
    subject: Subject = "",
    cc: Copies = None,
    bcc: Hidden = None,
    body: Text = None,
    attach: Attach = None,
    pin: Pin = None,
    wait: Wait = DEFAULT_WAIT,
    no_wait: NoWait = False,
) -> None:
    """Send a letter, and follow it for a while.

    It is safe in the outbox once its id is shown; it goes on by itself whatever happens here.
    """
    patience = 0 if no_wait else min(duration_ms(wait), MAX_WAIT_MS)
    head = {"to": to, "cc": cc or [], "bcc": bcc or [], "subject": subject, "pin": _kept(pin)}
    with opened(attach or []) as files:
        # Before someone writes, or reads in, what can't go.
        if files or (body is None and sys.stdin.isatty()):
            _tell_routes(session, [*to, *(cc or []), *(bcc or [])], [one.size for one in files])
        text = body if body is not None else _read_text()
        if not (text.strip() or subject.strip() or files):
            remedy = "give --subject, and --body or the text on standard input"
            raise UsageError("letter-empty", "the letter is empty", remedy)
        letter = _queue(session, head | {"text": text}, files)
    finish(session, letter, patience)


def _kept(pin: str | None) -> int | None:
    """How long files are kept for the recipients, in ms. Raises UsageError."""
    kept = None if pin is None else duration_ms(pin)
    if kept is not None and not duration_ms(LEAST_PIN) <= kept <= duration_ms(MOST_PIN):
        raise UsageError(
            "duration", f"files are kept from {LEAST_PIN} to {MOST_PIN}, not {pin}", "give another --pin"
        )
    return kept


def _queue(session: Session, letter: dict[str, Any], files: Sequence[Handed]) -> dict[str, Any]:
    """Hand the letter in with its files; what the outbox says of it. Raises NodeError."""
    body, whole = letter | {"attachments": hand_in(session, files)}, sum(one.size for one in files)
    if whole > LONG and not session.json and sys.stderr.isatty():
        note("putting the letter together …")
    patience = whole / SLOWEST
    found: dict[str, Any] = session.call(Question("POST", "/api/v1/message", body=body, patience=patience))
    return found


def _tell_routes(session: Session, who: list[str], sizes: list[int]) -> None:
    """Which of them get it sealed and which open, before it is written. Raises NodeError for whom it can't
    go to.
    """
    routes = session.post("/local/recipients", who=who, sizes=sizes)["routes"]
    by_route = {
        route: [one for one, way in zip(who, routes, strict=True) if way == route] for route in routes
    }
    for line in routes_in_words(by_route):
        note(line)


def routes_in_words(who: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Who gets it how, for a person; `who` by route."""
    if names := who.get("smtp"):
        rest = "; sealed to the others" if who.keys() == {"smtp", "mailio"} else ""
        yield f"as ordinary e-mail, which its mail servers can read, to {', '.join(names)}{rest}"
    if names := who.get("later"):
        yield f"sealed or as ordinary e-mail, which is looked up before it goes, to {', '.join(names)}"
    if names := who.get("held"):
        yield f"held until you decide, for they were reached sealed before, to {', '.join(names)}"


def finish(session: Session, letter: dict[str, Any], patience_ms: int, arrived: str = "") -> None:
    """Follow a letter that was just queued, say what became of it, and exit 1 if it was refused.
    `arrived` is what a delivery means, beyond that.
    """
    if not session.json:
        write_line(letter["id"])
    try:
        letter = follow(session, letter, patience_ms)
    except KeyboardInterrupt:
        note("")  # after the terminal's ^C
        note("no longer followed; it stays in the outbox and goes on by itself: mailio outbox")
        raise typer.Exit(INTERRUPTED) from None
    if session.json:
        write_json(letter)
    else:
        for line in outcome(letter, int(time.time() * 1000), arrived or _first_contact(session, letter)):
            note(line)
    if any(one["state"] in WATCHED for one in letter["recipients"]):
        raise typer.Exit(1)


def follow(session: Session, letter: dict[str, Any], patience_ms: int) -> dict[str, Any]:
    """The letter once nothing of it is under way any more, and where it lies at a host its attachments lie at
    ours too; or as it stands when the time is over.
    """
    if session.closed:
        note("the node is not running; the letter goes once it runs: mailio run")
        return letter
    end = time.monotonic() + patience_ms / 1000
    if patience_ms and any(one["state"] == "queued" for one in letter["recipients"]):
        if not session.json and sys.stderr.isatty():
            note("on its way …")
    while any(one["state"] == "queued" for one in letter["recipients"]):
        left = end - time.monotonic()
        if left <= 0:
            break
        step = min(left, STEP_S)
        letter = session.call(Question("GET", _path(letter), {"wait": round(step, 3)}, patience=step))
    told = session.json or not sys.stderr.isatty()
    while lies_there(letter) and letter["attachments"] == "to-hosts" and time.monotonic() < end:
        if not told:
            note("your hosts are fetching the attachments …")
            told = True
        time.sleep(LOOK_S)
        letter = session.get(_path(letter))
    return letter


def _path(letter: dict[str, Any]) -> str:
    return f"/api/v1/outbox/{letter['id']}"


def _first_contact(session: Session, letter: dict[str, Any]) -> str:
    """What becomes of a letter that arrived at someone who has not accepted us, as far as we know."""
    arrived = {
        one["address"] for one in letter["recipients"] if one["state"] == "delivered" and not is_open(one)
    }
    if not arrived:
        return ""
    strangers = {one["address"] for one in session.get("/api/v1/handshake") if one["theirs"] == "none"}
    return "until they accept you it waits among their requests" if arrived & strangers else ""


def listing(session: Session, everything: bool) -> None:
    """Letters on their way, and those of the last day."""
    found = session.get("/api/v1/outbox", all=everything)
    if session.json:
        write_json(found)
        return
    if not found:
        note(
            "nothing is on its way, and nothing ended in the last day (--all shows what did before)"
            if not everything
            else "nothing has been sent yet; write with: mailio send WHO --subject S"
        )
        return
    now = int(time.time() * 1000)
    ids = short_ids([one["id"] for one in found])
    rows = [
        [
            ids[one["id"]] if sys.stdout.isatty() else one["id"],
            when(one["created"]),
            one["subject"] or NO_SUBJECT,
            name_of(recipient),
            in_words(recipient, now),
        ]
        for one in found
        for recipient in one["recipients"]
    ]
    table(["id", "written", "subject", "to", "state"], rows, flexible=[2, 3, 4], folds=[4])
    if sys.stdout.isatty() and any(_wants_word(one) for one in found):
        note("let a held letter go: mailio outbox approve ID; stop one: mailio outbox cancel ID")


def _wants_word(letter: dict[str, Any]) -> bool:
    return any(one["state"] == "held" and one["cause"] == "approval" for one in letter["recipients"])


def retry(session: Session, letter: LetterId) -> None:
    """Try again now."""
    _act(session, letter, "retry", "is tried again now")


def cancel(session: Session, letter: LetterId) -> None:
    """Stop what has not arrived yet."""
    _act(session, letter, "cancel", "is cancelled where it has not arrived")


def approve(session: Session, letter: LetterId) -> None:
    """Let a letter go that waits for your word."""
    _act(session, letter, "approve", "is on its way")


def _act(session: Session, letter: str, verb: str, sentence: str) -> None:
    found = session.post(f"/api/v1/outbox/{quote(letter, safe='')}/{verb}")
    write_json(found) if session.json else note(f"{found['id'][:SHORT]} {sentence}")


def _read_text() -> str:
    if sys.stdin.isatty():
        note("Type the letter; end it with Ctrl-D on a line of its own.")
    data = sys.stdin.buffer.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise NodeError("letter-too-large", "the text is larger than a letter may be", "shorten it")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise NodeError(
            "letter-text", "the text is not UTF-8", "convert it, for example with iconv"
        ) from None
