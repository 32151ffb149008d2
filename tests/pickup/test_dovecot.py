"""A real Dovecot plays the provider: what lies there comes once, whatever happens, and stays as it was."""

from pathlib import Path

import pytest
import trio

from node.app.addresses import OwnAddresses
from node.app.providers import Mailboxes
from node.pickup import Provider, ProviderError, try_out
from node.pickup.book import Folder
from node.smtp.reply import OK, Reply
from tests.kit.certificates import Authority
from tests.kit.dovecot import PASSWORD, USER, a_dovecot, needs_dovecot
from tests.kit.fetched import Standing, Taker, a_room, dial_here, letter, mailbox

REFUSED = Reply(550, "5.7.1", "no")
LATER = Reply(450, "4.7.1", "later")

pytestmark = needs_dovecot


async def test_what_comes_is_told_by_idle_and_taken_once(tmp_path: Path, authority: Authority) -> None:
    """STARTTLS, and TLS at once; what lay there before it was added is not fetched unless asked for."""
    async with a_dovecot(authority.certificate("localhost")) as dovecot:
        dovecot.put(letter(0), "old")
        for scheme, port in (("imap", dovecot.port), ("imaps", dovecot.tls_port)):
            async with a_room(tmp_path / scheme) as room:
                provider = await room.add(mailbox(port, scheme=scheme, since=None))
                await room.until(state="ok")
                dovecot.put(letter(port), f"{port}")
                assert [letter(port)] == await room.taker.until(1)
                (found,) = room.taker.found
                assert (USER, "localhost", "") == (found.address, found.host, found.sender)
                await room.until(fetched=1)
                assert provider == room.book.find(USER)
        assert {""} == set(dovecot.letters().values())
        assert dovecot.letters().keys() == {"old", str(dovecot.port), str(dovecot.tls_port)}


async def test_no_letter_is_lost_or_doubled_when_the_server_dies(tmp_path: Path) -> None:
    count = 300
    async with a_dovecot() as dovecot:
        for number in range(count):
            dovecot.put(letter(number), f"{number:03}")
        async with a_room(tmp_path / "store") as room:
            await room.add(mailbox(dovecot.port))
            for some in (30, 150):
                await room.taker.until_asked(some)
                await dovecot.kill()
                await room.until(state="fault")
                await dovecot.start()
            await room.taker.until(count)
            await room.until(state="ok", fetched=count, again=0)
        assert sorted(letter(number) for number in range(count)) == sorted(room.taker.taken)
        assert count == room.taker.asked
        assert dict.fromkeys((f"{number:03}" for number in range(count)), "") == dovecot.letters()


async def test_a_letter_that_is_here_and_not_noted_is_known_again(tmp_path: Path) -> None:
    """The node ends between a letter on disk and how far it is: it comes once more, to who knows it."""
    ended = trio.CancelScope()

    def end(raw: bytes) -> Reply:
        if raw == letter(1):
            ended.cancel()
        return OK

    taker = Taker(end)
    async with a_dovecot() as dovecot:
        for number in range(3):
            dovecot.put(letter(number), f"{number}")
        with ended:
            async with a_room(tmp_path / "store", taker) as room:
                await room.add(mailbox(dovecot.port))
                await trio.sleep_forever()
        assert [letter(0), letter(1)] == taker.taken
        async with a_room(tmp_path / "store", taker) as room:
            await room.until(state="ok", fetched=2)
        assert [letter(number) for number in range(3)] == taker.taken
        assert 4 == taker.asked


async def test_a_folder_numbered_anew_brings_nothing_twice(tmp_path: Path) -> None:
    async with a_dovecot() as dovecot:
        for number in range(10):
            dovecot.put(letter(number), f"{number}")
        async with a_room(tmp_path / "store") as room:
            provider = await room.add(mailbox(dovecot.port))
            await room.until(state="ok", fetched=10)
            before = room.book.folder(provider, "INBOX")
        await dovecot.renumber(before.validity + 7 if before else 7)
        dovecot.put(letter(10), "10")
        async with a_room(tmp_path / "store") as room:
            await room.until(state="ok", fetched=1, again=10)
            after = room.book.folder(provider, "INBOX")
            assert [letter(10)] == room.taker.taken
        assert before is not None
        assert after is not None
        assert before.validity != after.validity


async def test_old_letters_can_be_asked_for_later(tmp_path: Path) -> None:
    """From now on at first; then those of before too, and what is here does not come again."""
    async with a_dovecot() as dovecot:
        dovecot.put(letter(0), "0")
        async with a_room(tmp_path / "store") as room:
            mailboxes = Mailboxes(room.book, room.store, OwnAddresses([], []), lambda: None, room.pickup)
            await mailboxes.add(mailbox(dovecot.port, since=None), PASSWORD, check=True)
            dovecot.put(letter(1), "1")
            assert [letter(1)] == await room.taker.until(1)
            await mailboxes.add(mailbox(dovecot.port), PASSWORD, check=True)
            await room.until(state="ok", fetched=1, again=1)
            assert [letter(1), letter(0)] == room.taker.taken


