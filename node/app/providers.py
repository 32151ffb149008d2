"""The owner's mailboxes at providers, fitted to the rest: what is fetched goes the way of all ordinary mail,
and what is sent goes out through them where no smarthost is set.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import trio

from node.app.addresses import OwnAddresses
from node.pickup import Provider, ProviderError, Providers
from node.pickup.provider import UNKNOWN
from node.runtime.settings_mail import MailServer, Smarthost, parse_smarthost
from node.storage import Batch, Store

if TYPE_CHECKING:
    from node.app.ground import Ground
    from node.app.owner import Owner
    from node.mailauth import Names
    from node.pickup import Found, Pickup
    from node.smtp import MailIntake
    from node.smtp.reply import Reply
    from node.users import Passwords


class Sending:
    """The smarthost: that of the settings, else that of the first provider which has one."""

    def __init__(self, smarthost: str | None, passwords: Passwords, book: Providers) -> None:
        self._set = parse_smarthost(smarthost) if smarthost else None
        self._passwords = passwords
        self._book = book

    def smarthost(self) -> Smarthost | None:
        """None where nothing can be sent through one."""
        if self._set is not None:
            return self._set
        provider = self._provider()
        return provider.smarthost if provider else None

    def password(self) -> str:
        """For it, "" where none is kept."""
        if self._set is not None:
            return self._passwords.smarthost()
        provider = self._provider()
        return self._book.password(provider.address) if provider else ""

    def remedy(self) -> str:
        """What sets it anew, "" where the settings do."""
        provider = None if self._set is not None else self._provider()
        return (
            f"give your provider and its password again: mailio provider add {provider.address}"
            if provider
            else ""
        )

    def own(self, sender: str) -> tuple[Smarthost, str] | None:
        """The server of the provider at which the sender has a mailbox, and its password, where no smarthost
        is set: no other server would take letters of that name.
        """
        provider = None if self._set is not None else self._book.find(sender.lower())
        smarthost = provider.smarthost if provider else None
        return (smarthost, self._book.password(sender.lower())) if smarthost else None

    def _provider(self) -> Provider | None:
        return next((one for one in self._book.all() if one.smtp), None)


@dataclass(slots=True)
class Mailboxes:
    """What commands do with providers; `pickup` is None where nothing is fetched, on a closed store. `wake`
    is called when mail may go out by another way.
    """

    book: Providers
    store: Store
    addresses: OwnAddresses
    wake: Callable[[], None]
    pickup: Pickup | None = None

    def list(self) -> list[dict[str, Any]]:
        """All of them, and how they stand."""
        if self.pickup is not None:
            return self.pickup.status()
        return [one.document() | UNKNOWN for one in self.book.all()]

    async def add(self, provider: Provider, password: str, *, check: bool) -> dict[str, Any]:
        """Add one, or change it, once its servers let us in (unless `check` is False). Where it is begun is
        where it stands now. Raises NodeError.
        """
        from node.pickup import try_out

        folders = await try_out(provider, password) if check else {}
        if check and provider.smarthost is not None:
            await try_sending(provider, provider.smarthost, password)
        batch = Batch()
        before = self.book.find(provider.address)
        kept = self.book.add(batch, provider, password)
        for name, folder in folders.items():
            known = self.book.folder(provider, name) if before else None
            wider = before is not None and provider.since is not None and provider.since != before.since
            if known is None or wider:
                self.book.put(
                    batch, kept, name, replace(known, next=1, fence=folder.fence) if known else folder
                )
        await self.store.write(batch)
        self._changed()
        return next(one for one in self.list() if one["address"] == provider.address)

    async def remove(self, address: str) -> str:
        """Raises ProviderError."""
        batch = Batch()
        self.book.remove(batch, address)
        await self.store.write(batch)
        self._changed()
        await self.book.forget(address)
        return address

    def _changed(self) -> None:
        self.addresses.update(one.address for one in self.book.all())
        self.wake()
        if self.pickup is not None:
            self.pickup.refresh()


def fit_pickup(ground: Ground, owner: Owner, intake: MailIntake, names: Names) -> Pickup:
    """The room that fetches; run it. `names` looks up the keys of signatures."""
    from node.mailauth import MailAuth
    from node.pickup import Judge, Pickup
    from node.smtp.reply import Client, Envelope

    async def take(found: Found) -> Reply:
        client = Client(found.host, "", tls=True)
        return await intake.pick_up(
            found.raw, Envelope(found.sender, (found.address,), client), found.judgement
        )

    pickup = Pickup(
        owner.mailboxes.book,
        take,
        Judge(MailAuth(names, ground.porter, ground.clock)),
        ground.clock,
        ground.events,
        max_size=ground.config.limits.mail_size,
    )
    owner.mailboxes.pickup = pickup
    return pickup


async def try_sending(provider: Provider, smarthost: MailServer, password: str) -> None:
    """Log in at the server that is to take our mail, and send nothing. Raises ProviderError."""
    from node.runtime.bridge import open_bridge
    from node.smtp import Lines
    from node.smtp.answer import SAYINGS, WayFault
    from node.smtp.dialing import dial_name
    from node.smtp.server import Server, Tls

    rule = Tls.AT_ONCE if smarthost.implicit_tls else Tls.MAY if smarthost.is_local else Tls.MUST
    server = Server(smarthost.host, smarthost.port, rule, smarthost.user, password)
    tls = await trio.to_thread.run_sync(ssl.create_default_context)
    try:
        async with open_bridge() as bridge:
            lines = Lines(bridge, "[127.0.0.1]")
            try:
                sock = await dial_name(server.host, server.port)
                await lines.open(sock, server, tls, None)
            finally:
                await lines.aclose()
    except WayFault as fault:
        remedy = provider.note or SAYINGS[fault.way][1]
        text = f"mail can't be sent there: {fault.words(server.host, server.port)}"
        raise ProviderError(f"provider-smtp-{fault.way.value}", text, remedy) from fault
