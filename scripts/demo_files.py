"""The third part of the story: attachments go from node to node. Told by scripts/demo.py."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from protocol.stream import padded_size, sealed_size
from tests.kit.bulk import random_file, sha256_of
from tests.kit.people import WAIT_S, came, require
from tests.kit.processes import Process, Said, Unmet, until

PHOTO_BYTES, NOTE_BYTES = 20_000_000, 5_000
"""Of a file that lies outside of its letter, and of one that fits into it."""

FILM_BYTES: Final = 120_000_000
"""More than files.fetch, so that it waits to be asked for, and some seconds on loopback."""

SEEN_SHARE: Final = 4
"""The node is killed once a quarter of the film was seen to be there."""

WASTED: Final = 1.1
"""Times its size that alice's node may serve of the film: what was on its way at the kill, and the tree."""

LOOK_S: Final = 0.02
"""Seconds between two looks at a fetch, which is over in a few."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Original:
    """A file of alice's."""

    path: Path
    hash: str

    @property
    def shown(self) -> tuple[str, int]:
        return self.path.name, self.path.stat().st_size


class FilesStory:
    """Alice sends bob files."""

    def __init__(self, directory: Path, alice: Process, bob: Process, tell: Tell) -> None:
        self.directory, self.alice, self.bob, self.tell = directory, alice, bob, tell

    async def tell_it(self) -> None:
        for chapter in (self.fetched, self.resumed):
            await chapter()

    async def fetched(self) -> None:
        """o: bob's node gets them by itself."""
        bob, subject = self.bob, "photo and note"
        files = [await self.original("photo.raw", PHOTO_BYTES), await self.original("note.txt", NOTE_BYTES)]
        await self.send(subject, files)
        letter = (await came(bob, subject))["id"]
        there = await until(f"that {bob.name} has both files", lambda: self.complete(letter), WAIT_S)
        require("the files as bob sees them", [shown(one) for one in there], [one.shown for one in files])
        await self.saved(letter, files)
        names = " and ".join(f"{name} ({size:,} bytes)" for name, size in (one.shown for one in files))
        self.tell(f"o. alice sends {names}: bob's node fetches them by itself.")

    async def resumed(self) -> None:
        """p: too large to be fetched unasked; killed in the middle of it."""
        bob, subject = self.bob, "our film"
        film = await self.original("our film.mkv", FILM_BYTES)
        served = await self.served()
        await self.send(subject, [film])
        letter = (await came(bob, subject))["id"]
        (row,) = (await bob.mailio("read", letter))["attachments"]
        require("the film before bob asks", (row["state"], row["fetched"]), ("missing", 0))
        require("what alice's node served before", await self.served() - served, 0)
        self.tell(
            f"p. A film of {FILM_BYTES // 1_000_000} MB is missing at bob's until he asks: he saves it."
        )
        seen = await self.killed_while_saving(letter)
        await bob.start()
        what = "that what was there of the film is found again"
        kept = await until(what, lambda: self.has(letter, seen), WAIT_S)
        self.tell(f"   His node is killed with {kept // 1_000_000} MB of it there, and started again.")
        await self.saved(letter, [film])
        whole, all_of_it = sealed_size(padded_size(FILM_BYTES)), await self.served() - served
        if not whole <= all_of_it <= WASTED * whole:
            raise Unmet(f"alice's node served {all_of_it} bytes of a film that has {whole}")
        self.tell(
            f"   It goes on there, and he saves what she sent: {all_of_it // 1_000_000} MB went in all."
        )

    # Parts of chapters

    async def original(self, name: str, size: int) -> Original:
        path = await trio.to_thread.run_sync(random_file, self.directory / name, size)
        return Original(path, await trio.to_thread.run_sync(sha256_of, path))

    async def send(self, subject: str, files: list[Original]) -> None:
        attach = [word for one in files for word in ("--attach", str(one.path))]
        sent = await self.alice.mailio(
            "send", self.bob.address, "--subject", subject, *attach, stdin="See there."
        )
        require(f"state of {subject!r}", [row["state"] for row in sent["recipients"]], ["delivered"])

    async def saved(self, letter: str, files: list[Original]) -> None:
        """Save a letter's files, and compare each with what was sent."""
        target = self.directory / f"saved from {letter}"
        target.mkdir(exist_ok=True)
        rows = await self.bob.mailio("save", letter, str(target))
        paths = [Path(row["path"]) for row in rows]
        require("what was saved", [one.name for one in paths], [one.path.name for one in files])
        hashes = [await trio.to_thread.run_sync(sha256_of, one) for one in paths]
        require("SHA-256 of what was saved", hashes, [one.hash for one in files])

    async def complete(self, letter: str) -> list[dict[str, Any]] | None:
        rows: list[dict[str, Any]] = (await self.bob.mailio("read", letter))["attachments"]
        return rows if all(row["state"] == "complete" for row in rows) else None

    async def killed_while_saving(self, letter: str) -> int:
        """Bytes that were seen to be there when bob's node was killed."""
        ended: list[Said] = []

        async def save() -> None:
            ended.append(await self.bob.try_mailio("save", letter, str(self.directory)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(save)
            seen = await self.some_of_it(letter)
            await self.bob.kill()
        require("whether the command told of the node's end", ended[0].code != 0, expected=True)
        return seen

    async def some_of_it(self, letter: str) -> int:
        """Wait until a part of the film is there."""
        with trio.move_on_after(WAIT_S):
            while (row := await trio.to_thread.run_sync(self.standing, letter))["state"] != "complete":
                if FILM_BYTES // SEEN_SHARE <= row["fetched"] < FILM_BYTES:
                    return int(row["fetched"])
                await trio.sleep(LOOK_S)
            raise Unmet("the film was there before the node could be killed")
        raise Unmet(f"within {WAIT_S:.0f} s not a quarter of the film came")

    async def has(self, letter: str, size: int) -> int | None:
        """Bytes of the film that are there, once they are as many as `size`."""
        fetched = int((await trio.to_thread.run_sync(self.standing, letter))["fetched"])
        return fetched if fetched >= size else None

    def standing(self, letter: str) -> dict[str, Any]:
        """How the only file of a letter stands at bob's. Blocks."""
        (row,) = self.bob.ask("GET", f"/api/v1/message/{letter}/attachment")
        return dict(row)

    async def served(self) -> int:
        """Bytes that alice's node has served."""
        return int((await self.alice.mailio("files", "stat"))["bytesServed"])


def shown(attachment: dict[str, Any]) -> tuple[str, int]:
    return attachment["filename"], attachment["size"]
