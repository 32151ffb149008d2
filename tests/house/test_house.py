"""The house keeps its own promises: metadata, lock, change log, floors and scripts agree with each other."""

import configparser
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import node

ROOT = Path(__file__).parents[2]
LOCKS = ("build.txt", "run.txt", "dev.txt")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((ROOT / "setup.cfg").read_text())
    return parser


def requirements() -> list[Requirement]:
    lines = setup()["options"]["install_requires"].strip().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def pins(lock: str) -> dict[str, set[str]]:
    """Name to versions of what a lock file names."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / lock).read_text().splitlines():
        if pin := PIN.match(line):
            found.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_pins_and_hashes_and_no_address(lock: str) -> None:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    assert [] == [line for line in lines if not PIN.match(line) and not HASH.match(line)]
    after_pins = [below for line, below in pairwise(lines) if PIN.match(line)]
    assert all(HASH.match(line) for line in after_pins)


def test_every_requirement_is_locked_in_a_version_that_it_allows() -> None:
    locked = pins("run.txt")
    wanted = {r: locked.get(canonicalize_name(r.name), set()) for r in requirements()}
    assert {} == {
        str(r): versions
        for r, versions in wanted.items()
        if len(versions) != 1 or not r.specifier.contains(next(iter(versions)))
    }


def test_libp2p_is_pinned_exactly_and_fastecdsa_is_the_override() -> None:
    assert "==0.8.1" == str(next(r.specifier for r in requirements() if r.name == "libp2p"))
    assert {"4.0.0"} == pins("run.txt")["fastecdsa"]


def test_what_only_tests_need_is_not_installed_with_a_node() -> None:
    dev = {
        canonicalize_name(line)
        for line in (ROOT / "requirements/dev.in").read_text().splitlines()
        if not line.startswith("#")
    }
    assert dev <= set(pins("dev.txt"))
    assert set() == dev & set(pins("run.txt"))


def test_locks_agree_where_they_name_the_same_package() -> None:
    merged: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, versions in pins(lock).items():
            merged.setdefault(name, set()).update(versions)
    assert {} == {name: versions for name, versions in merged.items() if len(versions) > 1}


def test_the_version_is_one() -> None:
    heads = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert "attr: node.__version__" == setup()["metadata"]["version"]
    assert "Unreleased" == heads[0]
    assert heads[1:2] in ([], [node.__version__])


def test_every_room_has_its_floor() -> None:
    layers = setup()["importlinter:contract:floors"]["layers"]
    floors = set(re.findall(r"[a-z_]+(?:\.[a-z_]+)?", layers))
    rooms = {
        f"{package}.{path.stem}"
        for package in ("node", "bootstrap")
        for path in (ROOT / package).iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    }
    assert set() == rooms - floors


def test_the_list_of_first_peers_is_a_list_of_multiaddrs() -> None:
    peers = json.loads((ROOT / "bootstrap/peers.json").read_text())
    assert [] == [peer for peer in peers if not re.fullmatch(r"/\S+/p2p/\w+", peer)]


SCRIPTS = ("run", "test", "demo", "bench", "lock", "peers", "simulate")


@pytest.mark.parametrize("script", [*(f"scripts/{name}" for name in SCRIPTS), ".ci/run"])
def test_scripts_start(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert path.read_text().startswith("#!/usr/bin/env bash\n")


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    dead = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert [] == dead
