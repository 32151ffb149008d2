"""From a person's file to the leaves of its tree on IPFS: hashed, padded, encrypted chunk by chunk, in
constant memory (protocol.md §7). Works for some milliseconds at a time, in the thread that it is called in;
where bytes come from and go to is the caller's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from node.files.threads import STEP
from protocol.errors import LocalProtocolError
from protocol.kdf import HASH_BYTES
from protocol.stream import CHUNK_BYTES, encrypt_chunk, padded_size, sealed_size
from protocol.unixfs import Shape

_ZEROS: Final = bytes(CHUNK_BYTES)


class Tree:
    """The tree over leaves that are given in their order. `cids` are those of its blocks, so far."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.cids: list[bytes] = []

    @property
    def cid(self) -> bytes:
        """Of the file, once `nodes` has been gone through."""
        return self.cids[-1]

    def grow(self, leaves: Sequence[bytes]) -> None:
        """The next leaves."""
        first = len(self.cids)
        self.cids.extend(self.shape.cid(number, leaf) for number, leaf in enumerate(leaves, first))

    def nodes(self) -> Iterator[bytes]:
        """All blocks above the leaves, the root last; of a single leaf none."""
        for number in range(self.shape.leaves, self.shape.blocks):
            node = self.shape.encode(number, [self.cids[child] for child in self.shape[number].children])
            self.cids.append(self.shape.cid(number, node))
            yield node


class Seal:
    """One file of `size` bytes. Each piece is to be given to `feed` and `hash`, which may run at the same
    time; then `pad` until it gives nothing.
    """

    def __init__(self, key: bytes, size: int) -> None:
        self._key = key
        self._size = size
        self._padded = padded_size(size)
        self._left = self._padded - size
        self.tree = Tree(Shape(sealed_size(self._padded)))
        self._digest = hashlib.blake2b(digest_size=HASH_BYTES)
        self.hash = self._digest.update
        self._fed = 0
        self._rest = b""

    @property
    def digest(self) -> bytes:
        """BLAKE2b-256 of the file, once all of it was given to `hash`."""
        return self._digest.digest()

    def feed(self, data: bytes) -> list[bytes]:
        """The next bytes of the file; the leaves that are full with them. Raises LocalProtocolError beyond
        its size.
        """
        self._fed += len(data)
        if self._fed > self._size:
            raise LocalProtocolError(f"a file of {self._size} bytes goes on beyond them")
        return self._grown(self._full(data))

    def pad(self) -> list[bytes]:
        """The next leaves behind what was fed, STEP bytes at most; none when there are no more. Raises
        LocalProtocolError where the file was shorter than said.
        """
        if self._fed != self._size:
            raise LocalProtocolError(f"a file of {self._size} bytes ends after {self._fed}")
        chunks: list[bytes] = []
        while self._left and len(chunks) < STEP // CHUNK_BYTES:
            zeros = min(self._left, CHUNK_BYTES)
            self._left -= zeros
            chunks += self._full(_ZEROS[:zeros])
        if not self._left and self._rest:
            chunks.append(self._rest)
            self._rest = b""
        return self._grown(chunks)

    def _full(self, data: bytes) -> list[bytes]:
        """Chunks that are full; what is left waits for more."""
        view, chunks = memoryview(data), []
        if self._rest:
            missing = CHUNK_BYTES - len(self._rest)
            self._rest += view[:missing]
            view = view[missing:]
            if len(self._rest) < CHUNK_BYTES:
                return []
            chunks.append(self._rest)
        whole = len(view) - len(view) % CHUNK_BYTES
        chunks += [bytes(view[start : start + CHUNK_BYTES]) for start in range(0, whole, CHUNK_BYTES)]
        self._rest = bytes(view[whole:])
        return chunks

    def _grown(self, chunks: Sequence[bytes]) -> list[bytes]:
        first = len(self.tree.cids)
        leaves = [
            encrypt_chunk(self._key, number, self._padded, chunk)
            for number, chunk in enumerate(chunks, first)
        ]
        self.tree.grow(leaves)
        return leaves
