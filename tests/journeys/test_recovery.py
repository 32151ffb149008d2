"""A disk is lost, the words are kept: one command brings back who one is, whom one knows, and what waits."""

from pathlib import Path

from tests.kit.people import send
from tests.kit.processes import Process, a_village, until


async def hosted(node: Process) -> bool | None:
    """Once its hosts have all that they are to have."""
    status = await node.mailio("status")
    states = {host["state"] for host in status["hosts"]}
    return True if states == {"current"} and not status["vault"]["pending"] else None


async def test_disk_lost_words_kept(tmp_path: Path) -> None:
    async with a_village(tmp_path) as village:
        await village.open_bootstrap()
        alice, bob = village.node("alice"), await village.owner("bob", MAILIO_HOSTS_USE="")
        made = await alice.mailio("init")
        alice.address = made["address"]
        await alice.start()
        await send(alice, bob.address, "May I?", "It is alice.")
        await bob.mailio("handshake", "accept", alice.address)
        await alice.mailio("handshake", "accept", bob.address)
        await alice.mailio("contact", "add", "Bob", bob.address, "bob@example.org")
        await until("all of it to be at alice's hosts", lambda: hosted(alice), 90.0)
        handshakes, contacts = await alice.mailio("handshake", "list"), await alice.mailio("contact", "list")
        await alice.stop()
        row = await send(bob, alice.address, "While you were away", "Are you there?")
        assert "at-host" == row["state"]

        again = village.node("again")
        back = await again.mailio("init", "--recover", stdin=" ".join(made["words"]))
        assert (made["address"], made["did"]) == (back["address"], back["did"])
        expected = {"handshakes": len(handshakes), "contacts": 1, "letters": 1, "hosts": 1}
        assert expected == back["restored"]
        assert handshakes == await again.mailio("handshake", "list")
        assert contacts == await again.mailio("contact", "list")
        assert ["While you were away"] == [row["subject"] for row in await again.mailio("list")]
        assert [] == (await again.mailio("status"))["warnings"]
        await again.start()
        row = await send(again, bob.address, "Back again", "I lost my disk.")
        assert "delivered" == row["state"]
        assert ["While you were away"] == [row["subject"] for row in await again.mailio("list")]
