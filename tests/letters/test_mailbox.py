from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from node.letters import Due, FolderError, Mailbox, NoSuchLetter, Reduced, Seen
from node.runtime.events import Events
from node.runtime.worker import Worker, open_worker
from node.storage import Batch, Store, open_store
from node.storage.schema import ENTRY, LETTER, PLACE, THREAD, WAITING
from protocol.status import FAILED, OK
from protocol.stream import ContentRef, Encoding, Place
from protocol.unixfs import raw_cid, reference_of
from tests.kit.letters import ALICE, BOB, NOW, arrival, whole, written
from tests.kit.stores import KEY, Trouble, some_files

DAY = 86_400_000


def counted(mailbox: Mailbox) -> dict[str, tuple[int, int]]:
    """Folders that hold something: name → (total, unread)."""
    folders = mailbox.folders()
    return {
        one["name"]: (one["totalMessages"], one["unreadMessages"]) for one in folders if one["totalMessages"]
    }


async def test_a_letter_is_there_as_it_came(mailbox: Mailbox, take: Any) -> None:
    raw = written("Grüße", text="Zeile\n")
    (letter,) = await take(arrival(raw=raw))
    assert raw == await whole(mailbox, letter)
    listed = {
        "id": letter.hex(),
        "from": f"{ALICE}@mailio.alt",
        "to": [f"Bob <{BOB}@mailio.alt>"],
        "subject": "Grüße",
        "created": NOW - 5_000,
        "arrived": NOW,
        "folder": "inbox",
        "read": False,
        "size": len(raw),
        "attachments": 0,
        "author": ALICE,
        "messageId": "m",
        "thid": "thread",
        "via": "",
    }
    assert [listed] == mailbox.list()
    assert listed | {"text": "Zeile\n", "html": "", "attachments": []} == await mailbox.read(letter)


async def test_bytes_come_back_exactly_whatever_they_are(mailbox: Mailbox, take: Any) -> None:
    raw = b"Subject: x\n\r\r\n\x00\xff bare\rlines \n\n"
    (letter,) = await take(arrival(raw=raw))
    assert raw == await whole(mailbox, letter)


async def test_a_page_is_newest_first_and_goes_on_before_an_id(mailbox: Mailbox, take: Any) -> None:
    letters = await take(*(arrival(n) for n in range(7)))
    first = [one["id"] for one in mailbox.list("inbox", 3)]
    assert first == [letter.hex() for letter in reversed(letters[4:])]
    second = [one["id"] for one in mailbox.list("INBOX", 10, bytes.fromhex(first[-1]))]
    assert second == [letter.hex() for letter in reversed(letters[:4])]


async def test_what_was_taken_is_remembered_even_when_deleted(
    mailbox: Mailbox, store: Store, take: Any
) -> None:
    one = arrival(receipt=b"signed")
    (letter,) = await take(one)
    for _ in range(2):
        batch = Batch()
        mailbox.delete(batch, letter)
        await store.write(batch)
    assert one.envelope_id is not None
    assert mailbox.seen(ALICE, one.letter_id) == Seen(OK, b"signed")
    assert mailbox.seen_envelope(one.envelope_id) == Seen(OK, b"signed")
    assert mailbox.seen(BOB, one.letter_id) is None
    with pytest.raises(NoSuchLetter):
        await whole(mailbox, letter)


async def test_another_envelope_of_a_known_letter_keeps_its_receipt(
    mailbox: Mailbox, store: Store, take: Any
) -> None:
    one = arrival(receipt=b"signed")
    await take(one)
    batch = Batch()
    mailbox.remember(batch, ALICE, one.letter_id, b"e" * 32, OK, None, one.expires)
    await store.write(batch)
    assert mailbox.seen_envelope(b"e" * 32) == Seen(OK, b"signed")


async def test_only_what_was_taken_is_remembered(mailbox: Mailbox) -> None:
    with pytest.raises(ValueError, match="taken"):
        mailbox.remember(Batch(), ALICE, b"l" * 32, None, FAILED, None, NOW)


