"""What a person sees of a letter and takes from it: bodies, attachments and how they stand, the message
itself. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeAlias

from node.files import ContentDamaged, ContentMissing, Files, in_pieces
from node.kinds import Sort, told
from node.letters.errors import NoSuchLetter
from node.letters.limits import MAX_BODY_CHARS
from node.letters.looking import Looker
from node.letters.messages import Message, MessageBook
from node.letters.missing import REMEDIES, Missing
from node.letters.outstanding import Outstanding
from node.letters.parse import BODIES, Attachment, Hole
from node.letters.reader import Reader
from node.letters.rebuilding import Rebuilder
from node.letters.saving import Saved, Stored
from node.letters.transport import transport_json
from node.letters.views import attachment_json
from protocol.place import Encoder
from protocol.stream import ContentRef

Json: TypeAlias = dict[str, Any]

MAX_FILLED: Final = 4 * MAX_BODY_CHARS
"""Bytes of bodies that lie outside which are read to be shown: as many as are shown of one inside."""


class Shower:
    """Shows letters. Belongs to trio's thread."""

    def __init__(
        self,
        messages: MessageBook,
        outstanding: Outstanding,
        reader: Reader,
        files: Files,
        rebuilder: Rebuilder,
    ) -> None:
        self._messages = messages
        self._outstanding = outstanding
        self._missing = outstanding.book
        self._reader = reader
        self._files = files
        self._looker = Looker(reader, files)
        self._rebuilder = rebuilder

    async def show(self, letter: bytes) -> Json:
        """The fields of interface.md's `read` that a list does not have. Raises NoSuchLetter,
        RemoteProtocolError, WorkerError.
        """
        message = await self._messages.load(letter)
        holes = await self._holes(letter, message)
        parts = await self._reader.parts(message.reduced.message, holes)
        sorts = await self._sorts(letter, message, parts.attachments)
        attachments = [
            self._attachment(letter, message, one, sort)
            for one, sort in zip(parts.attachments, sorts, strict=True)
        ]
        body: Json = {"text": parts.text, "html": parts.html, "attachments": attachments}
        return body if message.smtp is None else body | {"smtp": transport_json(message.smtp)}

    async def whole(self, letter: bytes) -> AsyncGenerator[bytes, None]:
        """The message as it came, byte for byte. Raises NoSuchLetter, ContentMissing, ContentDamaged at once,
        and ContentDamaged later where the disk fails it.
        """
        message = await self._messages.load(letter)
        reduced = message.reduced
        if not all(map(self._files.whole, reduced.names)) or len(reduced.names) < len(reduced.refs):
            raise ContentMissing("a part of this letter is not here, so it can't be shown as it was written")
        sound = message.sound
        if sound is None and reduced.refs:  # nobody has looked since it was complete
            sound = await self._outstanding.prove(letter)
        if sound is False:
            raise ContentDamaged("this letter's parts do not make the message that its author signed")
        return self._rebuilder.pieces(reduced)

    async def save(self, letter: bytes, n: int, start: int = 0, stop: int | None = None) -> Saved:
        """Attachment `n` of a letter, numbered as `show` does. Raises NoSuchLetter, ContentMissing,
        RemoteProtocolError, WorkerError.
        """
        message = await self._messages.load(letter)
        holes = await self._holes(letter, message)
        parts = await self._reader.parts(message.reduced.message, holes)
        found = next((one for one in parts.attachments if one.n == n), None)
        if found is None:
            raise NoSuchLetter("no-attachment", f"the letter has no attachment {n}", "see: mailio read ID")
        if found.hole is None:
            content = await self._reader.content(message.reduced.message, holes, n)
            return _saved(found, found.sort, len(content), in_pieces(content[start:stop]))
        stored = self._stored(message, found)
        if not self._files.whole(stored.name):
            raise ContentMissing
        (sort,) = await self._looker.sorts([stored])
        size = await stored.size(self._files)
        source = stored.read(self._files, start, size if stop is None else min(stop, size))
        return _saved(found, sort, size, source)

    # ---- parts of the above

    async def _holes(self, letter: bytes, message: Message) -> Sequence[Hole]:
        """What was taken out; bodies with what stands in them, as far as they are here."""
        room, holes = MAX_FILLED, []
        for n, ref in enumerate(message.reduced.refs):
            fill, length = None, _shown(ref, room)
            if length and self._state(letter, message, n)[0] == "complete":
                fill = await self._start(message, n, length)
                room -= length
            place = ref.place
            holes.append(Hole(place.offset, ref.size, ref.filename, ref.media_type, fill, place.encoding))
        return holes

    async def _start(self, message: Message, n: int, length: int) -> bytes:
        """The beginning of a body, as it stands in the message."""
        ref, encoder = message.reduced.refs[n], Encoder(message.reduced.refs[n].place)
        source = self._files.read(self._name(message, n), ref.key, ref.size, 0, length)
        async with aclosing(source):
            pieces = [await self._files.threads.run(encoder.feed, piece) async for piece in source]
        return b"".join([*pieces, encoder.end()])

    async def _sorts(
        self, letter: bytes, message: Message, attachments: Sequence[Attachment]
    ) -> Sequence[Sort | None]:
        """What each of them is, as far as it is here."""
        whole = {
            one.n: self._stored(message, one)
            for one in attachments
            if one.hole is not None and self._state(letter, message, one.hole)[0] == "complete"
        }
        found = dict(zip(whole, await self._looker.sorts(list(whole.values())), strict=True))
        return [found.get(one.n, one.sort) for one in attachments]

    def _stored(self, message: Message, one: Attachment) -> Stored:
        """What lies outside of the message."""
        assert one.hole is not None
        return Stored(self._name(message, one.hole), message.reduced.refs[one.hole], one.encoding)

    def _attachment(self, letter: bytes, message: Message, one: Attachment, sort: Sort | None) -> Json:
        if one.hole is None:
            return attachment_json(one, sort, "complete", "", one.size)
        state, missing = self._state(letter, message, one.hole)
        ref = message.reduced.refs[one.hole]
        come = min(ref.size, self._files.come(self._name(message, one.hole)))
        here = ref.size if state == "complete" else come
        why = (missing.detail, REMEDIES[missing.state]) if missing else ()
        return attachment_json(one, sort, state, ref.reference, here, *why)

    def _state(self, letter: bytes, message: Message, n: int) -> tuple[str, Missing | None]:
        missing = self._missing.get(letter, n)
        if missing is None:
            return "complete" if self._files.whole(self._name(message, n)) else "expired", None
        return {"wanted": "fetching", "expired": "expired"}.get(missing.state, "missing"), missing

    @staticmethod
    def _name(message: Message, n: int) -> bytes:
        """What `files` calls a content; letters of before it was there have none."""
        names = message.reduced.names
        return names[n] if n < len(names) else b""


def _saved(one: Attachment, sort: Sort | None, size: int, source: AsyncGenerator[bytes, None]) -> Saved:
    return Saved(one.filename, told(one.filename, one.media_type, sort).media_type, size, source, sort)


def _shown(ref: ContentRef, room: int) -> int:
    """How much of it is put in to be shown: of a body its start, of a whole message's body all or nothing."""
    if ref.filename:
        return 0
    if ref.media_type.startswith("multipart/"):
        return ref.size if ref.size <= room else 0
    return min(room, ref.size) if ref.media_type in BODIES else 0
