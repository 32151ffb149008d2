"""Takes what is large out of messages and puts it into `files` (protocol.md §6, §7). Where it is cut is found
in the worker process (cutting.py), for a message may be anyone's.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from node.files import Threads, Workspace
from node.letters.cutting import Cut, decoded, places, reduce
from node.letters.limits import LARGE_PART
from node.letters.reader import Reader
from node.letters.rebuilding import Rebuilder
from node.letters.reduced import Reduced
from protocol.cbor import encode
from protocol.kdf import HASH_BYTES
from protocol.letter import MAX_SIGNED
from protocol.stream import ContentRef
from protocol.unixfs import reference_of

ROOM_BESIDE: Final = 16_384
"""Bytes of an inner that are neither message nor refs: the author's IdentityRecord and what rides along."""

MAX_REDUCED: Final = MAX_SIGNED - ROOM_BESIDE
"""Bytes of a reduced message and its refs together; kept ordinary mail is reduced by the same rule."""


class Reducer:
    """Reduces messages. `scope` is the owner's own: what we put are our contents."""

    def __init__(self, reader: Reader, rebuilder: Rebuilder, threads: Threads, scope: bytes) -> None:
        self._threads = threads
        self._reader = reader
        self._rebuilder = rebuilder
        self._scope = scope

    async def faces(self, workspace: Workspace, *raws: bytes) -> list[Reduced]:
        """Messages that differ in their headers alone; the body's large parts are put once. Raises
        RemoteProtocolError, TOO_LARGE where a message can't be made small enough, WorkerError, FilesFull.
        """
        if max(map(len, raws)) <= LARGE_PART:
            return [Reduced(raw) for raw in raws]
        first = max(raws, key=len)  # whose header takes the most room
        cuts = await self._reader.cuts(first, MAX_REDUCED)
        if not cuts:
            return [Reduced(raw) for raw in raws]
        contents = [await self._put(workspace, first, cut) for cut in cuts]
        return [await self._reduced(raw, _shifted(cuts, len(raw) - len(first)), contents) for raw in raws]

    async def further(self, workspace: Workspace, reduced: Reduced) -> Reduced:
        """A message that has refs already, and a body that may be large too. Raises as `faces` does, and
        ContentMissing.
        """
        cuts: Sequence[Cut] = ()
        if len(reduced.message) > LARGE_PART:
            room = MAX_REDUCED - sum(len(encode(ref.to_value())) for ref in reduced.refs)
            cuts = await self._reader.cuts(reduced.message, room)
        contents = [await self._put(workspace, reduced.message, cut) for cut in cuts]
        refs = [_moved(ref, cuts) for ref in reduced.refs]
        refs += [ref for ref, _ in _placed(cuts, contents)]
        names = [*reduced.names, *(name for _, name in contents)]
        found = Reduced(reduce(reduced.message, cuts), tuple(refs), tuple(names))
        if not refs:
            return found
        return replace(found, hash=await self._rebuilder.digest(found))

    async def _reduced(
        self, raw: bytes, cuts: Sequence[Cut], contents: Sequence[tuple[ContentRef, bytes]]
    ) -> Reduced:
        found = hashlib.blake2b(digest_size=HASH_BYTES)
        await self._threads.run(found.update, raw)
        placed = _placed(cuts, contents)
        refs, names = tuple(ref for ref, _ in placed), tuple(name for _, name in placed)
        return Reduced(reduce(raw, cuts), refs, names, found.digest())

    async def _put(self, workspace: Workspace, raw: bytes, cut: Cut) -> tuple[ContentRef, bytes]:
        """A content with its reference, which has no place yet, and its name."""
        put = await workspace.put(self._scope, _stored(raw, cut), cut.size)
        ref = ContentRef(
            filename=cut.filename,
            media_type=cut.media_type,
            size=put.size,
            hash=put.hash,
            reference=reference_of(put.content.cid),
            place=places([cut])[0],
            key=put.key,
        )
        return ref, put.content.name


def _placed(
    cuts: Sequence[Cut], contents: Sequence[tuple[ContentRef, bytes]]
) -> list[tuple[ContentRef, bytes]]:
    return [
        (replace(ref, place=place), name) for (ref, name), place in zip(contents, places(cuts), strict=True)
    ]


def _shifted(cuts: Sequence[Cut], by: int) -> Sequence[Cut]:
    return [replace(cut, start=cut.start + by, end=cut.end + by) for cut in cuts]


def _moved(ref: ContentRef, cuts: Sequence[Cut]) -> ContentRef:
    """In the place that it has once these cuts, none of which spans it, were made."""
    assert not any(cut.start < ref.place.offset < cut.end for cut in cuts)
    gone = sum(cut.end - cut.start for cut in cuts if cut.end <= ref.place.offset)
    return replace(ref, place=replace(ref.place, offset=ref.place.offset - gone))


async def _stored(raw: bytes, cut: Cut) -> AsyncIterator[bytes]:
    for piece in decoded(raw, cut):
        yield piece