async def test_memory_ends_when_it_may(mailbox: Mailbox, store: Store, take: Any) -> None:
    early, late = arrival(1, expires=NOW + 10), arrival(2, expires=NOW + 20)
    await take(early, late)
    for now, gone in ((NOW + 9, 0), (NOW + 10, 1), (NOW + 10, 0)):
        batch = Batch()
        assert mailbox.expire(batch, now) == gone
        await store.write(batch)
    assert mailbox.seen(ALICE, early.letter_id) is None
    assert early.envelope_id is not None
    assert mailbox.seen_envelope(early.envelope_id) is None
    assert mailbox.seen(ALICE, late.letter_id) == Seen(OK, None)
    assert len(mailbox.list()) == 2


async def test_memory_lasts_as_long_as_the_last_word_on_it(mailbox: Mailbox, store: Store) -> None:
    batch = Batch()
    mailbox.remember(batch, ALICE, b"l" * 32, b"e" * 32, OK, None, NOW + 10)
    mailbox.remember(batch, ALICE, b"l" * 32, b"f" * 32, OK, None, NOW + 20)
    await store.write(batch)
    batch = Batch()
    assert mailbox.expire(batch, NOW + 10) == 1
    await store.write(batch)
    assert mailbox.seen_envelope(b"e" * 32) is None
    assert mailbox.seen_envelope(b"f" * 32) == Seen(OK, None)
    assert mailbox.seen(ALICE, b"l" * 32) == Seen(OK, None)


async def test_reading_marks_counts_and_is_remembered_of_the_sender(
    mailbox: Mailbox, store: Store, take: Any
) -> None:
    letters = await take(*(arrival(n) for n in range(3)))
    for letter, read in ((letters[0], True), (letters[1], True), (letters[1], False), (letters[0], True)):
        batch = Batch()
        mailbox.mark_read(batch, letter, read=read)
        await store.write(batch)
    assert counted(mailbox) == {"inbox": (3, 2)}
    assert mailbox.habit(ALICE) == (2, 3)
    assert mailbox.habit(BOB) == (0, 0)


async def test_only_the_last_thirty_letters_make_a_habit(mailbox: Mailbox, store: Store, take: Any) -> None:
    letters = await take(*(arrival(n) for n in range(31)))
    batch = Batch()
    for letter in letters[:3]:
        mailbox.mark_read(batch, letter)
    await store.write(batch)
    assert mailbox.habit(ALICE) == (2, 30)


async def test_several_acts_in_one_batch_count_right(mailbox: Mailbox, store: Store) -> None:
    batch = Batch()
    letters = [mailbox.take_in(batch, arrival(n)) for n in range(4)]
    mailbox.mark_read(batch, letters[0])
    mailbox.move(batch, letters[1], "archive")
    mailbox.delete(batch, letters[2])
    mailbox.delete(batch, letters[2])
    await store.write(batch)
    assert counted(mailbox) == {"inbox": (2, 1), "archive": (1, 1)}
    assert mailbox.habit(ALICE) == (1, 4)


async def test_writers_at_the_same_time_count_right(mailbox: Mailbox, store: Store, take: Any) -> None:
    async with trio.open_nursery() as nursery:
        for n in range(40):
            nursery.start_soon(take, arrival(n))
    assert counted(mailbox) == {"inbox": (40, 40)}
    assert len(mailbox.list(limit=100)) == 40


async def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, worker: Worker, events: Events) -> None:
    trouble = Trouble()
    async with open_store(tmp_path / "database", KEY, opener=trouble) as store:
        mailbox = Mailbox(store, worker, events, KEY.index, files=some_files(store, tmp_path), scope=b"")
        trouble.full = True
        batch, one = Batch(), arrival()
        mailbox.take_in(batch, one)
        with pytest.raises(Exception, match="disk is full"):
            await store.write(batch)
        trouble.full = False
        assert mailbox.seen(ALICE, one.letter_id) is None
        batch = Batch()
        mailbox.take_in(batch, one)
        await store.write(batch)
        assert counted(mailbox) == {"inbox": (1, 1)}


async def test_an_erased_letter_leaves_no_record_but_that_it_was_taken(
    mailbox: Mailbox, store: Store, take: Any
) -> None:
    (letter,) = await take(arrival())
    batch = Batch()
    mailbox.mark_read(batch, letter)
    mailbox.delete(batch, letter)
    mailbox.delete(batch, letter)
    await store.write(batch)
    assert counted(mailbox) == {}
    assert all(one["unreadMessages"] == 0 for one in mailbox.folders())
    for space in (ENTRY, LETTER, PLACE, THREAD, WAITING):
        assert store.scan(space, limit=1) == []


