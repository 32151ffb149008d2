"""A server that lies, floods, stalls and breaks off: one fault each, in bounded memory."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from node.mailauth import Judgement, Proof
from node.pickup import Pace, ProviderError, try_out, wire
from node.pickup.book import MAX_LATE
from node.pickup.link import dial
from node.pickup.room import NOT_ADDED
from node.pickup.session import Refusal, Session
from node.pickup.trouble import Trouble
from node.runtime.settings_mail import MailServer
from node.smtp.reply import OK, Reply
from tests.kit.fetched import NOTHING, QUICK, Standing, Taker, a_room, letter, mailbox

MB = 1_000_000
Said = Callable[[trio.SocketStream, bytes, bytes], Awaitable[bool]]
"""What a server does at a command (its tag and the rest), whether it has done something of its own."""

GREETING = b"* OK [CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN] hello\r\n"


class Server:
    """An honest one with letters 1 to `letters`, but for what `lie` does at a command that begins so."""

    def __init__(self, lies: dict[bytes, Said], greeting: bytes = GREETING) -> None:
        self.lies = lies
        self.greeting = greeting
        self.letters = 3

    async def serve(self, stream: trio.SocketStream) -> None:
        try:
            async with stream:
                await stream.send_all(self.greeting)
                buffer = b""
                while more := await stream.receive_some(4096):
                    buffer += more
                    while b"\r\n" in buffer:
                        line, _, buffer = buffer.partition(b"\r\n")
                        await self._command(stream, line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _command(self, stream: trio.SocketStream, line: bytes) -> None:
        tag, _, rest = line.partition(b" ")
        for start, lie in self.lies.items():
            if rest.startswith(start) and await lie(stream, tag, rest):
                return
        if rest.startswith(b"AUTHENTICATE"):
            await stream.send_all(b"+ \r\n")
            while not (await stream.receive_some(4096)).endswith(b"\n"):
                pass
        if rest.startswith(b"IDLE"):
            await stream.send_all(b"+ idling\r\n")
        elif line != b"DONE":
            await stream.send_all(self._answer(rest) + tag + b" OK done\r\n")

    def _answer(self, rest: bytes) -> bytes:
        every = range(1, self.letters + 1)
        if rest.startswith(b"CAPABILITY"):
            return b"* CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN\r\n"
        if rest.startswith((b"EXAMINE", b"SELECT")):
            numbers = b"* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT %d] x\r\n" % (self.letters + 1)
            return b"* %d EXISTS\r\n" % self.letters + numbers
        if rest.startswith(b"UID SEARCH"):
            return b"* SEARCH %s\r\n" % b" ".join(b"%d" % n for n in every)
        if rest.startswith(b"UID FETCH"):
            form = b"* %d FETCH (UID %d RFC822.SIZE %d BODY[]<0> {%d}\r\n%s)\r\n"
            return b"".join(form % (n, n, len(letter(n)), len(letter(n)), letter(n)) for n in every)
        return b""


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, server.serve, 0)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def says(*parts: bytes) -> Said:
    """This, with TAG replaced."""

    async def say(stream: trio.SocketStream, tag: bytes, rest: bytes) -> bool:
        for part in parts:
            await stream.send_all(part.replace(b"TAG", tag))
        return True

    return say


def ends(*parts: bytes) -> Said:
    """This, and the connection ends."""

    async def end(stream: trio.SocketStream, tag: bytes, rest: bytes) -> bool:
        await says(*parts)(stream, tag, rest)
        await stream.aclose()
        return True

    return end


def floods(start: bytes, part: bytes) -> Said:
    """This, and more of it for ever."""

    async def flood(stream: trio.SocketStream, tag: bytes, rest: bytes) -> bool:
        await stream.send_all(start)
        while True:
            await stream.send_all(part)

    return flood


TLS = b"* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\nTAG OK x\r\n"

LIES = {
    "a line without an end": ({b"UID SEARCH": floods(b"* SEARCH", b" 1" * 10_000)}, "too-much"),
    "an answer without an end": ({b"EXAMINE": floods(b"", b"* OK " + b"x" * 60_000 + b"\r\n")}, "too-much"),
    "2 GB announced": ({b"UID FETCH": says(b"* 1 FETCH (UID 1 BODY[]<0> {2147483648}\r\n")}, "too-much"),
    "digits without an end": ({b"UID FETCH": says(b"* 1 FETCH (X {" + b"9" * 5_000 + b"}\r\n")}, "garbage"),
    "garbage": ({b"UID FETCH": says(b"\x00\xff what?\r\n")}, "garbage"),
    "brackets": ({b"UID FETCH": says(b"* 1 FETCH " + b"(" * 60_000 + b"\r\nTAG OK x\r\n")}, "garbage"),
    "no number": ({b"UID FETCH": says(b"* 1 FETCH (UID x RFC822.SIZE y)\r\nTAG OK x\r\n")}, "garbage"),
    "another's answer": ({b"UID SEARCH": says(b"A999 OK x\r\n")}, "garbage"),
    "no numbering": ({b"EXAMINE": says(b"* 3 EXISTS\r\nTAG OK x\r\n")}, "garbage"),
    "a bye": ({b"UID SEARCH": ends(b"* BYE too many connections\r\n")}, "lost"),
    "an end in a letter": ({b"UID FETCH": ends(b"* 1 FETCH (UID 1 BODY[]<0> {9999}\r\nhalf")}, "lost"),
    "silence": ({b"EXAMINE": says()}, "silent"),
    "a wrong password": ({b"AUTHENTICATE": says(b"TAG NO [AUTHENTICATIONFAILED] no\r\n")}, "password"),
    "an echo": ({b"AUTHENTICATE": says(b"TAG NO not correct horse\r\n")}, "password"),
    "a farewell at login": ({b"AUTHENTICATE": ends(b"* BYE too many of you\r\n")}, "lost"),
    "an end at login": ({b"AUTHENTICATE": ends()}, "lost"),
    "an echo in place of an answer": ({b"AUTHENTICATE": says(b"? correct horse\r\n")}, "garbage"),
    "many letters at last": ({b"UID FETCH": says(b"* EXISTS many\r\nTAG OK x\r\n")}, "garbage"),
    "no to all": ({b"UID SEARCH": says(b"TAG NO not today\r\n")}, "refused"),
    "no folder": ({b"EXAMINE": says(b"TAG NO no such folder\r\n")}, "no-folder"),
    "words before TLS": (
        {b"CAPABILITY": says(TLS), b"STARTTLS": says(b"TAG OK go\r\n* CAPABILITY IMAP4rev1\r\n")},
        "lost",
    ),
    "no TLS after all": ({b"CAPABILITY": says(TLS), b"STARTTLS": says(b"TAG NO not now\r\n")}, "refused"),
    "news without an end": (
        {b"IDLE": floods(b"+ idling\r\n", b"* OK " + b"x" * 60_000 + b"\r\n")},
        "too-much",
    ),
}


@pytest.mark.parametrize("name", LIES)
async def test_each_lie_is_one_fault(name: str, tmp_path: Path) -> None:
    lies, code = LIES[name]
    pace = replace(QUICK, answer=0.3 if code == "silent" else QUICK.answer)
    server = Server(lies)
    tracemalloc.start()
    async with serving(server) as port, a_room(tmp_path / "store", pace=pace) as room:
        await room.add(mailbox(port))
        status = await room.until(state="fault")
        (warning,) = room.pickup.warnings()
        assert f"provider-{code}" == warning.code
        assert "correct horse" not in f"{warning} {status}"
        assert warning.remedy
        assert tracemalloc.get_traced_memory()[1] < 10 * MB
    tracemalloc.stop()


GREETINGS = {
    "PREAUTH would talk us out of TLS and login": (b"* PREAUTH hello\r\n", "no-login"),
    "a farewell": (b"* BYE too many connections\r\n", "refused"),
    "an answer to nothing": (b"A1 OK hello\r\n", "garbage"),
    "another protocol": (b"220 mail.example ESMTP\r\n", "garbage"),
    "a line without an end": (b"* OK " + b"x" * 100_000, "too-much"),
    "nothing": (b"", "silent"),
}


@pytest.mark.parametrize("name", GREETINGS)
async def test_greetings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    greeting, code = GREETINGS[name]
    monkeypatch.setattr(wire, "OPEN_S", 0.3 if code == "silent" else wire.OPEN_S)
    async with serving(Server({}, greeting)) as port, a_room(tmp_path / "store") as room:
        await room.add(mailbox(port))
        await room.until(state="fault")
        assert [f"provider-{code}"] == [one.code for one in room.pickup.warnings()]


async def test_a_folder_that_is_gone_holds_up_no_other(tmp_path: Path) -> None:
    server = Server({b'EXAMINE "Gone"': says(b"TAG NO no such folder\r\n")})
    async with serving(server) as port, a_room(tmp_path / "store") as room:
        await room.add(mailbox(port, folders=("INBOX", "Gone")))
        await room.until(state="fault", fetched=3)
        assert ["provider-no-folder"] == [one.code for one in room.pickup.warnings()]


async def test_who_adds_a_wrong_server_is_not_told_to_wait() -> None:
    """Nothing was kept, so nothing is tried again."""
    async with serving(Server({}, b"220 mail.example ESMTP\r\n")) as port:
        with pytest.raises(ProviderError) as caught:
            await try_out(mailbox(port), "any")
    assert ("provider-garbage", NOT_ADDED) == (caught.value.code, caught.value.remedy)


async def test_a_server_that_does_not_say_the_next_number(tmp_path: Path) -> None:
    opened = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\nTAG OK x\r\n"
    async with serving(Server({b"EXAMINE": says(opened)})) as port, a_room(tmp_path / "store") as room:
        await room.add(mailbox(port))
        await room.until(state="ok", fetched=3)


async def test_numbers_that_go_back_bring_nothing_twice_and_lose_nothing(tmp_path: Path) -> None:
    """UIDNEXT falls under the same UIDVALIDITY, and letters that nobody asked for are named."""
    server = Server({b"UID SEARCH": says(b"* SEARCH 4294967295 3 1 2 2 0 77\r\nTAG OK x\r\n")})
    async with serving(server) as port, a_room(tmp_path / "store") as room:
        server.letters = 9
        await room.add(mailbox(port))
        await room.until(state="ok", fetched=3)
        server.letters = 3
        await room.add(mailbox(port))
        await room.until(state="ok", again=3)
        assert [letter(1), letter(2), letter(3)] == room.taker.taken


async def test_a_folder_numbered_anew_brings_no_old_letters_that_nobody_wanted(tmp_path: Path) -> None:
    """Only those are looked for that came since mail is fetched there."""
    asked: list[bytes] = []

    async def note(stream: trio.SocketStream, tag: bytes, rest: bytes) -> bool:
        asked.append(rest)
        return False

    server = Server({b"UID SEARCH": note})
    clock = Standing(1_795_000_000_000)  # 18 November 2026
    async with serving(server) as port, a_room(tmp_path / "store", clock=clock) as room:
        server.letters = 9
        await room.add(mailbox(port, since=None))
        await room.until(state="ok")
        clock.moment += 300 * 86_400_000
        server.letters = 3
        await room.add(mailbox(port, since=None))
        await room.until(state="ok", fetched=3)
        assert [b"UID SEARCH UID 1:3 SINCE 17-Nov-2026"] == asked


async def test_nothing_is_fetched_while_nothing_can_be_taken_in(tmp_path: Path) -> None:
    """It waits in order behind what found no room; one that can't be taken at all holds up nobody."""
    full = [Reply(452, "4.3.1", "full"), Reply(452, "4.3.1", "full")]
    never = Reply(550, "5.6.0", "not in a form that can be read")

    def answer(raw: bytes) -> Reply:
        return never if raw == letter(1) else full.pop() if full else OK

    taker = Taker(answer)
    async with serving(Server({})) as port, a_room(tmp_path / "store", taker) as room:
        await room.add(mailbox(port))
        await room.until(state="full")
        assert ["provider-full", "provider-left"] == [one.code for one in room.pickup.warnings()]
        await room.until(state="ok", fetched=2, left=1)
        assert [letter(2), letter(3)] == taker.taken
        checks = await room.pickup.checks()
        assert ["warn", "ok"] == [one.state for one in checks]


