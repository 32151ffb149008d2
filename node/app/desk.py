"""What the API is given of an owner's rooms; and those rooms on a closed store, for one command: no network,
no tasks. What such a command has written waits for `run`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import base58

from node.api import Desk, Examine, Tell
from node.app.domains import records_of
from node.app.ground import open_ground
from node.app.hosts import whereabouts
from node.app.owner import Owner, open_owner
from node.app.status import closed_warnings, owner_warnings, warnings_of, with_files
from node.runtime.config import Config
from node.runtime.home import Home

if TYPE_CHECKING:
    from node.network import Network


def desk_of(
    owner: Owner,
    peer_id: str,
    status: Callable[[], Mapping[str, object]],
    examine: Examine,
    network: Network | None = None,
) -> Desk:
    """The owner's rooms as the API takes them; to `status` is added how the settings have ordinary e-mail.
    What only a node that runs can do is not in it.
    """
    ground = owner.ground
    return Desk(
        home=ground.home,
        peer_id=peer_id,
        network=network,
        status=lambda: with_mail(status(), owner),
        clock=ground.clock,
        events=ground.events,
        store=ground.store,
        identity=owner.identity,
        names=owner.names,
        mailbox=owner.mailbox,
        outbox=owner.outbox,
        submission=owner.submission,
        handshakes=owner.handshakes,
        users=owner.users,
        passwords=owner.passwords,
        files=owner.files,
        uploads=owner.uploads,
        hosts=owner.hosts,
        domains=owner.domains,
        mailboxes=owner.mailboxes,
        records_of=partial(records_of, owner, network),
        whereabouts=whereabouts(owner.files, owner.hosts),
        examine=examine,
    )


def with_mail(told: Mapping[str, object], owner: Owner) -> dict[str, object]:
    """A status with what is set of ordinary e-mail beside what the open bridge said of itself."""
    config, smarthost = owner.ground.config, owner.sending.smarthost()
    sending: dict[str, object] = {
        "state": "unknown" if smarthost else "none",
        "host": smarthost.place if smarthost else "",
        "text": "",
        "password": "none" if not (smarthost and smarthost.user) else _kept(owner.sending.password()),
    }
    said = told.get("smtp")
    said = dict(said) if isinstance(said, Mapping) else {}
    said_sending = said.get("smarthost")
    if isinstance(said_sending, Mapping):
        sending |= said_sending
    mail = {"addresses": owner.emails.texts(), "domains": sorted(owner.domains.names())}
    direct = said.get("direct") or ({"state": "unknown", "faults": []} if config.smtp.direct else None)
    providers = owner.mailboxes.list()
    return dict(told) | {
        "smtp": mail | said | {"smarthost": sending, "direct": direct},
        "providers": providers,
    }


def _kept(password: str) -> str:
    return "kept" if password else "missing"


@asynccontextmanager
async def open_desk(home: Home, config: Config, passphrase: str | None) -> AsyncIterator[Desk]:
    """Raises NodeError: no identity, wrong passphrase, held by another process."""
    async with (
        open_ground(home, config, passphrase, inline=True) as ground,
        open_owner(ground, None) as owner,
    ):

        def status() -> dict[str, object]:
            disk = ground.store.disk()
            warnings = [*warnings_of(ground), *owner_warnings(owner), *closed_warnings(owner)]
            found = with_files({"used": disk.used, "free": disk.free}, owner)
            return {"disk": found, "warnings": warnings}

        peer_id = base58.b58encode(owner.peer_id).decode()

        async def examine(tell: Tell) -> None:
            from node.app.doctor import examine_closed  # 0.2 s that other commands have no use for

            await examine_closed(ground, owner, tell)

        yield desk_of(owner, peer_id, status, examine)
