"""A letter of the owner's with its attachments, as one route shows it: small files inside, the others beside
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from node.files import Files, Workspace
from node.letters.compose import Attached, Draft, render_with
from node.letters.limits import LARGE_PART
from node.letters.reduced import Reduced
from node.letters.reducing import Reducer
from node.letters.render import IN_LINES
from node.letters.uploads import Upload
from protocol.place import encoded_size

MAX_INSIDE: Final = 262_144
"""Bytes of small files that stay inside; beyond that they lie outside too, so that the letter keeps its
room.
"""


class Writer:
    """Writes."""

    def __init__(self, reducer: Reducer, files: Files) -> None:
        self._reducer = reducer
        self._files = files

    async def write(
        self, workspace: Workspace, draft: Draft, uploads: Sequence[Upload], now: int, message_id: str
    ) -> Reduced:
        """The message, `now` (Unix ms) as its date. Raises DraftError, RemoteProtocolError with TOO_LARGE,
        WorkerError, StoreUnavailable, ContentDamaged.
        """
        attached, outside, room = [], [], MAX_INSIDE
        for upload in uploads:
            ref, content = upload.ref, None
            size = encoded_size(IN_LINES, ref.size)
            if size <= min(LARGE_PART, room):
                content, room = await self._content(upload), room - size
            else:
                outside.append(upload)
            attached.append(Attached(ref.filename, ref.media_type, content))
        message, places = render_with(draft, attached, now, message_id)
        refs = [replace(upload.ref, place=place) for upload, place in zip(outside, places, strict=True)]
        names = tuple(upload.name for upload in outside)
        return await self._reducer.further(workspace, Reduced(message, tuple(refs), names))

    async def _content(self, upload: Upload) -> bytes:
        source = self._files.read(upload.name, upload.ref.key, upload.ref.size)
        async with aclosing(source):
            return b"".join([piece async for piece in source])
