"""Files that the owner has handed in for a letter that is still being written. Kept for a day; the letter
that takes them needs them from then on.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from node.files import Files, Pin, PinKind
from node.letters.errors import DraftError
from node.letters.text import clean_filename
from node.runtime.clock import Clock
from node.storage import Batch, Store
from node.storage.schema import UPLOAD
from protocol.fields import Fields
from protocol.stream import ContentRef, Place
from protocol.unixfs import reference_of

KEPT_MS: Final = 86_400_000
"""A day: who writes longer hands in again."""

MAX_ATTACHMENTS: Final = 100
"""Files of one letter; each is a reference of some 400 bytes in it."""

ID_BYTES: Final = 16
MAX_EXPIRED: Final = 200
"""Rows forgotten by one call: a batch of some milliseconds."""

ANY_TYPE: Final = "application/octet-stream"

_TYPE: Final = re.compile(
    r"(?!multipart/|message/)[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}"
)
"""RFC 6838 §4.2. What is itself made of parts is never in base64 (RFC 2046 §5.2.1), so it goes as plain
bytes.
"""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is here. `ref` has no place yet; `name` is what `files` calls its content."""

    id: bytes
    ref: ContentRef
    name: bytes


class UploadBook:
    """Uploads by id."""

    def __init__(self, store: Store, files: Files, scope: bytes, clock: Clock, limit: int) -> None:
        """`limit`: bytes of the largest file."""
        self._store = store
        self._files = files
        self._scope = scope
        self._clock = clock
        self._limit = limit

    async def add(self, filename: str, media_type: str, size: int, source: AsyncIterable[bytes]) -> Upload:
        """Keep a file of `size` bytes; it is on disk when this returns. Raises DraftError, FilesFull, and
        LocalProtocolError where the source has another size.
        """
        self.require(size, clean_filename(filename, "the file"))
        async with self._files.workspace() as workspace:
            put = await workspace.put(self._scope, source, size)
            ref = ContentRef(
                filename=clean_filename(filename, "attachment"),
                media_type=media_type if _TYPE.fullmatch(media_type) else ANY_TYPE,
                size=put.size,
                hash=put.hash,
                reference=reference_of(put.content.cid),
                place=Place(0),
                key=put.key,
            )
            upload = Upload(secrets.token_bytes(ID_BYTES), ref, put.content.name)
            batch, until = Batch(), self._clock.now() + KEPT_MS
            row: dict[str, Any] = {"ref": ref.to_value(), "name": upload.name, "until": until}
            batch.put(UPLOAD, (upload.id,), row)
            self._files.pin(batch, upload.name, _pin(upload.id), until)
            await self._store.write(batch)
        return upload

    def require(self, size: int, name: str = "an attachment") -> None:
        """Raises DraftError where a file of `size` bytes is larger than any may be."""
        if size > self._limit:
            text = f"{name} has {size:,} bytes; at most {self._limit:,} can be attached"
            raise DraftError("attachment-too-large", text, "raise limits.attachment_size")

    def get(self, ids: Iterable[str]) -> list[Upload]:
        """Those with these ids, in hexadecimal. Raises DraftError."""
        found = [self._get(text) for text in ids]
        if len(found) > MAX_ATTACHMENTS:
            raise DraftError(
                "draft-attachments", f"a letter has {MAX_ATTACHMENTS} attachments at most", "send several"
            )
        return found

    def take(self, batch: Batch, uploads: Iterable[Upload]) -> None:
        """A letter has them now; pin them for it in the same batch."""
        for upload in uploads:
            batch.delete(UPLOAD, (upload.id,))
            self._files.unpin(batch, _pin(upload.id))

    def expire(self, batch: Batch, now: int) -> int:
        """Forget some of what no letter took; 0 when nothing is left to forget."""
        rows: Any = self._store.walk(UPLOAD)
        old = list(islice((key[0] for key, row in rows if row["until"] <= now), MAX_EXPIRED))
        for place in old:
            batch.delete(UPLOAD, (place,))
            self._files.unpin(batch, _pin(place))
        return len(old)

    def _get(self, text: str) -> Upload:
        try:
            place = bytes.fromhex(text)
        except ValueError:
            place = b""
        row: Any = self._store.get(UPLOAD, (place,)) if len(place) == ID_BYTES else None
        if row is None:
            raise DraftError(
                "no-such-attachment", "a file for this letter is not here (any more)", "hand it in again"
            )
        return Upload(place, ContentRef.parse(Fields(row["ref"], "ref")), row["name"])


def _pin(upload: bytes) -> Pin:
    return Pin(PinKind.DRAFT, upload)
