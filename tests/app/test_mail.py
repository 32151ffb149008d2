"""The bridge as a node opens it: where it listens, what keeps it from starting, and how it says it stands."""

import smtplib
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trio

from node.api import Desk
from node.api.status import status_of
from node.app import run_node
from node.outbox.submission import Message
from node.runtime.errors import NodeError
from node.runtime.home import Home
from node.runtime.sections import DnsConfig, MailConfig, SmtpConfig, SubmissionConfig, TlsConfig
from node.storage import Batch
from tests.app.conftest import Run, config
from tests.kit.certificates import Authority
from tests.kit.names_server import Names, open_names
from tests.kit.network import until

OWNER = MailConfig(("owner@home.example",))


def asks(names: Names) -> DnsConfig:
    return DnsConfig((names.address,))


def listening(desk: Desk) -> tuple[str, str]:
    listen = status_of(desk)["listen"]
    return listen["smtp"], listen["submission"]


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


async def fault(home: Home, **sections: Any) -> NodeError:
    """Why a node with these settings does not start."""
    with pytest.raises(NodeError) as raised:
        await run_node(home, config(**sections), None, stop=trio.Event())
    return raised.value


def words(server: str) -> tuple[list[str], int]:
    """What a listener offers, and its answer to a recipient elsewhere."""
    with smtplib.SMTP("127.0.0.1", port(server)) as client:
        client.ehlo()
        client.mail("x@example.org")
        return sorted(client.esmtp_features), client.rcpt("y@example.org")[0]


async def test_both_listeners_are_open_and_say_where(alices: Home, running: Run) -> None:
    async with running(alices, mail=OWNER) as desk:
        smtp, submission = listening(desk)
        assert await trio.to_thread.run_sync(words, smtp) == (
            ["8bitmime", "enhancedstatuscodes", "pipelining", "size", "smtputf8"],
            550,
        )
        offered, code = await trio.to_thread.run_sync(words, submission)
        assert ("auth" in offered, code) == (True, 503)
        assert status_of(desk)["smtp"]["smarthost"]["state"] == "none"


async def test_what_is_not_wanted_is_not_open(alices: Home, running: Run) -> None:
    closed = {"smtp": SmtpConfig(host=""), "submission": SubmissionConfig(host="")}
    async with running(alices, **closed) as desk:
        listen = status_of(desk)["listen"]
        assert (listen["smtp"], listen["submission"]) == (None, None)


async def test_a_port_that_is_taken_is_named(alices: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        found = await fault(alices, smtp=SmtpConfig(port=number))
    assert f"127.0.0.1:{number}" in found.text
    assert "smtp.port" in found.remedy


async def test_passwords_never_cross_a_network_in_the_clear(alices: Home) -> None:
    found = await fault(alices, submission=SubmissionConfig(host="0.0.0.0", port=0))
    assert found.code == "submission-tls"


@pytest.mark.parametrize("missing", ["certificate", "key", "tls.key", "tls.certificate", "pair", "password"])
async def test_a_certificate_that_cannot_be_used_is_told(alices: Home, tmp_path: Path, missing: str) -> None:
    one, other = (Authority(tmp_path / name).certificate("localhost") for name in ("a", "b"))
    tls = {
        "certificate": TlsConfig(str(tmp_path / "none.pem"), str(one.key)),
        "key": TlsConfig(str(one.chain), str(tmp_path / "none.pem")),
        "tls.key": TlsConfig(str(one.chain), None),
        "tls.certificate": TlsConfig(None, str(one.key)),
        "pair": TlsConfig(str(one.chain), str(other.key)),
        "password": TlsConfig(str(one.chain), str(_locked(tmp_path))),
    }[missing]
    found = await fault(alices, tls=tls)
    assert found.code == "tls"
    assert found.remedy


def _locked(folder: Path) -> Path:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )

    path = folder / "locked.pem"
    locked = BestAvailableEncryption(b"secret")
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    )
    return path


async def test_with_a_certificate_both_listeners_offer_tls(
    alices: Home, tmp_path: Path, running: Run
) -> None:
    authority = Authority(tmp_path)
    mine = authority.certificate("localhost")

    def secured(server: str) -> str | None:
        with smtplib.SMTP("localhost", port(server)) as client:
            client.starttls(context=authority.client_context())
            assert isinstance(client.sock, ssl.SSLSocket)
            return client.sock.version()

    tls = TlsConfig(str(mine.chain), str(mine.key))
    async with running(alices, tls=tls) as desk:
        for server in listening(desk):
            assert await trio.to_thread.run_sync(secured, server) == "TLSv1.3"


async def test_a_smarthost_that_is_away_is_told_in_plain_words(alices: Home, running: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
    smtp = SmtpConfig(port=0, smarthost=f"smtp://127.0.0.1:{number}")
    async with open_names() as names, running(alices, mail=OWNER, smtp=smtp, dns=asks(names)) as desk:
        letter = await desk.submission.send(Message(("dave@dales.example",), subject="Hello"))

        def waits() -> bool:
            found = desk.outbox.get(letter.id)
            return found is not None and bool(found.deliveries[0].detail)

        await until(waits)
        found = desk.outbox.get(letter.id)
        assert found is not None
        words = f"127.0.0.1 can't be reached on port {number}"
        assert (found.deliveries[0].state, words in found.deliveries[0].detail) == ("queued", True)
        status = status_of(desk)
        assert status["smtp"]["smarthost"]["state"] == "fault"
        assert [one for one in status["warnings"] if words in one["text"]]


async def test_an_app_password_holds_from_the_moment_it_is_made(alices: Home, running: Run) -> None:
    async with running(alices, mail=OWNER) as desk:
        batch = Batch()
        password = desk.users.add(batch, "laptop")
        await desk.store.write(batch)
        desk.users.refresh()
        server = listening(desk)[1]

        def login(typed: str) -> int:
            with smtplib.SMTP("127.0.0.1", port(server)) as client:
                try:
                    return client.login("laptop", typed)[0]
                except smtplib.SMTPAuthenticationError as refused:
                    return refused.smtp_code

        assert await trio.to_thread.run_sync(login, password) == 235
        assert await trio.to_thread.run_sync(login, password[:-1]) == 535
