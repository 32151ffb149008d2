"""What every command has: where the home is, whether JSON is wanted, and the way to the node.

`command` gives each command `--home` and `--json`, so that they work before and after its name.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Final, TypeVar

import typer

from node.cli.client import Answer, NotRunning, Question, Take, ask
from node.runtime.errors import NodeError, UsageError
from node.runtime.home import Home, read_private

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""

PASSPHRASE_VARIABLE: Final = "MAILIO_PASSPHRASE_FILE"  # noqa: S105 - a variable's name

T = TypeVar("T")

HomeOption = Annotated[
    str | None,
    typer.Option("--home", metavar="DIR", help="The node's directory (or MAILIO_HOME).", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.", show_default=False)]
PassphraseOption = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="A private file with the passphrase.", show_default=False
    ),
]


@dataclass
class Session:
    """One run of the command. Belongs to typer's context."""

    home_option: str | None = None
    json: bool = False
    passphrase: str | None = None
    prompts: bool = True
    """Whether somebody may be asked for a passphrase; else the fault comes that one is needed."""
    closed: bool = False
    """Whether the last answer came from the store itself, since no node runs."""

    @property
    def home(self) -> Home:
        return Home.locate(self.home_option, os.environ)

    def get(self, path: str, **params: Any) -> Any:
        return self.call(Question("GET", path, params))

    def post(self, path: str, **body: Any) -> Any:
        return self.call(Question("POST", path, body=body))

    def call(self, question: Question) -> Any:
        """The JSON that the node answers, or the closed store. Raises NodeError."""
        return self.answer(question).value()

    def answer(self, question: Question, take: Take | None = None) -> Answer:
        """Ask the running node, and where none runs the store itself. `take` gets a good answer's content in
        pieces; else it is held.
        """
        home = self.home
        try:
            self.closed = False
            return ask(home, question, take)
        except NotRunning:
            self.closed = True
            return self._ask_closed(home, question, take)

    def take(self, question: Question, take: Take) -> None:
        """Hand the answer's content on in pieces. Raises NodeError."""
        answer = self.answer(question, take)
        if answer.status >= 400:
            raise answer.fault()

    def _ask_closed(self, home: Home, question: Question, take: Take | None) -> Answer:
        from node.cli.closed import ask_closed
        from node.runtime.config import load

        require_node(home)
        config = load(home.path, os.environ)
        if self.passphrase is None:
            self.passphrase = passphrase_from_file(None)
        try:
            return ask_closed(home, config, self.passphrase, question, take)
        except NodeError as fault:
            if fault.code != "passphrase-needed" or not (self.prompts and on_terminal()):
                raise
        self.passphrase = ask_passphrase()
        return ask_closed(home, config, self.passphrase, question, take)


def require_node(home: Home) -> None:
    """Raises NodeError where there is no node to speak of."""
    if not home.key_file.exists() and not home.database.exists():
        text = f"there is no node in {home.path} yet"
        raise NodeError("no-identity", text, "start one with: mailio run (or make its identity: mailio init)")


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Registers a command whose first parameter is the Session, and adds what every command has."""

    def register(function: Callable[..., T]) -> Callable[..., T]:
        @wraps(function)
        def run(context: typer.Context, *args: Any, home: str | None, json: bool, **given: Any) -> T:
            return function(settle(context, home, json=json), *args, **given)

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter("context", kind, annotation=typer.Context),
            *(one.replace(kind=kind) for one in own),
            inspect.Parameter("home", kind, default=None, annotation=HomeOption),
            inspect.Parameter("json", kind, default=False, annotation=JsonOption),
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        app.command(name, **settings)(run)
        return run

    return register


def group(name: str, text: str, app: typer.Typer, alone: Callable[..., None] | None = None) -> typer.Typer:
    """A command with commands of its own; `--home` and `--json` may stand right behind its name too.
    `alone` is what it does when none of them is named.
    """
    inner = typer.Typer(name=name, help=text, add_completion=False)

    def settle_here(context: typer.Context, home: HomeOption = None, json: JsonOption = False) -> None:
        settle(context, home, json=json)
        if context.invoked_subcommand is None:
            known = ", ".join(one.name or "" for one in inner.registered_commands)
            raise UsageError("usage", f"mailio {name} needs to know what to do", f"one of {known}")

    inner.callback(invoke_without_command=True)(alone or settle_here)
    app.add_typer(inner)
    return inner


def settle(context: typer.Context, home: str | None, *, json: bool) -> Session:
    """The session, with what was given at this place; the place nearest to the end wins."""
    session = context.ensure_object(Session)
    session.home_option = home or session.home_option
    session.json = json or session.json
    return session


def on_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def passphrase_from_file(option: str | None) -> str | None:
    """The passphrase from the file that is named, or that MAILIO_PASSPHRASE_FILE names; None without one.
    Raises NodeError, also for a file that others can read.
    """
    named = option or os.environ.get(PASSPHRASE_VARIABLE)
    return read_secret(named, "passphrase", "--passphrase-file") if named else None


def read_secret(named: str, what: str, option: str) -> str:
    """The one line of a private file. Raises NodeError, also where others can read it."""
    from pathlib import Path

    code, other = f"{what}-file", f"give another {option}"
    try:
        text = read_private(Path(named).expanduser()).decode()
    except FileNotFoundError:
        raise NodeError(code, f"there is no file {named}", other) from None
    except UnicodeDecodeError:
        raise NodeError(code, f"{named} is not text", other) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise NodeError(code, f"{named} is empty", f"write the {what} into it")
    return text


def ask_passphrase() -> str:
    """The passphrase, typed unseen."""
    return ask_secret("Passphrase: ")


def ask_secret(prompt: str) -> str:
    """A secret, typed unseen."""
    from getpass import getpass

    return getpass(prompt, stream=sys.stderr)
