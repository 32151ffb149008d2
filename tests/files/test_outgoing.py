"""What hosts of ours keep beside us: each content once that somebody may fetch, and word of every change."""

from contextlib import aclosing

from node.files import FOR_EVER, Pin, PinKind, Put
from node.storage import Batch
from protocol.account import KeptFile
from tests.kit.blocks import NOW, Place, Times, keep, made, out, peer

DAY = 86_400_000


async def outgoing(place: Place) -> list[KeptFile]:
    async with aclosing(place.files.outgoing()) as found:
        return sorted([one async for one in found], key=lambda one: one.until)


def said(put: Put, until: int) -> KeptFile:
    return KeptFile(put.content.cid, put.content.size, until)


async def test_each_once_until_the_last_may_have_it(place: Place, times: Times) -> None:
    one = await place.put(b"one", out(b"bob"), out(b"carol"), out(b"bob", b"another one"), until=NOW + DAY)
    await place.pin(one.content.name, out(b"carol"), NOW + 3 * DAY)
    other = await place.put(b"other", out(b"bob"), until=FOR_EVER)
    short = await place.put(b"short", out(b"bob"), until=NOW + 1)
    await place.put(b"ours", keep())
    await place.put(b"a draft's", Pin(PinKind.DRAFT, b"a draft's id"))
    assert [said(short, NOW + 1), said(one, NOW + 3 * DAY), said(other, FOR_EVER)] == await outgoing(place)
    times.ms = NOW + DAY
    assert [said(one, NOW + 3 * DAY), said(other, FOR_EVER)] == await outgoing(place)
    times.doubtful = True
    assert len(await outgoing(place)) == 3
    times.ms, times.doubtful = NOW, False
    await place.unpin(out(b"bob"))
    await place.unpin(out(b"carol"))
    assert [said(one, NOW + DAY)] == await outgoing(place)


async def test_not_what_others_have_us_keep_or_sent_us(place: Place) -> None:
    file = made(b"theirs")
    await place.files.hosted.keep(bytes(32), KeptFile(file.cid, file.shape.size, NOW + DAY), peer(file))
    wanted = made(b"sent").wanted(place)
    await place.want(wanted, out())
    await place.files.fetch(wanted, peer(made(b"sent")))
    assert [] == await outgoing(place)


async def test_more_than_a_page(place: Place) -> None:
    puts = [
        await place.put(b"%d" % n, out(b"bob", b"letter no %02d" % n), until=NOW + n) for n in range(1, 9)
    ]
    for n in range(600):
        await place.pin(puts[0].content.name, out(b"%d" % n, b"letter no 01"), NOW + 1)
    assert [said(put, NOW + n) for n, put in enumerate(puts, 1)] == await outgoing(place)


async def test_every_change_is_told_in_its_batch(place: Place) -> None:
    told: list[tuple[Batch, bytes]] = []
    place.files.on_outgoing(lambda batch, name: told.append((batch, name)))
    put = await place.put(b"x", keep())
    name = put.content.name
    batch = Batch()
    place.files.pin(batch, name, out(b"bob"), NOW + DAY)
    assert [(batch, name)] == told
    await place.store.write(batch)
    batch = Batch()
    place.files.unpin(batch, keep())
    place.files.unpin(batch, out(b"bob"))
    place.files.unpin(batch, out(b"bob", b"no such letter"))
    assert [(batch, name)] == told[1:]
    await place.store.write(batch)
    await place.pin(name, out(b"bob"))
    assert await place.files.release(out(b"bob", b"")) == 1
    assert [name, name] == [name for _, name in told[2:]]
