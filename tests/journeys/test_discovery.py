"""Real nodes: an e-mail address is all that Bob knows of Alice, and it is enough; and it stays so."""

from pathlib import Path
from typing import Any

from protocol.dns import format_key, txt_name
from protocol.link import ContactLink
from tests.kit.names_server import open_names
from tests.kit.people import send
from tests.kit.processes import Process, a_village, until

ALICE, DOMAIN = "alice@home.example", "home.example"


async def published(node: Process) -> bool | None:
    return True if (await node.mailio("status"))["published"]["stored"] else None


async def held(bob: Process) -> Any:
    rows = await bob.mailio("outbox")
    return next((one for row in rows for one in row["recipients"] if one["state"] == "held"), None)


async def test_an_address_is_enough(tmp_path: Path) -> None:
    async with open_names() as names, a_village(tmp_path) as village:
        await village.open_bootstrap()
        mail = {
            "MAILIO_SMTP_PORT": "0",
            "MAILIO_SUBMISSION_PORT": "0",
            "MAILIO_DNS_NAMESERVERS": names.address,
        }
        alice = await village.owner("alice", MAILIO_MAIL_ADDRESSES=ALICE, MAILIO_SMTP_DOMAINS=DOMAIN, **mail)
        link = ContactLink.parse((await alice.mailio("id"))["link"])
        names.txt(txt_name(DOMAIN), format_key(link.public_key))
        nobody_s = {
            "MAILIO_SMTP_SMARTHOST": "smtp://127.0.0.1:9",
            "MAILIO_MAIL_ADDRESSES": "bob@other.example",
        }
        bob = await village.owner("bob", **mail, **nobody_s)

        await until("that alice is in the DHT", lambda: published(alice), 60.0)
        row = await send(bob, ALICE, "Out of the blue", "I know your address only.")
        assert ("delivered", "mailio", alice.address) == (row["state"], row["route"], row["address"])
        (waiting,) = await alice.mailio("list", "handshake")
        assert "Out of the blue" == waiting["subject"]

        await bob.stop()
        names.forget(txt_name(DOMAIN))
        await bob.start()
        await bob.mailio("send", ALICE, "--subject", "Not open", "--body", "Hm.", "--no-wait")
        found = await until("the letter to be held", lambda: held(bob))
        assert ("smtp", "approval", "4.8.1") == (found["route"], found["cause"], found["code"])
