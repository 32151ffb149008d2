"""What npm is to install for the journeys: each package pinned by its hash, and no registry named."""

import json
from pathlib import Path

PINS = Path(__file__).parents[1] / "peers"


def test_each_package_is_pinned_and_none_has_an_address() -> None:
    wanted = json.loads((PINS / "package.json").read_text())
    lock = json.loads((PINS / "package-lock.json").read_text())
    root, packages = lock["packages"].pop(""), lock["packages"]
    assert wanted["dependencies"] == root["dependencies"]
    assert wanted["dependencies"] == {
        name: packages[f"node_modules/{name}"]["version"] for name in wanted["dependencies"]
    }
    assert {"sha512"} == {package["integrity"].partition("-")[0] for package in packages.values()}
    assert "://" not in (PINS / "package-lock.json").read_text()
