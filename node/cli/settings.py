"""`mailio config`: every setting with its meaning, shown and changed in the home's config.toml."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.bridge import SET_PASSWORD
from node.cli.client import Question
from node.cli.output import folded, note, write_json, write_line
from node.cli.session import Session, ask_secret, command, group, on_terminal, read_secret
from node.cli.text import clean
from node.runtime.errors import NodeError, UsageError

Key = Annotated[str, typer.Argument(metavar="KEY", help="A setting's name, such as network.listen.")]
Value = Annotated[
    str | None, typer.Argument(metavar="VALUE", help="Its value; lists with commas.", show_default=False)
]
Secret = Annotated[bool, typer.Option("--secret", help="Its password or secret, which is typed unseen.")]
FromFile = Annotated[
    str | None,
    typer.Option("--from-file", metavar="FILE", help="A private file with it.", show_default=False),
]
OptionalKey = Annotated[
    str | None, typer.Argument(metavar="KEY", help="Only this setting.", show_default=False)
]

WITH_SECRET: Final = {"smtp.smarthost": "password", "files.kubo_api": "secret"}
"""Settings that have something nobody is to read, and what it is called."""

_KEPT: Final = {
    True: " The {} is set.",
    False: " No {} is set.",
    None: " Whether the {} is set is not known here.",
}

_UNSET: Final = {"network.bootstrap": "as shipped", "dns.nameservers": "the system's"}
"""What holds where nothing is set; elsewhere nothing does."""

_NEXT_START: Final = "it holds from the node's next start on"


def register(app: typer.Typer) -> None:
    inner = group("config", "Every setting with its default and meaning.", app)
    command(inner, "show")(show)
    command(inner, "set")(set_)
    command(inner, "unset")(unset)
    command(inner, "path")(path)


def show(session: Session, key: OptionalKey = None) -> None:
    """Show settings: value, where it comes from, and what it means."""
    from node.runtime.config import KEYS, describe, load, unknown

    described = describe(load(session.home.path, os.environ))
    if key is not None and key not in KEYS:
        raise UsageError("config-key", *unknown(key))
    chosen = {name: one for name, one in described.items() if key in (None, name)}
    kept = _kept(session) if chosen.keys() & WITH_SECRET.keys() else {}
    if session.json:
        write_json(
            {
                name: {"value": one.value, "default": one.default, "source": one.source, "help": one.help}
                | ({"secret": kept.get(name)} if name in WITH_SECRET else {})
                for name, one in chosen.items()
            }
        )
        return
    for name, one in chosen.items():
        origin = "" if one.source == "default" else f"  ({one.source})"
        write_line(clean(f"{name} = {_plain(name, one.value)}{origin}"))
        said = f"{one.help} Default: {_plain(name, one.default)}."
        if name in WITH_SECRET:
            said += _KEPT[kept.get(name)].format(WITH_SECRET[name])
        write_line(folded(clean(f"    {said}"), sys.stdout))


def set_(
    session: Session,
    key: Key,
    value: Value = None,
    secret: Secret = False,
    from_file: FromFile = None,
) -> None:
    """Set a setting in config.toml; everything else in it stays as it is.

    With --secret the password or secret that belongs to it: asked for, or read from a file, and kept sealed.
    """
    if secret or from_file is not None:
        _set_secret(session, key, value, from_file)
        return
    if value is None:
        raise UsageError("usage", f"which value is {key} to have?", f"mailio config set {key} VALUE")
    from node.runtime.config_edit import set_value

    home = session.home
    home.create()
    set_value(home.path, key, value)
    _done(session, {"key": key, "value": value})
    if key == "smtp.smarthost" and not session.json and "@" in value:
        note(f"its password, unless it is set: {SET_PASSWORD}")


def unset(session: Session, key: Key, secret: Secret = False) -> None:
    """Take a setting out of config.toml, so that its default holds; with --secret only its password."""
    if secret:
        found = session.call(Question("DELETE", f"/local/secret/{quote(key, safe='')}"))
        if session.json:
            write_json(found)
        else:
            became = "is forgotten" if found["removed"] else "was not set"
            note(f"the {WITH_SECRET[key]} for {key} {became}")
        return
    from node.runtime.config_edit import unset_value

    _done(session, {"key": key, "removed": unset_value(session.home.path, key)})


def _set_secret(session: Session, key: str, value: str | None, from_file: str | None) -> None:
    if value is not None:
        raise UsageError(
            "secret-argument",
            "a password is not given on the command line, where others can see it",
            f"it is asked for, or comes from a file: mailio config set --secret {key} --from-file FILE",
        )
    kept = session.get("/local/secret")  # before somebody types a password that has no place
    if key not in kept:
        raise UsageError(
            "no-secret-setting", f"no password belongs to {key[:100]}", f"it is one of {', '.join(kept)}"
        )
    if from_file is not None:
        password = read_secret(from_file, "password", "--from-file")
    elif on_terminal():
        password = ask_secret(f"{WITH_SECRET[key].capitalize()} for {key}: ")
    else:
        raise NodeError("no-terminal", "nobody can be asked for the password here", "use --from-file FILE")
    found = session.post("/local/secret", key=key, value=password)
    write_json(found) if session.json else note(
        f"the {WITH_SECRET[key]} for {key} is kept; a running node uses it at once"
    )


def _kept(session: Session) -> dict[str, bool]:
    """Of each such setting whether it is kept; nothing where that can't be told without asking somebody."""
    if not session.home.database.exists():
        return dict.fromkeys(WITH_SECRET, False)
    session.prompts = False
    try:
        return dict(session.get("/local/secret"))
    except NodeError:
        return {}


def path(session: Session) -> None:
    """Where the file is."""
    found = str(session.home.config)
    write_json({"path": found}) if session.json else write_line(clean(found))


def _done(session: Session, result: dict[str, Any]) -> None:
    if session.json:
        write_json(result)
    elif result.get("removed", True):
        note(f"{result['key']} is set; {_NEXT_START}" if "value" in result else f"removed; {_NEXT_START}")
    else:
        note(f"{result['key']} was not set")


def _plain(key: str, value: object) -> str:
    if value is None:
        return _UNSET.get(key, "none")
    if isinstance(value, bool):
        return str(value).lower()  # as it is typed
    return ", ".join(str(one) for one in value) or "none" if isinstance(value, list) else str(value)