async def test_letters_that_are_never_taken_hold_up_nobody(tmp_path: Path) -> None:
    """Of so many that come too often the first stay there, which is said; the next ones are taken."""
    server = Server({})
    server.letters = MAX_LATE + 3
    taker = Taker(lambda raw: OK if raw == letter(server.letters) else Reply(450, "4.7.1", "too often"))
    async with serving(server) as port, a_room(tmp_path / "store", taker, pace=Pace()) as room:
        await room.add(mailbox(port))
        await room.until(state="ok", fetched=1, late=MAX_LATE, left=2)
        assert ["provider-left"] == [one.code for one in room.pickup.warnings()]


async def test_a_letter_waits_a_while_for_the_dns(tmp_path: Path) -> None:
    """Whose signature can't be looked up now comes back; after an hour it is taken as it is."""
    clock = Standing(1_795_000_000_000)

    async def judge(raw: bytes, authserv_ids: frozenset[str]) -> Judgement:
        await trio.lowlevel.checkpoint()
        later = ("friend.example",) if raw == letter(2) else ()
        return replace(NOTHING, proof=Proof((), later, ()))

    room_of = a_room(tmp_path / "store", judge=judge, clock=clock)
    async with serving(Server({})) as port, room_of as room:
        await room.add(mailbox(port))
        await room.until(state="ok", fetched=2, late=1)
        assert [letter(1), letter(3)] == room.taker.taken
        clock.moment += 3_600_000
        await room.add(mailbox(port))
        await room.until(state="ok", fetched=1, late=0)
        assert [letter(1), letter(3), letter(2)] == room.taker.taken


