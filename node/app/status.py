"""How the node stands, for `status`: what no single room can say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from node.app.ground import Ground
from node.hosts.recovering import is_recovering
from node.runtime.rooms import Warning_

if TYPE_CHECKING:
    from node.app.owner import Owner
    from node.hosting import Hosting
    from node.network import Network


def status_of(ground: Ground, network: Network) -> dict[str, Any]:
    """The fields that every running node has."""
    disk = ground.store.disk()
    return {
        "reachability": network.reachability,
        "disk": {"used": disk.used, "free": disk.free},
        "warnings": [*warnings_of(ground), *network_warnings(network)],
        "network": dict(network.counters),
    }


def with_files(disk: dict[str, int], owner: Owner) -> dict[str, int]:
    """What is used of the disk, attachments included."""
    used = owner.files.status()["used"]
    assert isinstance(used, int)
    return disk | {"used": disk["used"] + used}


def warnings_of(ground: Ground) -> list[Warning_]:
    """What is wrong with the ground that the node stands on."""
    if fault := ground.store.fault:
        return [Warning_("store", fault, "make room on the disk, or look at the log")]
    return []


def network_warnings(network: Network) -> Iterable[Warning_]:
    """What the network has to say."""
    warnings = network.status()["warnings"]
    assert isinstance(warnings, list)
    return warnings


def owner_warnings(owner: Owner) -> Iterable[Warning_]:
    """What the owner's rooms have to say."""
    warnings = owner.mailbox.status()["warnings"]
    assert isinstance(warnings, list)
    files = owner.files.status()["warnings"]
    assert isinstance(files, list)
    return [*owner.identity.warnings(), *owner.names.warnings(), *owner.domains.warnings(), *warnings, *files]


def status_of_hosting(hosting: Hosting | None) -> dict[str, object] | None:
    """What is kept here for other owners; None where this node is no host."""
    if hosting is None:
        return None
    return {name: value for name, value in hosting.status().items() if name != "warnings"}


def hosting_warnings(hosting: Hosting | None) -> Iterable[Warning_]:
    """What being a host has to say."""
    warnings = hosting.status()["warnings"] if hosting is not None else []
    assert isinstance(warnings, list)
    return warnings


def closed_warnings(owner: Owner) -> Iterable[Warning_]:
    """What only a running node can do something about."""
    if is_recovering(owner.ground.store):
        text = "what your hosts keep of you is not back yet: handshakes, contacts and waiting letters"
        yield Warning_("recovering", text, "start the node: mailio run")
