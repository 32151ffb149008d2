"""The way back from leaves to the file: opened chunk by chunk, each authenticated. Constant memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from node.files.backend import Reader
from node.files.contents import Content
from node.files.errors import ContentDamaged
from node.files.threads import STEP, Threads
from protocol.errors import RemoteProtocolError
from protocol.stream import CHUNK_BYTES, decrypt_chunk, padded_size, sealed_size
from protocol.unixfs import LEAF_BYTES


async def read_plain(
    threads: Threads, reader: Reader, content: Content, key: bytes, size: int, start: int, stop: int
) -> AsyncGenerator[bytes, None]:
    """Bytes `start` to `stop` of a file of `size` bytes, in pieces of STEP at most. Raises ContentDamaged,
    and what the reader does.
    """
    padded = padded_size(size)
    if content.size != sealed_size(padded):
        raise ContentDamaged("an attachment has another size than its letter says")
    while start < stop:
        end = min(stop, start - start % CHUNK_BYTES + STEP)
        first, last = start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
        place = first * LEAF_BYTES
        sealed = await reader.read(place, min((last + 1) * LEAF_BYTES, content.size) - place)
        yield await threads.run(_open, sealed, key, padded, start, end)
        start = end


def _open(sealed: bytes, key: bytes, padded: int, start: int, end: int) -> bytes:
    """Bytes `start` to `end`, of which all but few are whole chunks, from the leaves that they are in."""
    first, last = start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
    try:
        chunks = [
            decrypt_chunk(key, n, padded, sealed[(n - first) * LEAF_BYTES : (n + 1 - first) * LEAF_BYTES])
            for n in range(first, last + 1)
        ]
    except RemoteProtocolError as fault:
        raise ContentDamaged("an attachment can't be opened with the key in its letter") from fault
    low, high = start - first * CHUNK_BYTES, end - last * CHUNK_BYTES
    chunks[-1] = chunks[-1][:high]
    chunks[0] = chunks[0][low:]
    return b"".join(chunks)
