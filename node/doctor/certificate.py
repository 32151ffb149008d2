"""The certificate that is shown: whether it can be used, how long it lasts, and whether it fits the names by
which others reach this node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from node.doctor.ground import Ask
from node.runtime.certificate import ServerCertificate
from node.runtime.clock import Clock
from node.runtime.rooms import Check, State, many

GUIDE: Final = "docs/operating.md, A certificate"

DAY_MS: Final = 86_400_000

SET: Final = "mailio config set tls.certificate FILE, and tls.key"


def certificate(
    shown: Callable[[], ServerCertificate | None], hosts: Callable[[], Sequence[str]], clock: Clock
) -> Ask:
    """`hosts` are the names that it should have. `shown` raises NodeError for one that can't be used."""

    async def look() -> Sequence[Check]:
        found = shown()
        if found is None:
            text = "none: mail servers and programs talk to this node unencrypted"
            return [Check("certificate", "skip", text, SET)]
        return [_lasting(found, clock.now()), _fitting(found, hosts()), *_secret(found)]

    return look


def _lasting(found: ServerCertificate, now: int) -> Check:
    if wrong := [one for one in found.warnings() if one.code != "tls-key-open"]:
        state: State = "fail" if found.shown.not_after <= now else "warn"
        remedy = wrong[0].remedy if found.fault else f"renew it ({GUIDE}): it is read anew within a minute"
        return Check("certificate", state, "; ".join(one.text for one in wrong), remedy)
    days = (found.shown.not_after - now) // DAY_MS
    return Check(
        "certificate", "ok", f"good for another {many(days, 'day')}; read anew when its files change"
    )


def _fitting(found: ServerCertificate, hosts: Sequence[str]) -> Check:
    names = ", ".join(found.shown.names) or "no name"
    missing = [host for host in hosts if not found.shown.fits(host)]
    if missing:
        text = f"it names {names}, and not {', '.join(missing)}"
        return Check("certificate-names", "warn", text, f"get one with these names too ({GUIDE})")
    if not hosts:
        return Check(
            "certificate-names",
            "skip",
            f"it names {names}; no domain to compare with",
            "mailio domain add NAME",
        )
    return Check("certificate-names", "ok", f"it names {names}")


def _secret(found: ServerCertificate) -> list[Check]:
    if not found.key_is_open():
        return []
    path = found.files[1]
    return [Check("tls-key", "warn", f"everyone on this machine can read {path}", f"chmod o-rwx {path}")]
