"""Which hosts to use where the owner leaves it to the node: three, in different address blocks (§6).
Values in, values out.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from node.hosts.book import HostRow, Stand
from node.runtime.clock import DAY_MS

if TYPE_CHECKING:
    from node.network import PeerAddress

WANTED: Final = 3
"""Hosts: two may fail at once."""


REPLACED_MS: Final = 3 * DAY_MS
"""How long a host may be away before another one is looked for in its place."""

FAILURES: Final = 3
"""Tries that must have failed since we woke up, before a host counts as away: we may be the one who was."""

REMEMBERED_MS: Final = 30 * DAY_MS
"""How long a host that is not used any more is still asked for letters: none waits for longer there."""


def is_lost(host: HostRow, failures: int, now: int) -> bool:
    """Whether a host of ours has been away for too long to count; where no account is open yet, at once."""
    if failures >= FAILURES and host.stand is Stand.OPENING:
        return True
    return failures >= FAILURES and now - max(host.reached, host.since) > REPLACED_MS


def pick(
    candidates: Iterable["PeerAddress"],
    hosts: Sequence[HostRow],
    lost: Iterable[bytes],
    blocks: Callable[[Iterable[str]], set[str]],
    now: int,
) -> list["PeerAddress"]:
    """Those to open accounts at: as many as are wanting, none in a block where we have one."""
    lost = set(lost)
    kept = [host for host in hosts if host.used and host.peer_id not in lost]
    taken = set().union(*(blocks(host.addrs) for host in kept))
    known = {host.peer_id for host in hosts if not _asked_again(host, now)}
    found: list[PeerAddress] = []
    for peer in candidates:
        if len(kept) + len(found) >= WANTED:
            break
        its = blocks(peer.addrs)
        if peer.peer_id not in known and not its & taken:
            found.append(peer)
            known.add(peer.peer_id)
            taken |= its
    return found


def _asked_again(host: HostRow, now: int) -> bool:
    return host.stand in (Stand.REFUSED, Stand.SHUNNED) and host.until <= now


def blocks_of(addrs: Iterable[str]) -> set[str]:
    """The address blocks of these multiaddrs; loopback is everybody's own and counts for none."""
    from node.network.addresses import Scope, block_of, scope_of

    return {block_of(addr.split("/")[2]) for addr in addrs if scope_of(addr) is not Scope.LOOPBACK}
