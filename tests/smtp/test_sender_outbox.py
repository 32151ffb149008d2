"""The outbox and the carrier of ordinary mail together: what the author is told, and that nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from node.letters import Reduced
from node.outbox import Delivery, Letter, Outbox, Outgoing
from node.runtime.bridge import open_bridge
from node.runtime.clock import SystemClock
from node.runtime.events import Events
from node.storage import Batch, Store, open_store
from tests.kit.mailing import AUTHOR, RAW, Way, local, people
from tests.kit.sink import Behaviour, open_sink
from tests.kit.stores import KEY, some_files


@dataclass
class Post:
    """An outbox with one way out."""

    store: Store
    outbox: Outbox
    events: Events
    notices: list[tuple[str, str, str]] = field(default_factory=list)

    async def send(self, *to: str) -> Letter:
        batch = Batch()
        outgoing = Outgoing(
            "letter", "Hello", SystemClock().now(), tuple(people(*to)), {"smtp": Reduced(RAW)}, sender=AUTHOR
        )
        letter = self.outbox.submit(batch, outgoing)
        await self.store.write(batch)
        self.outbox.started(letter)
        return letter

    async def until(self, letter: Letter, *states: str) -> list[tuple[str, str]]:
        """Each recipient's code and detail, once they stand so."""
        async with self.events.subscribe() as changes:
            while True:
                found = self.outbox.get(letter.id)
                assert found is not None
                tried = all(one.state != "queued" or one.code for one in found.deliveries)
                if tried and [one.state for one in found.deliveries] == list(states):
                    return [(one.code, one.detail) for one in found.deliveries]
                await changes.receive()


@asynccontextmanager
async def opened(path: Path, port: int) -> AsyncIterator[Post]:
    async with open_store(path, KEY, inline=True) as store, open_bridge() as bridge:
        carrier = Way.through(bridge, local(port)).carrier
        events = Events()

        def notice(batch: Batch, letter: Letter, delivery: Delivery, body: bytes | None, now: int) -> None:
            assert body == RAW
            post.notices.append((delivery.recipient.to, delivery.code, delivery.detail))

        outbox = Outbox(store, SystemClock(), events, {"smtp": carrier}, notice, some_files(store, path))
        post = Post(store, outbox, events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(post.outbox.run)
            yield post
            nursery.cancel_scope.cancel()
        await carrier.aclose()


async def test_a_refusal_comes_back_with_the_servers_words(tmp_path: Path) -> None:
    refuse = {"no@example.net": "550 5.1.1 \x1b[31mNo such user " + "x" * 400}
    async with open_sink(Behaviour(refuse=refuse)) as sink, opened(tmp_path, sink.port) as post:
        letter = await post.send("no@example.net", "bob@example.net")
        (refused, taken) = await post.until(letter, "refused", "delivered")
        assert taken == ("2.0.0", "127.0.0.1 says: 250 2.0.0 Ok: queued")
        assert refused[1].startswith("127.0.0.1 says: 550 5.1.1 [31mNo such user xxx")
        assert len(refused[1]) <= 200
        assert post.notices == [("no@example.net", *refused)]
        assert [one.recipients for one in sink.taken] == [("bob@example.net",)]


async def test_what_was_put_off_goes_when_it_is_asked_for(tmp_path: Path) -> None:
    behaviour = Behaviour(refuse={"bob@example.net": "450 4.2.1 Asleep"})
    async with open_sink(behaviour) as sink, opened(tmp_path, sink.port) as post:
        letter = await post.send("eve@example.net", "bob@example.net")
        assert (await post.until(letter, "delivered", "queued"))[1][0] == "4.2.1"
        behaviour.refuse.clear()
        post.outbox.retry(letter.id)
        await post.until(letter, "delivered", "delivered")
        assert [one.recipients for one in sink.taken] == [("eve@example.net",), ("bob@example.net",)]


async def test_a_letter_can_be_cancelled_while_the_server_thinks(tmp_path: Path) -> None:
    async with open_sink(Behaviour(seconds=3600)) as sink, opened(tmp_path, sink.port) as post:
        letter = await post.send("bob@example.net")
        await sink.until_thinking()
        await post.outbox.cancel(letter.id)
        await post.until(letter, "cancelled")
        assert sink.taken == []


async def test_what_was_on_its_way_when_the_node_stopped_goes_at_the_next_start(tmp_path: Path) -> None:
    async with open_sink(Behaviour(seconds=3600)) as sink:
        async with opened(tmp_path, sink.port) as post:
            letter = await post.send("bob@example.net")
            await sink.until_thinking()
        sink.behaviour.seconds = 0
        async with opened(tmp_path, sink.port) as post:
            await post.until(letter, "delivered")
        assert [one.raw for one in sink.taken] == [RAW]


async def test_a_mail_server_that_is_away_holds_all_letters_up_and_is_probed_by_one(tmp_path: Path) -> None:
    async with open_sink() as sink:
        port = sink.port
    async with opened(tmp_path, port) as post:
        letters = [await post.send("bob@example.net") for _ in range(20)]
        (found,) = await post.until(letters[0], "queued")
        assert found[0] == "4.4.1"
        assert "can't be reached" in found[1]
        others = [post.outbox.get(one.id) for one in letters[1:]]
        assert [one.deliveries[0].code for one in others if one is not None] == [""] * 19
