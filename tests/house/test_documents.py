"""The documents say what is there: commands, settings, statuses, spaces of the store, vectors, anchors."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from node.cli.main import build
from node.runtime.config import KEYS, SECTIONS
from node.storage.schema import SPACES
from protocol import status

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
FOR_PEOPLE: Final = [
    ROOT / name
    for name in (
        "README.md",
        "CHANGELOG.md",
        "SECURITY.md",
        *(f"docs/{name}.md" for name in ("using", "operating", "upgrading", "keys", "attacks", "errors")),
    )
]
BLOCK: Final = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def code_of(text: str) -> Iterator[str]:
    """Each line of the blocks of code, and what stands between backticks elsewhere."""
    for block in BLOCK.findall(text):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))


def arguments_of(line: str) -> list[str] | None:
    """What follows `mailio` where a line calls it, with its options; None where it does not."""
    called = re.search(r"(?:^|^\$ |^ExecStart=|[ /])mailio (?=[a-z-])(.*)", line)
    if called is None or re.search(r"(^|\s)(useradd|systemctl|tar|git)\s", line):
        return None
    return shlex.split(called[1], comments=True)


def fault_of(arguments: list[str]) -> str | None:
    """What the command line does not have of these arguments."""
    command: Any = typer.main.get_command(build())
    left = list(arguments)
    while left and (hasattr(command, "commands") or left[0].startswith("-")):
        word = left.pop(0)
        if word.startswith("-"):
            known = {name: one for one in command.params for name in one.opts} | {"--help": None}
            if word not in known:
                return f"{command.name} has no {word}"
            if known[word] is not None and not known[word].is_flag and left:
                left.pop(0)
        elif word in getattr(command, "commands", {}):
            command = command.commands[word]
        else:
            return f"{command.name} has no {word}"
    options = {name for one in command.params for name in one.opts} | {"--home", "--json", "--help"}
    wrong = [word for word in left if re.fullmatch(r"--?[a-z][\w-]*", word) and word not in options]
    return f"{command.name} has no {wrong[0]}" if wrong else None


@pytest.mark.parametrize("document", FOR_PEOPLE, ids=lambda path: path.stem)
def test_every_command_in_a_document_exists(document: Path) -> None:
    calls = [(line, arguments_of(line)) for line in code_of(document.read_text())]
    faults = [(line, fault_of(given)) for line, given in calls if given is not None]
    assert [] == [(line, fault) for line, fault in faults if fault is not None]


def test_the_guide_names_every_command() -> None:
    command: Any = typer.main.get_command(build())
    every = {
        f"mailio {name} {inner}".strip()
        for name, one in command.commands.items()
        for inner in getattr(one, "commands", {"": None})
    }
    code = "\n".join(code_of((ROOT / "docs/using.md").read_text()))
    assert set() == {name for name in every if not re.search(rf"{name}\b", code)}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("$ mailio --home x handshake accept WHO --until 90d", None),
        ("mailio handshake frob", "handshake has no frob"),
        ("sudo -u mailio /opt/x/bin/mailio frob", "mailio has no frob"),
        ("mailio send TO --nonsense", "send has no --nonsense"),
    ],
)
def test_a_wrong_command_is_noticed(line: str, fault: str | None) -> None:
    given = arguments_of(line)
    assert given is not None
    assert fault == fault_of(given)


def test_the_table_of_settings_is_the_settings() -> None:
    table = (ROOT / "docs/operating.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    assert list(KEYS) == re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE)


@pytest.mark.parametrize("document", FOR_PEOPLE, ids=lambda path: path.stem)
def test_settings_in_documents_exist(document: Path) -> None:
    named = {
        match
        for line in code_of(document.read_text())
        for match in re.findall(rf"(?<![\w./-])(?:{'|'.join(SECTIONS)})\.[a-z_]+(?![\w./])", line)
    }
    assert set() == named - set(KEYS)


def test_the_table_of_statuses_is_the_statuses() -> None:
    known = {one.code for one in vars(status).values() if isinstance(one, status.Status)}
    text = (ROOT / "docs/errors.md").read_text()
    assert known - {"4.2.2"} == set(re.findall(r"^\| (\d\.\d\.\d+) \|", text, re.MULTILINE))
    assert "4.2.2" in text


def test_the_house_names_every_space_of_the_store() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    assert set() == {space.name for space in SPACES if f"`{space.name}`" not in text}


def test_every_topic_of_the_vectors_is_named() -> None:
    text = (ROOT / "docs/vectors.md").read_text()
    table = re.findall(r"^\|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    named = re.findall(r"`([\w-]+)`", " ".join(table))
    assert sorted(path.stem for path in (ROOT / "tests/vectors").glob("*.json")) == sorted(named)


def anchor(title: str) -> str:
    """What a heading is called in an address."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_anchors_lead_to_headings() -> None:
    dead = []
    for document in DOCUMENTS:
        for target, name in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text()):
            place = document.parent / target if target else document
            titles = re.findall(r"^#+ (.+)$", place.read_text(), re.MULTILINE)
            if name not in map(anchor, titles):
                dead.append(f"{document.name}: {target}#{name}")
    assert [] == dead
