"""The fourth part of the story: hosts keep what owners who sleep let others do, and the letters that come
meanwhile. Told by scripts/demo.py.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import trio

from tests.kit.bulk import random_file, sha256_of
from tests.kit.people import WAIT_S, came, require, send, standing
from tests.kit.processes import Process, Unmet, Village, until

ALBUM_BYTES: Final = 5_000_000
"""Of the attachment that is to outlive its sender's evening."""

SECOND: Final = 2
"""Hosts that keep what is to be safe."""

WITHOUT: Final = {"MAILIO_HOSTS_USE": ""}
"""Settings of a node that uses no host."""

Tell = Callable[[str], None]


class HostsStory:
    """Bob sleeps, dora writes; dora sleeps, bob wakes; bob has enough of dora, and sleeps."""

    def __init__(self, directory: Path, village: Village, bob: Process, tell: Tell) -> None:
        self.directory, self.village, self.bob, self.tell = directory, village, bob, tell
        self.dora = village.node("dora", **WITHOUT)
        self.haven = ""

    async def tell_it(self) -> None:
        for chapter in (self.found, self.asleep, self.awake, self.refused):
            await chapter()

    async def found(self) -> None:
        """q: hosts are found, and used."""
        haven = self.village.node("haven")
        await haven.start("bootstrap", "run")
        (self.haven, *_) = (await haven.mailio("status"))["listen"]["libp2p"]
        await self.bob.mailio("host", "add", self.haven)
        await self.kept(self.bob)
        self.tell(
            "q. A second public node runs. bob's node, which found the first by itself, uses both as hosts."
        )
        await self.dora.init()
        await self.dora.start()
        row = await send(self.dora, self.bob.address, "May I?", "It is dora.")
        require("dora's first letter", row["state"], "delivered")
        await self.dora.stop()
        await self.bob.mailio("handshake", "accept", self.dora.address)
        await self.kept(self.bob)
        await self.bob.stop()
        self.tell("   dora asks bob and goes. bob accepts her, his hosts have it; then he closes his laptop.")

    async def asleep(self) -> None:
        """r: the letter to a sleeping laptop, from one that goes to sleep."""
        dora, bob = self.dora, self.bob
        dora.environment = {name: value for name, value in dora.environment.items() if name not in WITHOUT}
        await dora.start()
        await dora.mailio("host", "add", self.haven)
        await self.kept(dora)
        before = await standing(dora, bob.address)
        require("what dora knows of bob's word", before and before["theirs"], "none")
        album = await trio.to_thread.run_sync(random_file, self.directory / "album.tar", ALBUM_BYTES)
        sent = await dora.mailio(
            "send", bob.address, "--subject", "our album", "--attach", str(album), stdin="Good night."
        )
        require("her letter", [row["state"] for row in sent["recipients"]], ["at-host"])
        require("where its attachment is", sent["attachments"], "at-hosts")
        after = await standing(dora, bob.address)
        require("what dora read at bob's host", after and after["theirs"], "accepted")
        await self.kept(dora)
        await dora.stop()
        self.tell(
            "r. dora reads at bob's host that he has accepted her, leaves her letter there, its attachment"
            f" of {ALBUM_BYTES // 1_000_000} MB at her own hosts, and switches off."
        )

    async def awake(self) -> None:
        """s: both are there."""
        bob, begun = self.bob, time.monotonic()
        await bob.start()
        letter = (await came(bob, "our album"))["id"]

        async def complete() -> bool | None:
            (row,) = (await bob.mailio("read", letter))["attachments"]
            return True if row["state"] == "complete" else None

        await until("that bob has the album", complete, WAIT_S)
        took = time.monotonic() - begun
        (row,) = await bob.mailio("save", letter, str(self.directory))
        hashes = [
            await trio.to_thread.run_sync(sha256_of, Path(one))
            for one in (row["path"], self.directory / "album.tar")
        ]
        require("SHA-256 of the album at bob's", hashes[0], hashes[1])
        self.tell(f"s. bob opens his: letter and album are there after {took:.1f} s, while dora sleeps.")

    async def refused(self) -> None:
        """t: a revocation that holds while its owner sleeps."""
        dora, bob = self.dora, self.bob
        await bob.mailio("handshake", "revoke", dora.address)
        await self.kept(bob)
        await bob.stop()
        await dora.start()
        row = await send(dora, bob.address, "once more", "Are you there?")
        require("dora's letter to who revoked her", (row["state"], row["code"]), ("queued", "4.8.9"))
        if "revoked" not in row["detail"]:
            raise Unmet(f"what dora is told does not say why: {row['detail']}")
        self.tell("t. bob revokes dora and sleeps: his hosts take no letter of hers, and tell her node why.")
        await bob.start()

        async def ended() -> dict[str, Any] | None:
            (letter,) = [one for one in await dora.mailio("outbox", "--all") if one["subject"] == "once more"]
            one = dict(letter["recipients"][0])
            return one if one["state"] != "queued" else None

        last = await until("bob's own word on dora's letter", ended, 2 * WAIT_S)
        require("the end of dora's letter", (last["state"], last["code"]), ("refused", "5.8.2"))
        require(
            "letters of hers at bob's",
            [x for x in await bob.mailio("list") if x["subject"] == "once more"],
            [],
        )
        self.tell("   When bob wakes his own node has the last word: 5.8.2.")

    # Parts of chapters

    async def kept(self, who: Process) -> None:
        """Wait until two hosts have everything that this owner leaves there, attachments too."""

        async def look() -> bool | None:
            rows = (await who.mailio("status"))["hosts"]
            whole = [row for row in rows if row["state"] == "current" and row["files"] == 0]
            return True if len(whole) >= SECOND else None

        await until(f"that two hosts have all of {who.name}'s", look, WAIT_S)
