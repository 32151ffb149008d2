"""From a person's file to blocks on the disk: hashed, padded, encrypted and written chunk by chunk, in
constant memory (protocol.md §7). Blocks the thread that it runs in; where the bytes come from is the
caller's.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from node.files.disk import faults
from protocol.errors import LocalProtocolError
from protocol.kdf import HASH_BYTES
from protocol.stream import CHUNK_BYTES, encrypt_chunk, padded_size, sealed_size
from protocol.unixfs import Shape

_ZEROS: Final = bytes(CHUNK_BYTES)


class Seal:
    """One file of `size` bytes being written to `path`. Each piece is to be given to `feed` and `hash`, which
    may run at the same time; then `finish`, and `close` in any case.
    """

    def __init__(self, path: Path, key: bytes, size: int) -> None:
        self._key = key
        self._size = size
        self._padded = padded_size(size)
        self.shape = Shape(sealed_size(self._padded))
        self._digest = hashlib.blake2b(digest_size=HASH_BYTES)
        self.hash = self._digest.update
        self._fed = 0
        self._rest = b""
        self.cids: list[bytes] = []
        self.digest = b""
        with faults():
            self._file = open(path, "xb", buffering=0, opener=_private)  # noqa: SIM115 - close() closes it

    def feed(self, data: bytes) -> None:
        """The next bytes of the file. Raises LocalProtocolError beyond its size, FilesFull."""
        self._fed += len(data)
        if self._fed > self._size:
            raise LocalProtocolError(f"a file of {self._size} bytes goes on beyond them")
        self._seal(data)

    def finish(self) -> None:
        """Pad, write the tree, sync; then `digest` is BLAKE2b-256 of the file. Raises LocalProtocolError
        where it was shorter than said.
        """
        if self._fed != self._size:
            raise LocalProtocolError(f"a file of {self._size} bytes ends after {self._fed}")
        left = self._padded - self._size
        while left:
            self._seal(_ZEROS[: min(left, CHUNK_BYTES)])
            left -= min(left, CHUNK_BYTES)
        if self._rest:
            self._leaf(self._rest)
        for number in range(self.shape.leaves, self.shape.blocks):
            node = self.shape.encode(number, [self.cids[child] for child in self.shape[number].children])
            self._write(number, node)
        with faults():
            os.fsync(self._file.fileno())
        self.digest = self._digest.digest()

    def close(self) -> None:
        self._file.close()

    def _seal(self, data: bytes) -> None:
        """Chunks that are full; what is left waits for more."""
        view = memoryview(data)
        if self._rest:
            missing = CHUNK_BYTES - len(self._rest)
            self._rest += view[:missing]
            view = view[missing:]
            if len(self._rest) < CHUNK_BYTES:
                return
            self._leaf(self._rest)
            self._rest = b""
        whole = len(view) - len(view) % CHUNK_BYTES
        for start in range(0, whole, CHUNK_BYTES):
            self._leaf(bytes(view[start : start + CHUNK_BYTES]))
        self._rest = bytes(view[whole:])

    def _leaf(self, chunk: bytes) -> None:
        number = len(self.cids)
        self._write(number, encrypt_chunk(self._key, number, self._padded, chunk))

    def _write(self, number: int, block: bytes) -> None:
        self.cids.append(self.shape.cid(number, block))
        rest = memoryview(block)
        with faults():
            while rest:
                rest = rest[self._file.write(rest) :]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