async def test_only_what_is_here_is_deleted_there_and_when_it_is_due(tmp_path: Path) -> None:
    """A refused letter and one too large stay; so does one that somebody else has marked."""
    clock, day = Standing(1_795_000_000_000), 86_400_000
    taker = Taker(lambda raw: REFUSED if b"letter 1\r" in raw else OK)
    async with a_dovecot() as dovecot:
        for number in range(3):
            dovecot.put(letter(number), f"{number}")
        dovecot.put(letter(3) + b"x" * 200_000, "large")
        dovecot.put(letter(4), "marked", flags="T")
        async with a_room(tmp_path / "store", taker, max_size=100_000, clock=clock) as room:
            await room.add(mailbox(dovecot.port, delete_after=day))
            await room.until(state="ok", fetched=3, refused=1, large=1, deleted=0)
            assert {"provider-large"} == {one.code for one in room.pickup.warnings()}
            assert {"0": "", "1": "", "2": "", "large": "", "marked": "T"} == dovecot.letters()
            clock.moment += day
            dovecot.put(letter(5), "new")
            await room.until(state="ok", fetched=4, deleted=3)
            assert {"1": "", "large": "", "new": ""} == dovecot.letters()


async def test_what_is_fetched_is_deleted_by_what_the_owner_says_last(tmp_path: Path) -> None:
    """Who gives letters longer, or says never for a while, keeps those fetched before too."""
    clock, day = Standing(1_795_000_000_000), 86_400_000
    async with a_dovecot() as dovecot:
        dovecot.put(letter(0), "0")
        async with a_room(tmp_path / "store", clock=clock) as room:
            await room.add(mailbox(dovecot.port, delete_after=day))
            await room.until(state="ok", fetched=1)
            for after, deleted in ((None, 0), (30 * day, 0), (5 * day, 1)):
                clock.moment += 3 * day
                await room.add(mailbox(dovecot.port, delete_after=after))
                dovecot.put(letter(clock.moment), f"{clock.moment}")
                await room.taker.until(len(room.taker.taken) + 1)
                await room.until(state="ok", deleted=deleted)
                assert ("0" in dovecot.letters()) == (deleted == 0)


async def test_a_server_without_idle_and_uidplus(tmp_path: Path) -> None:
    """It is asked now and then; what can't be deleted alone is marked only, and that is said."""
    async with a_dovecot(capability="IMAP4rev1 SASL-IR") as dovecot:
        dovecot.put(letter(0), "0")
        async with a_room(tmp_path / "store") as room:
            await room.add(mailbox(dovecot.port, delete_after=0))
            await room.until(state="ok", fetched=1, deleted=1)
            dovecot.put(letter(1), "1")
            await room.until(state="ok", fetched=2, deleted=2)
            assert ["provider-marked"] == [one.code for one in room.pickup.warnings()]
        assert {"0": "T", "1": "T"} == dovecot.letters()


async def test_other_folders_and_what_could_not_be_taken_at_once(tmp_path: Path) -> None:
    refuse = {letter(0)}
    taker = Taker(lambda raw: LATER if raw in refuse else OK)
    async with a_dovecot() as dovecot:
        dovecot.put(letter(0), "0")
        dovecot.put(letter(1), "1")
        dovecot.put(letter(2), "2", folder="L&APY-schen")
        async with a_room(tmp_path / "store", taker) as room:
            await room.add(mailbox(dovecot.port, folders=("INBOX", "Löschen")))
            await room.until(state="ok", fetched=2, late=1)
            refuse.clear()
            await room.until(state="ok", fetched=3, late=0)
        assert [letter(2), letter(1), letter(0)] == taker.taken


async def test_what_is_wrong_is_said_when_it_is_tried_out(tmp_path: Path, authority: Authority) -> None:
    shown, other = authority.certificate("localhost"), Authority(tmp_path / "other")
    async with a_dovecot(shown) as dovecot:
        right = mailbox(dovecot.port)
        assert {"INBOX": Folder(1, 1, 1)}.keys() == (await try_out(right, PASSWORD)).keys()
        assert "provider-password" == await fault(right, "wrong")
        assert "provider-certificate" == await fault(mailbox(dovecot.port, host="other.example"))
        assert "provider-tls" == await fault(mailbox(dovecot.port, scheme="imaps"))
        assert "provider-no-folder" == await fault(mailbox(dovecot.port, folders=("INBOX", "Nowhere")))
    async with a_dovecot(other.certificate("localhost")) as dovecot:
        assert "provider-certificate" == await fault(mailbox(dovecot.port))
    assert "provider-unreachable" == await fault(mailbox(dovecot.port))
    async with a_dovecot() as dovecot:
        assert "provider-no-tls" == await fault(mailbox(dovecot.port, host="off.example"))
        assert {"INBOX"} == (await try_out(mailbox(dovecot.port), PASSWORD)).keys()


async def fault(provider: Provider, password: str = PASSWORD) -> str:
    """Of trying it out, by its code."""
    with trio.fail_after(20), pytest.raises(ProviderError) as caught:
        await try_out(provider, password, dial_here)
    assert PASSWORD not in str(caught.value)
    return caught.value.code