async def test_a_fault_of_ours_holds_up_one_letter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What it says is not logged, for it may be what the letter says."""
    broken = [letter(2)]

    def answer(raw: bytes) -> Reply:
        if raw in broken:
            broken.clear()
            raise ValueError("my secret letter")
        return OK

    async with serving(Server({})) as port, a_room(tmp_path / "store", Taker(answer)) as room:
        await room.add(mailbox(port))
        await room.until(state="ok", fetched=2, late=1)
        assert "failed here: ValueError" in caplog.text
        await room.add(mailbox(port))
        await room.until(state="ok", fetched=1, late=0)
    assert "secret" not in caplog.text


async def test_a_fault_of_ours_ends_nothing(tmp_path: Path) -> None:
    faults = [ValueError("unforeseen")]

    async def dial_badly(host: str, port: int) -> socket.socket:
        if faults:
            raise faults.pop()
        return await dial(host, port)

    async with serving(Server({})) as port, a_room(tmp_path / "store", dial=dial_badly) as room:
        await room.add(mailbox(port))
        await room.until(state="fault")
        assert ["provider-fault"] == [one.code for one in room.pickup.warnings()]
        await room.until(state="ok", fetched=3)


async def test_who_was_refused_is_asked_seldom(tmp_path: Path) -> None:
    """A wrong password is not tried at once again: accounts are locked by that."""
    attempts: list[bytes] = []
    second = trio.Event()

    async def refuse(stream: trio.SocketStream, tag: bytes, rest: bytes) -> bool:
        attempts.append(rest)
        if len(attempts) == 2:
            second.set()
        return await says(b"TAG NO no\r\n")(stream, tag, rest)

    async with (
        serving(Server({b"AUTHENTICATE": refuse})) as port,
        a_room(tmp_path / "store", pace=Pace()) as room,
    ):
        await room.add(mailbox(port))
        await room.until(state="fault")
        await room.add(mailbox(port), "another")
        with trio.fail_after(20):
            await second.wait()
        await room.until(state="fault")
        await wait_all_tasks_blocked(0.1)
        assert 2 == len(attempts)


PIECES = [
    *(b"* ", b"1 ", b"FETCH ", b"(", b")", b"UID ", b"BODY[]<0> ", b"{3}\r\n", b"abc", b'"', b"\\", b"\r\n"),
    *(b"SEARCH ", b"OK ", b"NO ", b"[", b"]", b"EXISTS", b"+ ", b"NIL", b"\x00", b"\xff", b"TAG ", b"BYE "),
    *(b"RFC822.SIZE ", b"99999999999999999999", b"-1 ", b"* 1 FETCH (UID 1 ", b")\r\nTAG OK x\r\n"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
@settings(max_examples=60, deadline=None)
def test_whatever_is_said_is_an_answer_or_a_fault(parts: list[bytes]) -> None:
    """Nothing but Trouble and Refusal is ever raised, at any question."""
    asks: tuple[Callable[[Session], object], ...] = (
        lambda session: session.select("INBOX", change=False),
        lambda session: session.search(1, 9, 0),
        lambda session: session.sizes([1]),
        lambda session: session.letters([1], 1_000),
        lambda session: session.idle() or session.stir(),
    )
    for ask in asks:
        ours, theirs = socket.socketpair()
        talker = threading.Thread(target=says_at_last, args=(theirs, b"".join(parts)))
        talker.start()
        with suppress(Trouble, Refusal):
            session = Session.open(ours, MailServer("localhost", 143, False, "x"), "y", 5.0)
            try:
                ask(session)
            finally:
                session.socket.close()
        talker.join()


def says_at_last(sock: socket.socket, said: bytes) -> None:
    """Lets anybody in, and then says this and ends."""
    with sock, sock.makefile("rwb") as stream:
        stream.write(b"* OK hello\r\n")
        stream.flush()
        for line in stream:
            tag, _, rest = line.strip().partition(b" ")
            if rest == b"CAPABILITY":
                stream.write(b"* CAPABILITY IMAP4rev1 IDLE UIDPLUS\r\n" + tag + b" OK x\r\n")
            elif rest.startswith(b"LOGIN"):
                stream.write(tag + b" OK x\r\n")
            else:
                stream.write(said.replace(b"TAG", tag) + b"\r\n")
                stream.flush()
                return
            stream.flush()
