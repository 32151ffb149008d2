"""What the store of contents shows of itself: how full it is, where contents lie, how the daemon does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from node.files.backends import Backends
from node.files.daemon import Daemon
from node.files.errors import KuboAway
from node.files.moving import Moved
from node.files.room import Room
from node.runtime.rooms import Check, Warning_
from node.runtime.settings import in_words

_ROOMIER: Final = "delete letters with large attachments, or raise files.quota"


def status(room: Room, daemon: Daemon) -> Mapping[str, object]:
    """Bytes used; a warning while the quota is nearly used up, and while the daemon did not do what it was
    last asked for.
    """
    warnings = []
    if room.nearly_full:
        share = room.used * 100 // max(room.quota, 1)
        text = f"attachments take {share} % of what they may ({in_words(room.quota)})"
        warnings.append(Warning_("files-quota", text, _ROOMIER))
    if (trouble := daemon.trouble) is not None:
        warnings.append(Warning_(trouble.code, trouble.text, trouble.remedy))
    return {"used": room.used, "quota": room.quota, "warnings": warnings}


async def checks(room: Room, backends: Backends, elsewhere: Moved) -> Sequence[Check]:
    """How full it is; whether the daemon answers, if it has or gets anything; whether all lies where new
    contents go.
    """
    text, full = (
        f"attachments take {room.used // 1_000_000} of {room.quota // 1_000_000} MB",
        room.nearly_full,
    )
    found = [Check("files", "warn" if full else "ok", text, _ROOMIER if full else "")]
    if backends.new.daemon or elsewhere.files:
        found.append(await _look_at(backends.daemon))
    if elsewhere.files:
        text = f"{elsewhere.files} attachments do not lie where files.backend has new ones"
        found.append(Check("files", "warn", text, "mailio files move"))
    return found


async def _look_at(daemon: Daemon) -> Check:
    try:
        found = await daemon.health()
    except KuboAway as fault:
        return Check("ipfs", "fail", fault.text, fault.remedy)
    text = found.warning or f"the IPFS daemon at {daemon.api} answers ({found.version})"
    return Check("ipfs", "warn" if found.warning else "ok", text)