async def test_delete_goes_to_trash_and_from_there_for_good(
    mailbox: Mailbox, store: Store, take: Any
) -> None:
    (letter,) = await take(arrival())
    erased = []
    for _ in range(2):
        batch = Batch()
        erased.append(mailbox.delete(batch, letter))
        await store.write(batch)
    assert erased == [False, True]
    assert counted(mailbox) == {}
    assert mailbox.thread("thread") == []
    with pytest.raises(NoSuchLetter):
        mailbox.get(letter)


async def test_a_thread_is_in_the_order_of_arrival(mailbox: Mailbox, store: Store, take: Any) -> None:
    await take(arrival(1), arrival(2, thid="other"))
    batch = Batch()
    raw = written("Re")
    sent = mailbox.file_sent(batch, Reduced(raw), arrival(raw=raw).summary, NOW + 9_000, "thread")
    await store.write(batch)
    assert [one.subject for one in mailbox.thread("thread")] == ["Letter 1", "Re"]
    assert counted(mailbox) == {"inbox": (2, 2), "sent": (1, 0)}
    assert await whole(mailbox, sent) == raw


async def test_announcing_tells_listeners_what_a_list_shows(
    mailbox: Mailbox, events: Events, take: Any
) -> None:
    async with events.subscribe() as heard:
        (letter,) = await take(arrival())
        mailbox.announce(letter)
        event = await heard.receive()
    assert (event.name, [event.data]) == ("letter", mailbox.list())


async def test_references_show_as_missing(mailbox: Mailbox, take: Any) -> None:
    place = Place(0, Encoding.IDENTITY)
    reference = reference_of(raw_cid(b"sealed"))
    ref = ContentRef("../a.pdf", "application/pdf", 9, b"h" * 32, reference, place, key=b"k" * 32)
    message = Reduced(written(), (ref,), (b"n" * 16,), b"h" * 32)
    (letter,) = await take(arrival(message=message, fetch=True))
    shown = (await mailbox.read(letter))["attachments"]
    assert shown == [
        {
            "n": 1,
            "filename": "a.pdf",
            "mediaType": "application/pdf",
            "size": 9,
            "state": "fetching",
            "reference": ref.reference,
            "fetched": 0,
            "detail": "",
            "remedy": "",
            "claimedType": "application/pdf",
            "kind": None,
            "warnings": [],
            "thumbnail": False,
        }
    ]
    assert mailbox.list()[0]["attachments"] == 1


async def test_ids_may_be_shortened_while_that_is_clear(mailbox: Mailbox, take: Any) -> None:
    first, second = await take(arrival(0), arrival(100))
    assert mailbox.find_id(first.hex()) == first
    assert mailbox.find_id(first.hex()[:9].upper()) == first
    assert mailbox.find_id(second.hex()[:23]) == second
    for text, code in (
        (first.hex()[:7], "letter-id"),
        ("not hexadecimal", "letter-id"),
        ("f" * 24, "no-letter"),
        (f"{(NOW // 2**24):06x}", "letter-id"),
    ):
        with pytest.raises(NoSuchLetter) as fault:
            mailbox.find_id(text)
        assert fault.value.code == code
    third, fourth = await take(arrival(0), arrival(0))
    with pytest.raises(NoSuchLetter) as fault:
        mailbox.find_id(third.hex()[:8])
    assert fault.value.code == "letter-ambiguous"
    assert mailbox.find_id(fourth.hex()) == fourth


# ---- folders


async def test_folders_of_ones_own(mailbox: Mailbox, store: Store, take: Any) -> None:
    (letter,) = await take(arrival())
    for change in (
        lambda batch: mailbox.add_folder(batch, " Straße "),
        lambda batch: mailbox.move(batch, letter, "STRASSE"),
        lambda batch: mailbox.rename_folder(batch, "straße", "Weg"),
        lambda batch: mailbox.add_folder(batch, "Straße"),
    ):
        batch = Batch()
        change(batch)
        await store.write(batch)
    assert [one["name"] for one in mailbox.folders()][9:] == ["Straße", "Weg"]
    assert counted(mailbox) == {"Weg": (1, 1)}
    assert mailbox.list("weg")[0]["folder"] == "Weg"
    assert mailbox.list(mailbox.folders()[-1]["id"]) == mailbox.list("weg")


