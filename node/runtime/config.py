"""The settings, read once from config.toml and the environment into a frozen Config. Which there are is
sections.py's; changing the file is config_edit.py's.
"""

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.runtime.errors import NodeError
from node.runtime.sections import (
    DnsConfig,
    FilesConfig,
    HostsConfig,
    HttpConfig,
    LimitsConfig,
    LogConfig,
    MailConfig,
    NetworkConfig,
    SmtpConfig,
    SubmissionConfig,
    TlsConfig,
)
from node.runtime.settings import Kind, in_words

FILE_NAME: Final = "config.toml"

MAX_FILE: Final = 262_144
"""Bytes; every setting with a long comment fits in a tenth of it."""


class ConfigError(NodeError):
    """The configuration can't be believed, so nothing starts."""


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of a node. `sources` says of each key that isn't the default where it came from."""

    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    mail: MailConfig = dataclasses.field(default_factory=MailConfig)
    smtp: SmtpConfig = dataclasses.field(default_factory=SmtpConfig)
    submission: SubmissionConfig = dataclasses.field(default_factory=SubmissionConfig)
    tls: TlsConfig = dataclasses.field(default_factory=TlsConfig)
    http: HttpConfig = dataclasses.field(default_factory=HttpConfig)
    dns: DnsConfig = dataclasses.field(default_factory=DnsConfig)
    files: FilesConfig = dataclasses.field(default_factory=FilesConfig)
    hosts: HostsConfig = dataclasses.field(default_factory=HostsConfig)
    log: LogConfig = dataclasses.field(default_factory=LogConfig)
    limits: LimitsConfig = dataclasses.field(default_factory=LimitsConfig)
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Described:
    """A setting as `config show` displays it; `value` and `default` are as JSON has them."""

    value: object
    default: object
    source: str
    help: str
    wants: str


SECTIONS: Final[Mapping[str, type[Any]]] = {
    "network": NetworkConfig,
    "mail": MailConfig,
    "smtp": SmtpConfig,
    "submission": SubmissionConfig,
    "tls": TlsConfig,
    "http": HttpConfig,
    "dns": DnsConfig,
    "files": FilesConfig,
    "hosts": HostsConfig,
    "log": LogConfig,
    "limits": LimitsConfig,
}

KEYS: Final[Mapping[str, "dataclasses.Field[Any]"]] = {
    f"{section}.{field.name}": field
    for section, kind in SECTIONS.items()
    for field in dataclasses.fields(kind)
}


def load(home: Path, environ: Mapping[str, str]) -> Config:
    """The configuration of the node in `home`: defaults, then config.toml, then the environment.
    Raises ConfigError that names file, line, key, and what would be right.
    """
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for key, raw, source in (*from_file(home / FILE_NAME), *_from_environment(environ)):
        try:
            values[key] = kind_of(key).read(raw)
        except ValueError as error:
            wants = kind_of(key).wants
            raise ConfigError("config-value", f"{source}: {key}: {error}", f"it takes {wants}") from error
        sources[key] = source
    sections = {
        section: kind(**{field.name: values[f"{section}.{field.name}"]
                         for field in dataclasses.fields(kind) if f"{section}.{field.name}" in values})
        for section, kind in SECTIONS.items()
    }  # fmt: skip
    return Config(**sections, sources=sources)


def describe(config: Config) -> dict[str, Described]:
    """Every setting by its key, in the order in which they are declared."""
    described = {}
    for key, field in KEYS.items():
        section, _, name = key.partition(".")
        described[key] = Described(
            value=_plain(getattr(getattr(config, section), name)),
            default=_plain(field.default),
            source=config.sources.get(key, "default"),
            help=field.metadata["help"],
            wants=kind_of(key).wants,
        )
    return described


def kind_of(key: str) -> Kind:
    """The kind of a known setting."""
    kind: Kind = KEYS[key].metadata["kind"]
    return kind


def unknown(key: str) -> tuple[str, str]:
    """What to say of a key that is none: text and remedy."""
    close = difflib.get_close_matches(key, KEYS, n=1)
    remedy = f"did you mean {close[0]}?" if close else "`mailio config show` lists them"
    return f"{key[:100]} is not a setting", remedy


def from_file(path: Path) -> Iterator[tuple[str, object, str]]:
    """Key, TOML value and place of each setting in the file; nothing if there is no file."""
    text = read_text(path)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(
            "config-syntax", f"{path}: {reason[:200]}", "mend the line, or remove it"
        ) from error
    for section, content in table.items():
        if not isinstance(content, dict):
            raise _misplaced(path, text, section)
        for name, raw in content.items():
            key = f"{section}.{name}"
            if key not in KEYS:
                raise _misplaced(path, text, key)
            yield key, raw, f"{path}:{line_of(text, key)}"


def read_text(path: Path) -> str:
    """What is in config.toml; empty if there is none. Raises ConfigError."""
    if path.exists() and not path.is_file():
        raise ConfigError("config-file", f"{path} is no file", "move it away")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        text = data.decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError("config-file", f"can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError("config-syntax", f"{path} is not UTF-8 text", "save it as UTF-8") from error
    if len(data) > MAX_FILE:
        raise ConfigError("config-syntax", f"{path} is larger than {in_words(MAX_FILE)}")
    return text


def line_of(text: str, key: str) -> int:
    """The line on which a key, or its section, stands; 1 where the file's form hides it."""
    section = key.partition(".")[0]
    current, fallback = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*[\"']?([\w-]*)", line):
            current = header[1]
            fallback = number if current == section else fallback
        elif match := re.match(r"\s*([\w.\"' -]+?)\s*=", line):
            written = re.sub(r"[\"' ]", "", match[1])
            if (f"{current}.{written}" if current else written) == key:
                return number
            fallback = number if not current and written == section else fallback
    return fallback


def _misplaced(path: Path, text: str, key: str) -> ConfigError:
    what, remedy = unknown(key)
    return ConfigError("config-key", f"{path}:{line_of(text, key)}: {what}", remedy)


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    for variable, text in sorted(environ.items()):
        prefix, _, rest = variable.partition("_")
        section, _, name = rest.lower().partition("_")
        if prefix != "MAILIO" or section not in SECTIONS:
            continue
        key = f"{section}.{name}"
        if key not in KEYS:
            what, remedy = unknown(key)
            raise ConfigError("config-key", f"environment {variable[:100]}: {what}", remedy)
        yield key, kind_of(key).from_text(text), f"environment {variable}"


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
