"""What waits for a session's task: bounded, in order, and given back to the socket's pace."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.smtp.incoming import TOO_LONG, Endless, Gone, Incoming
from node.smtp.limits import MAX_BUFFERED, MAX_LINE, MAX_SKIPPED


class Tap(asyncio.ReadTransport):
    """The side of a socket that is asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def pause_reading(self) -> None:
        self.asked.append("pause")

    def resume_reading(self) -> None:
        self.asked.append("resume")


def run(story: Callable[[Incoming, Tap], Awaitable[None]]) -> None:
    async def main() -> None:
        await story(Incoming(asyncio.get_running_loop()), Tap())

    asyncio.run(main())


def test_too_much_is_left_in_the_socket() -> None:
    async def story(incoming: Incoming, tap: Tap) -> None:
        incoming.feed(b"NOOP\r\n" + b"x" * MAX_BUFFERED, tap)
        assert ["pause"] == tap.asked
        assert b"NOOP\r\n" == await incoming.line()
        assert ["pause", "resume"] == tap.asked
        incoming.feed(b"x", tap)
        incoming.feed(b"x", tap)
        assert ["pause", "resume", "pause"] == tap.asked
        assert MAX_BUFFERED + 2 == len(await incoming.chunk())
        assert ["pause", "resume"] * 2 == tap.asked

    run(story)


def test_what_is_dropped_makes_room() -> None:
    async def story(incoming: Incoming, tap: Tap) -> None:
        incoming.feed(b"x" * (MAX_BUFFERED + 1), tap)
        incoming.drop()
        assert ["pause", "resume"] == tap.asked
        incoming.end()
        with pytest.raises(Gone):
            await incoming.chunk()

    run(story)


def test_a_long_line_is_skipped_and_an_endless_one_is_a_fault() -> None:
    async def story(incoming: Incoming, tap: Tap) -> None:
        incoming.feed(b"x" * MAX_LINE + b"\r\nNOOP\r\n", tap)
        assert TOO_LONG == await incoming.line()
        assert b"NOOP\r\n" == await incoming.line()
        incoming.feed(b"x" * (MAX_SKIPPED + 1), tap)
        with pytest.raises(Endless):
            await incoming.line()

    run(story)


@given(st.lists(st.binary(max_size=30)))
def test_lines_are_the_same_in_any_pieces(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)

    async def story(incoming: Incoming, tap: Tap) -> None:
        async def read() -> bytes:
            lines = []
            try:
                while True:
                    lines.append(await incoming.line())
            except Gone:
                return b"|".join(lines)

        reading = asyncio.create_task(read())
        for piece in pieces:
            incoming.feed(piece, tap)
            await asyncio.sleep(0)
        incoming.end()
        assert b"|".join(line + b"\n" for line in whole.split(b"\n")[:-1]) == await reading

    run(story)