async def test_a_removed_folders_letters_go_to_archive(
    mailbox: Mailbox, store: Store, take: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.letters.mailbox.MOVED_TOGETHER", 2)
    letters = await take(*(arrival(n) for n in range(4)))
    batch = Batch()
    mailbox.add_folder(batch, "Old")
    await store.write(batch)
    batch = Batch()
    for letter in letters:
        mailbox.move(batch, letter, "Old")
    await store.write(batch)
    assert await mailbox.remove_folder("old") == 4
    assert counted(mailbox) == {"archive": (4, 4)}
    assert len(mailbox.folders()) == 9


@pytest.mark.parametrize(
    "name",
    ["", "  ", "x" * 101, "a\nb", "a\x1b[m", "Inbox", "TRASH", "ｉｎｂｏｘ", "refused", "a\u202eb", "a  b"],
)
async def test_names_that_no_folder_may_have(mailbox: Mailbox, name: str) -> None:
    with pytest.raises(FolderError):
        mailbox.add_folder(Batch(), name)


async def test_system_folders_stay_and_names_are_unique(mailbox: Mailbox, store: Store, take: Any) -> None:
    (letter,) = await take(arrival())
    batch = Batch()
    mailbox.add_folder(batch, "Work")
    await store.write(batch)
    for wrong in (
        lambda: mailbox.add_folder(Batch(), "WORK"),
        lambda: mailbox.rename_folder(Batch(), "inbox", "x"),
        lambda: mailbox.rename_folder(Batch(), "nowhere", "x"),
        lambda: mailbox.move(Batch(), letter, "nowhere"),
        lambda: mailbox.move(Batch(), letter, "handshake"),
        lambda: mailbox.list("nowhere"),
    ):
        with pytest.raises(FolderError):
            wrong()
    with pytest.raises(FolderError):
        await mailbox.remove_folder("inbox")
    batch = Batch()
    mailbox.rename_folder(batch, "Work", "work")
    await store.write(batch)


# ---- the room for strangers' letters


async def test_accepting_moves_what_waits_and_says_what_to_receipt(
    mailbox: Mailbox, store: Store, take: Any
) -> None:
    first = arrival(1, folder="handshake", payload_hash=b"p" * 32)
    second = arrival(2, folder="handshake", payload_hash=b"q" * 32, receipt=b"r")
    await take(first, second, arrival(3, author=BOB, folder="handshake"))
    assert (mailbox.waiting(ALICE), mailbox.waiting(BOB)) == (2, 1)
    due = [Due(first.letter_id, b"p" * 32, None), Due(second.letter_id, b"q" * 32, b"r")]
    assert due == mailbox.receipts_due(ALICE)
    batch = Batch()
    assert mailbox.release(batch, ALICE) == 2
    assert mailbox.release(batch, ALICE) == 0
    await store.write(batch)
    assert counted(mailbox) == {"inbox": (2, 2), "handshake": (1, 1)}
    assert (mailbox.waiting(ALICE), mailbox.waiting(BOB)) == (0, 1)


async def test_the_noisiest_senders_oldest_go_first(mailbox: Mailbox, take: Any) -> None:
    quiet = await take(*(arrival(n, author=BOB, folder="handshake") for n in range(3)))
    noisy = await take(*(arrival(n + 10, folder="handshake") for n in range(17)))
    assert mailbox.room() == 1.0
    (last,) = await take(arrival(50, author=BOB, folder="handshake"))
    there = {one["id"] for one in mailbox.list("handshake", 100)}
    assert there == {letter.hex() for letter in [*quiet, *noisy[2:], last]}  # down to 95 % of 20
    assert (mailbox.waiting(ALICE), mailbox.waiting(BOB)) == (15, 4)


async def test_bytes_make_noise_too(mailbox: Mailbox, take: Any) -> None:
    large = written("large", text="x" * 60_000)
    (loud,) = await take(arrival(1, raw=large, folder="handshake"))
    small = await take(*(arrival(n, author=BOB, folder="handshake") for n in range(2, 6)))
    await take(arrival(9, author=BOB, raw=large, folder="handshake"))
    there = {one["id"] for one in mailbox.list("handshake", 100)}
    assert loud.hex() not in there
    assert {letter.hex() for letter in small} <= there
    assert mailbox.room() < 1


async def test_what_waited_sixty_days_goes(mailbox: Mailbox, store: Store, take: Any) -> None:
    await take(arrival(0, folder="handshake"), arrival(1, folder="handshake"), arrival(0))
    for now, gone in ((NOW + 60 * DAY, 0), (NOW + 60 * DAY + 1, 1), (NOW + 60 * DAY + 1, 0)):
        batch = Batch()
        assert mailbox.trim(batch, now) == gone
        await store.write(batch)
    assert counted(mailbox) == {"inbox": (1, 1), "handshake": (1, 1)}


async def test_the_owner_is_told_when_the_room_is_nearly_full(mailbox: Mailbox, take: Any) -> None:
    assert mailbox.status() == {"unread": 0, "warnings": []}
    await take(*(arrival(n, folder="handshake") for n in range(18)))
    status = mailbox.status()
    assert status["unread"] == 18
    assert [warning.code for warning in status["warnings"]] == ["handshake-full"]  # type: ignore[attr-defined]  # an object
    assert [check.state for check in await mailbox.checks()] == ["warn"]


# ---- counters against a model

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["take", "stranger", "read", "unread", "move", "delete", "release", "trim"]),
        st.integers(0, 9),
        st.sampled_from(["inbox", "archive", "trash", "Mine"]),
    ),
    min_size=8,
    max_size=40,
)


