"""The mailbox at work: takes letters in, lists, reads, moves and deletes them. What must never be lost or
counted wrongly is one batch. Who may write to the owner is judged elsewhere.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from node.files import Files
from node.letters.arrival import Arrival, own_entry
from node.letters.delivered import delivered
from node.letters.desk import NOBODY, Desk
from node.letters.entry import Entry
from node.letters.errors import FolderError
from node.letters.foldernames import NUMBERS
from node.letters.folders import FolderBook
from node.letters.habits import HabitBook
from node.letters.messages import MessageBook
from node.letters.outstanding import UNASKED, Outstanding
from node.letters.parse import Summary, summarize
from node.letters.reader import Reader
from node.letters.rebuilding import Rebuilder
from node.letters.reduced import Reduced
from node.letters.reducing import Reducer
from node.letters.saving import Saved
from node.letters.seen import Seen, SeenBook
from node.letters.shelf import Shelf
from node.letters.showing import Shower
from node.letters.spam import SPAM_FOLDER, SpamBook
from node.letters.submitted import Adopted, Faces
from node.letters.thumbnails import Thumbnails, unasked
from node.letters.transport import SMTP
from node.letters.views import entry_json
from node.letters.waiting import MAX_BYTES, MAX_LETTERS, ROOM, Due, WaitingBook
from node.letters.writing import Writer
from node.runtime.events import Events
from node.runtime.rooms import Check
from node.runtime.worker import Worker
from node.storage import Batch, Store
from protocol.folder import ARCHIVE, INBOX, SENT, TRASH
from protocol.status import OK, Status

Json: TypeAlias = dict[str, Any]
Page: TypeAlias = list[Json]

MAX_PAGE: Final = 1_000
"""Letters in one answer; more are asked for by `before`."""

MOVED_TOGETHER: Final = 200
"""Letters moved by one batch when a folder is removed."""


class Mailbox:
    """The owner's letters. Belongs to trio's thread.

    A method with `batch` only adds to it: the caller writes it with no await in between, for counters
    are read now. Reads raise StoreUnavailable. `index` is the database key's keyed hash; the limits of
    the waiting room are the operator's; `heavy` reads what is too large to have letters wait for it, `viewer`
    makes pictures small.
    """

    def __init__(
        self,
        store: Store,
        worker: Worker,
        events: Events,
        index: Callable[[str, bytes], bytes],
        *,
        files: Files,
        scope: bytes,
        waiting_letters: int = MAX_LETTERS,
        waiting_bytes: int = MAX_BYTES,
        unasked: int = UNASKED,
        heavy: Worker | None = None,
        viewer: Worker | None = None,
    ) -> None:
        self._store = store
        self._events = events
        self._desk = Desk(store, index)
        self._reader = Reader(worker, heavy)
        rebuilder = Rebuilder(files)
        self.reducer = Reducer(self._reader, rebuilder, files.threads, scope)
        self.writer = Writer(self.reducer, files)
        self._folders = FolderBook(self._desk)
        self._seen = SeenBook(self._desk)
        self._habits = HabitBook(self._desk)
        self._waiting = WaitingBook(self._desk, self._folders, waiting_letters, waiting_bytes)
        self._spam = SpamBook(self._desk, self._folders, waiting_letters, waiting_bytes)
        self._messages = MessageBook(self._desk, files)
        self.outstanding = Outstanding(store, self._messages, files, rebuilder, unasked)
        missing = self.outstanding.book
        self._shower = Shower(self._messages, self.outstanding, self._reader, files, rebuilder)
        self._thumbnails = Thumbnails(viewer or heavy or worker, self._shower)
        books = (self._messages, self._folders, self._waiting, missing)
        self._shelf = Shelf(self._desk, *books, erased=self._thumbnails.forget)

    # ---- taking in

    async def summary(self, raw: bytes) -> Summary:
        """What a message says, read in the worker. Raises RemoteProtocolError, WorkerError."""
        return await self._reader.summary(raw)

    def seen(self, author: str, letter_id: bytes) -> Seen | None:
        """What was answered to this letter, if it was taken."""
        return self._seen.letter(self._desk.author(author), letter_id)

    def seen_mail(self, digest: bytes) -> Seen | None:
        """What was answered to this mail by SMTP, if it was taken; `digest` is of envelope and data."""
        return self._seen.letter(NOBODY, digest)

    def seen_envelope(self, envelope_id: bytes) -> Seen | None:
        """What was answered to this envelope, if it was taken."""
        return self._seen.envelope(envelope_id)

    def take_in(self, batch: Batch, arrival: Arrival) -> bytes:
        """Everything that a new letter changes; its id. Call `announce` once the batch is written."""
        author, by_smtp = self._desk.author(arrival.author), arrival.transport is not None
        message, size = arrival.message, arrival.message.size
        number = NUMBERS[arrival.folder]
        if number == ROOM:
            self._erase_waiting(batch, self._waiting.too_many(batch, size))
        if number == SPAM_FOLDER:
            self._erase_spam(batch, self._spam.too_many(batch, size))
        letter = self._shelf.free_id(arrival.arrived)
        entry = arrival.entry(letter, number)
        sound = None if arrival.fetch else True
        self._shelf.file(batch, entry, message, arrival.transport, message.names, sound=sound)
        if arrival.fetch:
            self.outstanding.want(batch, letter, message, arrival.author or "")
        if number == ROOM:
            due = () if by_smtp else (arrival.letter_id, arrival.payload_hash)
            self._waiting.add(batch, author, letter, size, *due)
        elif arrival.author is not None:  # the folder rule asks of accepted senders only; strangers are many
            self._habits.arrived(batch, author, letter)
        if by_smtp or arrival.author is not None:
            seen, by = Seen(arrival.status, arrival.receipt), NOBODY if by_smtp else author
            self._seen.remember(batch, by, arrival.letter_id, arrival.envelope_id, seen, arrival.expires)
        return letter

    def remember_mail(self, batch: Batch, digest: bytes, until: int) -> None:
        """Remember mail by SMTP that was taken and is no letter, as `seen_mail` asks for it."""
        self._seen.remember(batch, NOBODY, digest, None, Seen(OK, None), until)

    def announce(self, letter: bytes) -> None:
        """Tell listeners of a letter that is now on disk."""
        if self._events.heard and (entry := self._shelf.find(letter)) is not None:
            self._events.publish("letter", self._json(entry))

    def remember(
        self,
        batch: Batch,
        author: str,
        letter_id: bytes,
        envelope_id: bytes | None,
        status: Status,
        receipt: bytes | None,
        until: int,
    ) -> None:
        """Remember a letter without a message, or another envelope or the receipt of one taken."""
        seen = Seen(status, receipt)
        self._seen.remember(batch, self._desk.author(author), letter_id, envelope_id, seen, until)

    def expire(self, batch: Batch, now: int) -> int:
        """Forget some of what needs not be remembered any more; 0 when nothing is left to forget."""
        return self._seen.expire(batch, now)

    # ---- our own letters

    def file_sent(
        self,
        batch: Batch,
        message: Reduced,
        summary: Summary,
        now: int,
        thid: str = "",
        letter_id: bytes = b"",
    ) -> bytes:
        """Keep the copy of what the owner sent; its id. `summary` may be of another face of it. Of what lies
        outside it keeps what is fetched unasked too; the rest goes once its recipients have it.
        """
        letter, sent = self._shelf.free_id(now), NUMBERS[SENT]
        attachments = max(summary.attachments, message.named)
        summary = replace(summary, size=message.size, attachments=attachments)
        entry = own_entry(letter, sent, summary, now, thid=thid, letter_id=letter_id, read=True)
        return self._shelf.file(batch, entry, message, keep=self.outstanding.small(message))

    def put_notice(self, batch: Batch, raw: bytes, now: int, thid: str = "") -> bytes:
        """Put a notice that this node wrote (`failure_notice`) into the inbox; its id."""
        letter, summary = self._shelf.free_id(now), replace(summarize(raw), attachments=0)
        entry = own_entry(letter, NUMBERS[INBOX], summary, now, thid=thid, letter_id=b"", read=False)
        return self._shelf.file(batch, entry, Reduced(raw))

    async def adopt(self, raw: bytes, faces: Faces, now: int, message_id: str) -> Adopted:
        """What a mail program handed in, as each route shows it; done in the worker. `now` (Unix ms) and
        `message_id` (without angle brackets) stand in for a date and an id that it lacks. Raises
        RemoteProtocolError for what can't be sent, WorkerError.
        """
        return await self._reader.adopt(raw, faces, now, message_id)

    # ---- looking

    def list(self, folder: str | None = None, limit: int = 50, before: bytes | None = None) -> Page:
        """A page of a folder (the inbox), newest first, of what came before `before`. Raises FolderError."""
        found = self._folders.find(folder or INBOX)
        entries = self._shelf.page(found.number, min(limit, MAX_PAGE), before)
        return [entry_json(entry, found.name) for entry in entries]

    def find_id(self, text: str) -> bytes:
        """The id that a person gave, whole or its first eight digits or more. Raises NoSuchLetter."""
        return self._shelf.find_id(text)

    def get(self, letter: bytes) -> Entry:
        """What the index knows of a letter. Raises NoSuchLetter."""
        return self._shelf.get(letter)

    def reduced(self, letter: bytes) -> Reduced:
        """A letter's message as it is kept. Raises NoSuchLetter."""
        return self._messages.get(letter).reduced

    async def whole(self, letter: bytes) -> AsyncGenerator[bytes, None]:
        """A letter's message exactly as it came, in pieces. Raises NoSuchLetter, ContentMissing,
        ContentDamaged.
        """
        return await self._shower.whole(letter)

    async def delivered(self, letter: bytes, strip: Callable[[bytes], bytes]) -> AsyncGenerator[bytes, None]:
        """The same as other mail servers deliver it, for mail programs, export and forwarding: what the
        envelope said and what was found out of its author on top. `strip` takes others'
        Authentication-Results out. Raises as `whole` does.
        """
        message, entry = await self._messages.load(letter), self.get(letter)
        pieces = await self._shower.whole(letter)
        return delivered(pieces, message.smtp, entry.arrived, letter.hex(), strip)

    async def read(self, letter: bytes) -> Json:
        """A letter as interface.md's `read` shows it; it is not marked as read by this. Raises
        NoSuchLetter, RemoteProtocolError, WorkerError.
        """
        body = await self._shower.show(letter)
        return self._json(self.get(letter)) | body

    async def attachment(self, letter: bytes, n: int, start: int = 0, stop: int | None = None) -> Saved:
        """Attachment `n` as `read` numbers them, or bytes `start` to `stop` of it. Raises NoSuchLetter,
        ContentMissing, RemoteProtocolError, WorkerError.
        """
        return await self._shower.save(letter, n, start, stop)

    async def thumbnail(self, letter: bytes, n: int, *, anyway: bool = False) -> bytes:
        """Attachment `n` as a small picture, of the type `node.kinds.MEDIA_TYPE`. What is in `handshake` or
        `spam` is decoded with `anyway` only, the owner's word. Raises as `attachment` does, NoThumbnail.
        """
        if not anyway and self.get(letter).folder in (ROOM, SPAM_FOLDER):
            raise unasked()
        made = await self._thumbnails.get(letter, n)
        if self._shelf.find(letter) is None:  # erased while it was made
            self._thumbnails.forget(letter)
        return made

    def thread(self, thid: str) -> Sequence[Entry]:
        """Letters of a thread in the order in which they came."""
        return self._shelf.thread(thid)

    def habit(self, address: str) -> tuple[int, int]:
        """How many of this author's last letters were read, and how many they are (30 at most)."""
        return self._habits.get(self._desk.author(address))

    # ---- changing

    def mark_read(self, batch: Batch, letter: bytes, *, read: bool = True) -> None:
        """Mark it as read or unread. Raises NoSuchLetter."""
        entry = self._shelf.get(letter, batch)
        if entry.read == read:
            return
        self._shelf.mark(batch, entry, read=read)
        if read and entry.author:
            self._habits.read(batch, self._desk.author(entry.author), letter)

    def move(self, batch: Batch, letter: bytes, folder: str) -> None:
        """Move it. Raises NoSuchLetter, FolderError."""
        target = self._folders.find(folder)
        entry = self._shelf.get(letter, batch)
        if target.number == ROOM != entry.folder:
            text = "only letters of people who are not accepted are in handshake"
            raise FolderError("folder-handshake", text, "choose another")
        self._shelf.refile(batch, entry, target.number)

    def delete(self, batch: Batch, letter: bytes) -> bool:
        """Move it to trash, or if it is there erase it. True if it is erased. Raises NoSuchLetter."""
        entry = self._shelf.get(letter, batch)
        if entry.folder == NUMBERS[TRASH]:
            self._shelf.erase(batch, entry)
            return True
        self._shelf.refile(batch, entry, NUMBERS[TRASH])
        return False

    # ---- folders

    def folders(self) -> Page:
        """All folders as interface.md shows them."""
        return [folder.json() for folder in self._folders.all()]

    def add_folder(self, batch: Batch, name: str) -> Json:
        """A new folder. Raises FolderError."""
        return self._folders.add(batch, name).json()

    def rename_folder(self, batch: Batch, old: str, new: str) -> Json:
        """Give a folder of the owner's another name. Raises FolderError."""
        return self._folders.rename(batch, old, new).json()

    async def remove_folder(self, name: str) -> int:
        """Remove a folder of the owner's; how many letters went from it to archive. If it is interrupted
        the folder is still there with the rest. Raises FolderError, StoreUnavailable.
        """
        number, moved, last = self._folders.own(name).number, 0, False
        while not last:
            batch = Batch()
            entries = self._shelf.page(number, MOVED_TOGETHER)
            for entry in entries:
                self._shelf.refile(batch, entry, NUMBERS[ARCHIVE])
            if last := len(entries) < MOVED_TOGETHER:
                self._folders.drop(batch, number)
            await self._store.write(batch)
            moved += len(entries)
        return moved

    # ---- the room for strangers' letters

    def waiting(self, address: str) -> int:
        """How many letters of this author wait."""
        return len(self._waiting.of(self._desk.author(address)))

    def release(self, batch: Batch, address: str) -> int:
        """Move this author's letters to the inbox; how many. Those that this very batch took in are not
        seen: their folder was chosen with them.
        """
        waiting = self._waiting.of(self._desk.author(address))
        entries = self._shelf.waiting((letter for letter, _ in waiting), batch)
        for entry in entries:
            self._shelf.refile(batch, entry, NUMBERS[INBOX])
        return len(entries)

    def receipts_due(self, address: str) -> Sequence[Due]:
        """What waits of this author and is to be receipted when it is accepted. Ask before `release`."""
        author = self._desk.author(address)
        waiting = [value for _, value in self._waiting.of(author) if value["letterId"]]
        seen = [self._seen.letter(author, value["letterId"]) for value in waiting]
        return [
            Due(value["letterId"], value["payloadHash"], answer.receipt if answer else None)
            for value, answer in zip(waiting, seen, strict=True)
        ]

    def room(self) -> float:
        """How full it is: 0 empty, 1 full."""
        return self._waiting.fullness()

    def trim(self, batch: Batch, now: int) -> int:
        """Erase what has waited, or lain in spam, for 60 days, and what is too much; 0 when nothing is left
        to erase.
        """
        spam = self._erase_spam(batch, self._spam.stale(now))
        return spam + self._erase_waiting(batch, [*self._waiting.stale(now), *self._waiting.too_many(batch)])

    def _erase_spam(self, batch: Batch, letters: Sequence[bytes]) -> int:
        entries = [self._shelf.find(letter, batch) for letter in letters]
        found = [entry for entry in entries if entry is not None and entry.folder == SPAM_FOLDER]
        self._erase(batch, found)
        return len(found)

    def _erase_waiting(self, batch: Batch, letters: Sequence[bytes]) -> int:
        entries = self._shelf.waiting(dict.fromkeys(letters), batch)
        self._erase(batch, entries)
        return len(entries)

    def _erase(self, batch: Batch, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._shelf.erase(batch, entry)
            if entry.via == SMTP:  # it costs its sender nothing, so no trace of it may pile up
                self._seen.forget(batch, NOBODY, entry.letter_id)

    # ---- what every room shows

    def status(self) -> Mapping[str, object]:
        """Unread letters, and a warning while strangers' letters nearly fill their room."""
        unread = sum(folder.unread for folder in self._folders.all())
        return {"unread": unread, "warnings": self._waiting.warnings()}

    async def checks(self) -> Sequence[Check]:
        """How full the room for strangers' letters is."""
        return [self._waiting.check()]

    def _json(self, entry: Entry) -> Json:
        folder = self._folders.get(entry.folder)
        return entry_json(entry, folder.name if folder else "")
