"""What npm is to install for the journeys: each package pinned by its hash, and no registry named."""

import json
from pathlib import Path

import pytest

PINS = sorted((Path(__file__).parents[1] / "peers").rglob("package.json"))


@pytest.mark.parametrize("pins", [file.parent for file in PINS], ids=lambda path: path.name)
def test_each_package_is_pinned_and_none_has_an_address(pins: Path) -> None:
    wanted = json.loads((pins / "package.json").read_text())
    lock = json.loads((pins / "package-lock.json").read_text())
    root, packages = lock["packages"].pop(""), lock["packages"]
    assert wanted["dependencies"] == root["dependencies"]
    assert wanted["dependencies"] == {
        name: packages[f"node_modules/{name}"]["version"] for name in wanted["dependencies"]
    }
    assert {"sha512"} == {package["integrity"].partition("-")[0] for package in packages.values()}
    assert "://" not in (pins / "package-lock.json").read_text()
