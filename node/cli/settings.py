"""`mailio config`: every setting with its meaning, shown and changed in the home's config.toml."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from node.cli.output import folded, note, write_json, write_line
from node.cli.session import Session, command, group
from node.cli.text import clean

Key = Annotated[str, typer.Argument(metavar="KEY", help="A setting's name, such as network.listen.")]
Value = Annotated[str, typer.Argument(metavar="VALUE", help="Its value; lists with commas.")]
OptionalKey = Annotated[
    str | None, typer.Argument(metavar="KEY", help="Only this setting.", show_default=False)
]

_NEXT_START = "it holds from the node's next start on"


def register(app: typer.Typer) -> None:
    inner = group("config", "Every setting with its default and meaning.", app)
    command(inner, "show")(show)
    command(inner, "set")(set_)
    command(inner, "unset")(unset)
    command(inner, "path")(path)


def show(session: Session, key: OptionalKey = None) -> None:
    """Show settings: value, where it comes from, and what it means."""
    from node.runtime.config import KEYS, describe, load, unknown
    from node.runtime.errors import UsageError

    described = describe(load(session.home.path, os.environ))
    if key is not None and key not in KEYS:
        raise UsageError("config-key", *unknown(key))
    chosen = {name: one for name, one in described.items() if key in (None, name)}
    if session.json:
        write_json(
            {
                name: {"value": one.value, "default": one.default, "source": one.source, "help": one.help}
                for name, one in chosen.items()
            }
        )
        return
    for name, one in chosen.items():
        origin = "" if one.source == "default" else f"  ({one.source})"
        write_line(clean(f"{name} = {_plain(one.value)}{origin}"))
        write_line(folded(clean(f"    {one.help} Default: {_plain(one.default)}."), sys.stdout))


def set_(session: Session, key: Key, value: Value) -> None:
    """Set a setting in config.toml; everything else in it stays as it is."""
    from node.runtime.config_edit import set_value

    home = session.home
    home.create()
    set_value(home.path, key, value)
    _done(session, {"key": key, "value": value})


def unset(session: Session, key: Key) -> None:
    """Take a setting out of config.toml, so that its default holds."""
    from node.runtime.config_edit import unset_value

    _done(session, {"key": key, "removed": unset_value(session.home.path, key)})


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


def _plain(value: object) -> str:
    if value is None:
        return "as shipped"
    return ", ".join(str(one) for one in value) or "none" if isinstance(value, list) else str(value)
