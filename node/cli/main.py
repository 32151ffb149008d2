"""The `mailio` command: its commands, and what becomes of their faults.

Exit 0 done, 1 refused or failed, 2 usage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

import node
from node.cli import (
    contacts,
    doctor,
    domains,
    files,
    filestore,
    handshakes,
    hosts,
    mailbox,
    nodes,
    providers,
    send,
    settings,
    state,
    users,
    words,
)
from node.cli.output import note, write_json, write_line
from node.cli.session import INTERRUPTED, HomeOption, JsonOption, Session, settle
from node.runtime.errors import NodeError, UsageError
from protocol.errors import ProtocolError

DEBUG_VARIABLE: Final = "MAILIO_DEBUG"
"""In the environment, shows where an unforeseen fault happened."""

Version = Annotated[bool, typer.Option("--version", help="Say which version this is.", is_eager=True)]


def build() -> typer.Typer:
    """The whole command."""
    app = typer.Typer(
        name="mailio",
        help="Your Mailio node: sealed mail between people who have accepted each other.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    app.callback(invoke_without_command=True)(_start)
    for room in (
        words,
        nodes,
        state,
        doctor,
        handshakes,
        hosts,
        send,
        mailbox,
        files,
        filestore,
        contacts,
        users,
        domains,
        providers,
        settings,
    ):
        room.register(app)
    return app


def _start(
    context: typer.Context, home: HomeOption = None, json: JsonOption = False, version: Version = False
) -> None:
    session = settle(context, home, json=json)
    if version:
        found = node.__version__
        write_json({"version": found}) if session.json else write_line(f"mailio {found}")
    elif context.invoked_subcommand is None:
        write_line(context.get_help())


def main() -> None:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # a stream of ours
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr] # likewise
    command, session = typer.main.get_command(build()), Session()
    try:
        code = command.main(list(arguments), prog_name="mailio", standalone_mode=False, obj=session)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has enough; nothing may be flushed to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit as end:  # typer's own answer to a reader that went away
        return end.code if isinstance(end.code, int) else 1
    except BaseException as fault:  # noqa: BLE001 - the last one who can say it in words
        unread = isinstance(fault, typer.TyperException)  # of which only a part may have been understood
        return _failed(fault, json=session.json or (unread and "--json" in arguments))
    if code == INTERRUPTED and sys.stderr.isatty():
        note("")  # after the terminal's ^C; typer makes this code of a KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _failed(fault: BaseException, *, json: bool) -> int:
    """One line for the person, the same as JSON for a program; the exit code."""
    fault = _first(fault)
    if isinstance(fault, KeyboardInterrupt | typer.Abort):
        if sys.stderr.isatty():
            note("")  # after the terminal's ^C
        return INTERRUPTED
    if isinstance(fault, NodeError):
        told = fault
    elif isinstance(fault, ProtocolError):
        told = NodeError("not-understood", str(fault))
    elif isinstance(fault, typer.TyperException):
        context = getattr(fault, "ctx", None)
        told = UsageError(
            "usage", _sentence(fault), f"see: {context.command_path if context else 'mailio'} --help"
        )
    else:
        if DEBUG_VARIABLE in os.environ:
            raise fault
        remedy = f"{DEBUG_VARIABLE}=1 shows where; please report it"
        told = NodeError("internal", f"something went wrong in this command ({type(fault).__name__})", remedy)
    if json:
        write_json({"error": {"code": told.code, "text": told.text, "remedy": told.remedy}})
    note(f"mailio: {told.text}; {told.remedy}" if told.remedy else f"mailio: {told.text}")
    return told.exit_code


def _first(fault: BaseException) -> BaseException:
    """Of faults that came together, one that a person can do something about."""
    while isinstance(fault, BaseExceptionGroup):
        known = fault.subgroup((NodeError, ProtocolError, KeyboardInterrupt))
        fault = (known or fault).exceptions[0]
    return fault


def _sentence(fault: typer.TyperException) -> str:
    shown = getattr(fault, "format_message", fault.__str__)()
    return " ".join(str(shown).split()).rstrip(".")
