"""Changes config.toml for its owner and leaves everything else in it as it stands, comments too."""

from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from node.runtime.config import FILE_NAME, KEYS, ConfigError, kind_of, read_text, unknown
from node.runtime.errors import UsageError
from node.runtime.home import write_private


def set_value(home: Path, key: str, text: str) -> None:
    """Set a key to what `text` says (lists with commas). Raises UsageError for an unknown key or a
    bad value, ConfigError if the file can't be read.
    """
    _require(key)
    kind = kind_of(key)
    raw = kind.from_text(text)
    try:
        kind.read(raw)
    except ValueError as error:
        raise UsageError("config-value", f"{key}: {error}", f"it takes {kind.wants}") from error
    document = _parse(home)
    section, _, name = key.partition(".")
    table = document.setdefault(section, tomlkit.table())
    _as_table(table, home, section)[name] = raw
    write_private(home / FILE_NAME, tomlkit.dumps(document).encode())


def unset_value(home: Path, key: str) -> bool:
    """Take a key out, so that its default holds; whether it was there. Raises as `set_value` does."""
    _require(key)
    document = _parse(home)
    section, _, name = key.partition(".")
    if section not in document or name not in _as_table(document[section], home, section):
        return False
    del _as_table(document[section], home, section)[name]
    write_private(home / FILE_NAME, tomlkit.dumps(document).encode())
    return True


def _require(key: str) -> None:
    if key not in KEYS:
        raise UsageError("config-key", *unknown(key))


def _parse(home: Path) -> tomlkit.TOMLDocument:
    path = home / FILE_NAME
    try:
        return tomlkit.parse(read_text(path))
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise ConfigError(
            "config-syntax", f"{path}: {str(error)[:200]}", "mend the line, or remove it"
        ) from error


def _as_table(value: object, home: Path, section: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigError("config-key", f"{home / FILE_NAME}: {section} is not a section", "remove that line")
    return value
