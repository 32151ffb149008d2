import trio
from trio.testing import wait_all_tasks_blocked

from node.runtime.events import Event, Events, Subscription


async def test_every_listener_hears_everything_in_order() -> None:
    events = Events()
    async with events.subscribe() as one, events.subscribe() as two:
        events.publish("letter", {"id": 1})
        events.publish("outbox", {"id": 2})
        expected = [Event("letter", {"id": 1}), Event("outbox", {"id": 2})]
        assert [await one.receive(), await one.receive()] == expected
        assert [await two.receive(), await two.receive()] == expected


async def test_a_waiting_listener_wakes() -> None:
    events = Events()
    heard: list[Event] = []

    async def listen(subscription: Subscription) -> None:
        async for event in subscription:
            heard.append(event)
            return

    async with events.subscribe() as subscription, trio.open_nursery() as nursery:
        nursery.start_soon(listen, subscription)
        await wait_all_tasks_blocked()
        events.publish("peers", {})
    assert heard == [Event("peers", {})]


async def test_a_slow_listener_loses_the_oldest_and_is_told() -> None:
    events = Events(queue_length=2)
    async with events.subscribe() as slow:
        for number in range(5):
            events.publish("letter", {"id": number})
        assert await slow.receive() == Event("lost", {"count": 3})
        assert [(await slow.receive()).data["id"], (await slow.receive()).data["id"]] == [3, 4]


async def test_who_left_is_forgotten() -> None:
    events = Events()
    async with events.subscribe() as gone:
        pass
    events.publish("letter", {})
    with trio.move_on_after(0) as scope:
        await gone.receive()
    assert scope.cancelled_caught