@settings(max_examples=25)
@given(acts=ACTS, together=st.booleans())
def test_counters_are_what_the_folders_hold(
    acts: list[tuple[str, int, str]], together: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def main() -> None:
        path = tmp_path_factory.mktemp("model") / "database"
        async with open_store(path, KEY, inline=True) as store, open_worker() as worker:
            files = some_files(store, path)
            mailbox = Mailbox(store, worker, Events(), KEY.index, files=files, scope=b"", waiting_letters=4)
            batch = Batch()
            mailbox.add_folder(batch, "Mine")
            await store.write(batch)
            letters: list[bytes] = []
            for number, (act, which, folder) in enumerate(acts):
                batch = Batch()
                for repeat in range(2 if together else 1):
                    _act(mailbox, batch, letters, act, which + repeat, folder, number * 2 + repeat)
                await store.write(batch, sync=False)
                _check(mailbox, letters)

    trio.run(main)


def _act(
    mailbox: Mailbox, batch: Batch, letters: list[bytes], act: str, which: int, folder: str, number: int
) -> None:
    if act in ("take", "stranger"):
        into = "inbox" if act == "take" else "handshake"
        letters.append(mailbox.take_in(batch, arrival(number, author=[ALICE, BOB][which % 2], folder=into)))
    elif act == "release":
        mailbox.release(batch, [ALICE, BOB][which % 2])
    elif act == "trim":
        mailbox.trim(batch, NOW + 60 * DAY + which * 4_000)
    elif letters:
        letter = letters[which % len(letters)]
        try:
            if act == "move":
                mailbox.move(batch, letter, folder)
            elif act == "delete":
                mailbox.delete(batch, letter)
            else:
                mailbox.mark_read(batch, letter, read=act == "read")
        except NoSuchLetter:
            letters.remove(letter)


def _check(mailbox: Mailbox, letters: list[bytes]) -> None:
    held = {one["name"]: mailbox.list(one["name"], 1_000) for one in mailbox.folders()}
    real = {name: (len(page), sum(not one["read"] for one in page)) for name, page in held.items() if page}
    assert real == counted(mailbox)
    there = {one["id"] for page in held.values() for one in page}
    assert there <= {letter.hex() for letter in letters}
    assert all(len(mailbox.reduced(bytes.fromhex(one)).message) > 0 for one in there)
    assert len(held["handshake"]) == mailbox.waiting(ALICE) + mailbox.waiting(BOB)
