"""Being a host, fitted to what a node stands on: a public one serves everyone, an owner's whom it wants."""

from __future__ import annotations

from collections.abc import Callable

from node.app.ground import Ground
from node.consent import Consent
from node.hosting import Hosting, Keeper, Limits
from node.identity import load_peer_key
from node.network import Network
from protocol.handshake import State
from protocol.identity import IdentityRecord
from protocol.keys import SigningKey


def fit_hosting(
    ground: Ground,
    network: Network,
    *,
    public: bool = False,
    friend: Callable[[bytes], bool] = lambda key: False,
    files: Keeper | None = None,
) -> Hosting | None:
    """None where this node is to be no host. `public`: a bootstrap node, which is one for all unless
    `hosts.offer` was set. `friend` as for Hosting; without `files` no files are kept for others.
    """
    config, limits = ground.config, ground.config.limits
    policy = "all" if public and "hosts.offer" not in config.sources else config.hosts.offer
    if policy == "no":
        return None
    return Hosting(
        store=ground.store,
        network=network,
        peer_key=SigningKey.from_seed(load_peer_key(ground.home, ground.key)),
        clock=ground.clock,
        doubtful=ground.doubtful,
        threads=ground.searcher,
        policy=policy,
        limits=Limits(limits.host_accounts, limits.host_account_size, limits.host_size),
        price=limits.price,
        friend=friend,
        files=files,
    )


def friends_of(consent: Consent, now: Callable[[], int]) -> Callable[[bytes], bool]:
    """Whether a delivery key is that of somebody whom our owner has accepted."""

    def friend(key: bytes) -> bool:
        return consent.judge_key(key, 0, service=False, now=now()).state is State.ACCEPTED

    return friend


def record_at(hosting: Hosting | None, network: Network, address: str) -> bytes | None:
    """What we answer about another owner: the newer of the record that lies here with an account and the one
    that our part of the DHT holds.
    """
    held = network.held_record(address)
    kept = hosting.record_of(address) if hosting is not None else None
    if held is None or kept is None:
        return held or kept
    newer = IdentityRecord.parse(kept, None).replaces(IdentityRecord.parse(held, None))
    return kept if newer else held
