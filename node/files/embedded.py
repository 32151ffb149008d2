"""The embedded backend: contents as files of disk.py, written, read and removed in threads. No daemon."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from node.files.contents import Content
from node.files.disk import Disk, OpenFile, faults
from node.files.errors import ContentDamaged
from node.files.parts import Part
from node.files.sealing import Tree
from node.files.threads import Threads

SYNC_BYTES: Final = 32 * 1024 * 1024
"""Written before the disk is waited for: a fifth of a second of a slow one."""


class FileReader:
    """An open file."""

    def __init__(self, threads: Threads, file: OpenFile) -> None:
        self._threads = threads
        self._file = file

    async def read(self, start: int, length: int) -> bytes:
        return await self._threads.run(self._file.read, start, length)


@asynccontextmanager
async def file_reader(threads: Threads, path: Path, content: Content) -> AsyncIterator[FileReader]:
    """The file of a content, whole or with holes. Raises ContentDamaged where there is none."""
    file = await threads.run(OpenFile, path, content)
    try:
        yield FileReader(threads, file)
    finally:
        file.close()


class FileSink:
    """A file without a name that gets one."""

    def __init__(self, threads: Threads, disk: Disk) -> None:
        self.kept = False
        self._threads = threads
        self._disk = disk
        self._path = disk.new()
        self._file: int | None = None
        self._unsynced = 0
        self._name: bytes | None = None

    async def write(self, leaves: Sequence[bytes]) -> None:
        await self._threads.run(self._write, leaves)

    async def finish(self, tree: Tree) -> None:
        await self._threads.run(self._finish, tree)

    async def publish(self, content: Content) -> None:
        self._name = content.name
        await self._threads.run(self._disk.publish, self._path, content.name)

    def close(self) -> None:
        """Blocks. Of what is not kept nothing is left."""
        if self._file is not None:
            os.close(self._file)
        if self.kept:
            return
        with faults():
            self._path.unlink(missing_ok=True)
        if self._name is not None:
            self._disk.remove_one(self._name, part=False)

    def _write(self, leaves: Sequence[bytes]) -> None:
        with faults():
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
            for leaf in leaves:
                rest = memoryview(leaf)
                while rest:
                    rest = rest[os.write(self._file, rest) :]
                self._unsynced += len(leaf)
            if self._unsynced >= SYNC_BYTES:  # while others are still at work
                os.fsync(self._file)
                self._unsynced = 0

    def _finish(self, tree: Tree) -> None:
        for node in tree.nodes():
            self._write([node])
        assert self._file is not None, "no file is without a leaf"
        with faults():
            os.fsync(self._file)


class Embedded:
    """The backend of files on this machine's disk."""

    daemon = False

    def __init__(self, disk: Disk, threads: Threads) -> None:
        self._disk = disk
        self._threads = threads

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[FileSink]:
        sink = FileSink(self._threads, self._disk)
        try:
            yield sink
        finally:
            with trio.CancelScope(shield=True):
                await self._threads.run(sink.close)

    def open(self, content: Content) -> AbstractAsyncContextManager[FileReader]:
        return file_reader(self._threads, self._disk.path(content.name), content)

    async def block(self, content: Content, number: int, cid: bytes) -> bytes:
        return await self._threads.run(self._block, content, number)

    def _block(self, content: Content, number: int) -> bytes:
        file = OpenFile(self._disk.found(content.name), content)
        try:
            return file.block(number)
        finally:
            file.close()

    async def intact(self, content: Content) -> bool:
        try:
            part = await self._threads.run(Part, self._disk.path(content.name), content)
            try:
                while not part.looked:
                    await self._threads.run(part.look)
            finally:
                part.close()
        except ContentDamaged:
            return False
        return not part.missing

    async def adopt(self, content: Content, part: Path) -> None:
        await self._threads.run(self._disk.publish, part, content.name)

    async def remove(self, contents: Sequence[Content]) -> list[Content]:
        names = [content.name for content in contents]
        await self._threads.run(partial(self._disk.remove, names))
        return list(contents)
