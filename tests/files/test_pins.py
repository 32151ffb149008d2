from pathlib import Path

import pytest

from node.files import FOR_EVER, Pin, PinKind, Put
from node.files.contents import PINS_STEP
from node.storage import Batch
from tests.kit.blocks import NOW, Place, Times, a_place, keep, out, peer

DAY = 86_400_000
DRAFT = Pin(PinKind.DRAFT, b"a draft's id")
KINDS = [keep(), out(), DRAFT]


async def gone(place: Place, put: Put) -> bool:
    """Whether a round takes it."""
    freed = await place.files.collect()
    place.consistent()
    assert freed in (0, put.content.shape.total)
    assert place.files.whole(put.content.name) == (freed == 0)
    return freed > 0


@pytest.mark.parametrize("pin", KINDS)
async def test_it_stays_until_its_time_and_goes_then(place: Place, times: Times, pin: Pin) -> None:
    put = await place.put(b"x", pin, until=NOW + DAY)
    times.ms = NOW + DAY - 1
    assert not await gone(place, put)
    times.ms = NOW + DAY
    assert await gone(place, put)
    assert len(place.all_pins()) == 0


async def test_for_ever(place: Place, times: Times) -> None:
    put = await place.put(b"x", keep(), until=FOR_EVER)
    times.ms = NOW + 10_000 * 365 * DAY
    assert not await gone(place, put)


async def test_a_second_pin_of_a_holder_replaces_the_first(place: Place, times: Times) -> None:
    put = await place.put(b"x", out(), until=NOW + 2 * DAY)
    await place.pin(put.content.name, out(), NOW + DAY)
    assert len(place.all_pins()) == 1
    times.ms = NOW + DAY
    assert await gone(place, put)
    put = await place.put(b"x", out(), until=times.ms + DAY)
    await place.pin(put.content.name, out(), times.ms + 2 * DAY)
    times.ms += DAY
    assert not await gone(place, put)


async def test_nothing_runs_out_while_the_clock_is_not_believed(place: Place, times: Times) -> None:
    put = await place.put(b"x", out(), until=NOW + DAY)
    never = await place.put(b"y", keep(), until=FOR_EVER)
    times.ms, times.doubtful = NOW + 400 * DAY, True
    assert not await gone(place, put)
    assert await place.files.blocks.read(put.content.cid) is not None
    await place.unpin(keep())
    assert await gone(place, never)
    times.doubtful = False
    assert await gone(place, put)


async def test_it_goes_when_the_last_holder_lets_go(place: Place) -> None:
    pins = [*KINDS, out(b"carol"), keep(b"another"), out(b"bob", b"another")]
    put = await place.put(b"x", *pins)
    for count, pin in enumerate(pins):
        assert len(place.all_pins()) == len(pins) - count
        assert not await gone(place, put)
        assert await place.unpin(pin) == [put.content.name]
    assert await gone(place, put)


async def test_everything_of_a_person(place: Place) -> None:
    puts = [await place.put(b"x", out(b"bob", bytes([n])), out(b"bobby", bytes([n]))) for n in range(3)]
    names = {put.content.name for put in puts}
    everything = Pin(PinKind.OUT, b"", b"bob")
    assert set(place.files.held(everything)) == names
    assert set(await place.unpin(everything)) == names
    assert place.files.held(everything) == []
    assert set(place.files.held(Pin(PinKind.OUT, b"", b"bobby"))) == names


async def test_some_of_a_letter(place: Place) -> None:
    first, second, third = [(await place.put(bytes([n]), keep())).content.name for n in range(3)]
    assert await place.unpin(keep(), [second, b"never heard of"]) == [second]
    assert set(place.files.held(keep())) == {first, third}
    assert await place.unpin(keep(), []) == []
    await place.files.collect()
    assert set(place.rows()) == {first, third}


async def test_thousands_of_pins_are_released_step_by_step(place: Place) -> None:
    name = (await place.put(b"x", keep())).content.name
    count = 3 * PINS_STEP
    for pins in (count, count + 1):
        batch = Batch()
        for number in range(pins):
            place.files.pin(batch, name, out(b"bob", number.to_bytes(12, "big")), FOR_EVER)
        await place.store.write(batch)
        assert await place.files.release(Pin(PinKind.OUT, b"", b"bob")) == pins
        assert len(place.all_pins()) == 1
    assert await place.files.release(Pin(PinKind.OUT, b"", b"bob")) == 0


async def test_pins_that_ran_out_go_with_their_content(place: Place, times: Times) -> None:
    put = await place.put(b"x", *[out(bytes([n])) for n in range(9)], until=NOW + DAY)
    times.ms += DAY
    assert await gone(place, put)
    assert len(place.all_pins()) == 0
    assert place.files.held(out(bytes([3]))) == []


async def test_the_same_cid_of_two_authors_are_two_contents(place: Place, sender: Place) -> None:
    """Deleting what one sent leaves what the other sent; neither finds the other's."""
    put = await sender.put(b"x" * 5_000, out())
    alice, mallory = sender_scopes = [place.wanted(put, b"alice"), place.wanted(put, b"mallory")]
    assert alice.name != mallory.name
    await place.want(alice, keep(b"first"))
    await place.files.fetch(alice, peer(sender.files))
    await place.want(mallory, keep(b"other"))
    assert [place.files.whole(wanted.name) for wanted in sender_scopes] == [True, False]
    await place.files.fetch(mallory, peer(sender.files))
    await place.unpin(keep(b"first"))
    await place.files.collect()
    assert [place.files.whole(wanted.name) for wanted in sender_scopes] == [False, True]
    assert await place.read(mallory) == b"x" * 5_000
    place.consistent()


async def test_pins_are_there_after_it_was_opened_again(tmp_path: Path, times: Times) -> None:
    async with a_place(tmp_path, times) as place:
        put = await place.put(b"x", *KINDS)
    async with a_place(tmp_path, times) as place:
        assert [list(place.files.held(pin)) for pin in KINDS] == [[put.content.name]] * 3
        assert not await gone(place, put)
