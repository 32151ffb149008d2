"""How our hosts stand, for people: rows and warnings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import base58

from node.hosts.book import HostRow, Stand
from node.runtime.rooms import Warning_, many

ROLES = ("letters", "records")
"""What a host of ours does for us, as our IdentityRecord says it."""

ENOUGH = 2
"""Hosts at which something is before it counts as safe."""


class Where(StrEnum):
    """Where files are that recipients are to fetch. HERE: with us alone, and no host of ours takes them;
    TO_HOSTS: some are not yet whole at any host of ours; AT_HOSTS: each is.
    """

    HERE = "here"
    TO_HOSTS = "to-hosts"
    AT_HOSTS = "at-hosts"


@dataclass(frozen=True, slots=True)
class Standing:
    """One host as it stands: `behind` items and `revocations` that are not there as they are to be, `files`
    of which it has not everything yet.
    """

    host: HostRow
    state: str
    since: int
    behind: int
    revocations: int
    files: int = 0

    def row(self) -> dict[str, object]:
        """As `status` and `host list` have it."""
        host = self.host
        return {
            "peerId": text_of(host.peer_id),
            "addrs": [f"{addr}/p2p/{text_of(host.peer_id)}" for addr in host.addrs],
            "roles": list(ROLES) if host.stand is Stand.OPEN else [],
            "state": self.state,
            "since": self.since,
            "reached": host.reached,
            "behind": self.behind,
            "revocations": self.revocations,
            "files": self.files,
            "origin": host.origin.value,
            "listed": host.listed,
            "text": host.text if host.stand is Stand.REFUSED else "",
        }


def warnings_of(standings: Sequence[Standing], *, wanted: bool) -> Iterable[Warning_]:
    """What the owner should know; `wanted`: the owner has not said that there are to be none."""
    used = [one for one in standings if one.host.stand is Stand.OPEN]
    if not used:
        if wanted:
            yield _none(asked=any(one.host.used for one in standings))
        return
    current = sum(one.state == "current" for one in used)
    if current < ENOUGH:
        which = "none of your hosts is" if not current else "only one of your hosts is"
        text = f"{which} up to date; what changes now is not safe before two are"
        yield Warning_("hosts-few", text, "see: mailio host list; add one with: mailio host add ADDRESS")
    late = [one for one in used if one.revocations]
    if late:
        count = max(one.revocations for one in late)
        text = (
            f"{many(count, 'revocation')} not yet at {many(len(late), 'host')}: there a revoked sender can "
            "still leave letters, which this node then refuses"
        )
        remedy = "they go as soon as the host answers; one that is gone for good: mailio host remove PEER"
        yield Warning_("hosts-revocations", text, remedy)


def _none(*, asked: bool) -> Warning_:
    if asked:
        text = "no host takes letters for you yet while this node is off; one is being asked"
        return Warning_("hosts-none", text, "mailio host list")
    text = "no host takes letters for you while this node is off: it has met none yet that lets it in"
    return Warning_("hosts-none", text, "mailio host add ADDRESS")


def text_of(peer_id: bytes) -> str:
    """The usual text of a peer id."""
    return base58.b58encode(peer_id).decode()
