"""Somebody with nothing but a mailbox at a provider: a real Dovecot has their mail, and a server with a login
takes what they send.
"""

from pathlib import Path

from tests.kit.certificates import Authority
from tests.kit.dovecot import PASSWORD, USER, Dovecot, a_dovecot, needs_dovecot
from tests.kit.fetched import letter
from tests.kit.mailnode import Desk, MailNode, a_mail_node
from tests.kit.processes import until
from tests.kit.sink import Behaviour, open_sink

pytestmark = needs_dovecot

COUNT = 60


async def test_a_mailbox_at_a_provider_is_enough(tmp_path: Path) -> None:
    authority, secret = Authority(tmp_path / "tls"), tmp_path / "password"
    shown = authority.certificate("localhost")
    none = {"MAILIO_MAIL_ADDRESSES": "", "MAILIO_SMTP_DOMAINS": ""}
    accounts = Behaviour(accounts={USER: PASSWORD})
    async with (
        a_dovecot(shown) as dovecot,
        open_sink(accounts, shown.server_context()) as sink,
        a_mail_node(tmp_path, authority, **none) as node,
    ):
        servers = ("--imap", f"imap://localhost:{dovecot.port}", "--smtp", f"smtp://localhost:{sink.port}")
        add = ("provider", "add", USER, *servers, "--all", "--from-file", str(secret))
        await refuses_a_wrong_password(node, secret, add)
        await fetches_each_letter_once_though_killed(node, dovecot, secret, add)
        await sends_and_hears(Desk(node, sink), dovecot)
        assert {""} == set(dovecot.letters().values())
        assert PASSWORD not in node.process.log.read_text()


async def refuses_a_wrong_password(node: MailNode, secret: Path, add: tuple[str, ...]) -> None:
    keep(secret, "wrong")
    said = await node.process.try_mailio(*add)
    assert (1, "provider-password") == (said.code, said.value["error"]["code"])
    assert [] == await node.process.mailio("provider", "list")


async def fetches_each_letter_once_though_killed(
    node: MailNode, dovecot: Dovecot, secret: Path, add: tuple[str, ...]
) -> None:
    """Killed in the middle, wherever that is between a letter and what is noted of it."""
    for number in range(COUNT):
        dovecot.put(letter(number), f"{number}")
    keep(secret, PASSWORD)
    added = await node.process.mailio(*add)
    assert (USER, 0, None) == (added["address"], added["since"], added["deleteAfter"])

    async def some_here() -> bool | None:
        return len(node.listing("handshake")) >= COUNT // 6 or None

    async def settled() -> bool | None:
        (provider,) = node.process.ask("GET", "/local/providers")
        return provider["state"] == "ok" or None

    await until("some letters", some_here)
    await node.process.kill()
    await node.process.start()
    await until("the provider is at rest", settled)
    subjects = sorted(row["subject"] for row in node.listing("handshake"))
    assert sorted(f"letter {number}" for number in range(COUNT)) == subjects


def keep(file: Path, password: str) -> None:
    file.touch(mode=0o600)
    file.write_text(password)


async def sends_and_hears(desk: Desk, dovecot: Dovecot) -> None:
    """Through the provider, in the name that one has there; and what comes then is told at once."""
    sent = await desk.node.process.mailio("send", "friend@x.example", "--subject", "hello", "--body", "x")
    assert ["delivered"] == [one["state"] for one in sent["recipients"]]
    taken = await desk.until_sent("hello")
    assert (USER, USER) == (taken.sender, taken.user)
    assert f"From: {USER}".encode() in taken.raw
    dovecot.put(letter(COUNT), "new")
    row = await desk.node.until_listed(f"letter {COUNT}", "handshake")
    told = desk.node.read(row["id"])["smtp"]
    assert ([USER], "localhost") == (told["recipients"], told["client"])
    await desk.node.process.mailio("provider", "remove", USER)
    refused = await desk.node.process.try_mailio("send", "friend@x.example", "--subject", "no", "--body", "x")
    assert (1, "no-smarthost") == (refused.code, refused.value["error"]["code"])
