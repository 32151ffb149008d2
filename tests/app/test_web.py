"""The certificate and the MTA-STS policy of a running node, as others meet them."""

import smtplib
import socket
import ssl
from pathlib import Path

import pytest
import trio

from node.api.status import status_of
from node.runtime.home import Home
from node.runtime.sections import HttpConfig, SmtpConfig, TlsConfig
from tests.app.conftest import Run
from tests.kit.certificates import Authority, Certificate
from tests.kit.network import BOUND

DOMAIN = "home.example"
REQUEST = f"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.{DOMAIN}\r\n\r\n".encode()


def tls_of(shown: Certificate) -> TlsConfig:
    return TlsConfig(str(shown.chain), str(shown.key))


def port(where: str) -> int:
    return int(where.rpartition(":")[2])


def by_https(where: str, client: ssl.SSLContext) -> tuple[object, bytes]:
    """Names in the certificate, and the whole answer."""
    with (
        socket.create_connection(("127.0.0.1", port(where))) as plain,
        client.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(REQUEST)
        certificate, data = secure.getpeercert(), b""
        while more := secure.recv(65_536):
            data += more
        assert certificate is not None
        return certificate["subjectAltName"], data


def by_smtp(where: str, client: ssl.SSLContext) -> object:
    """Names in the certificate that STARTTLS shows."""
    with smtplib.SMTP("localhost", port(where)) as connection:
        connection.starttls(context=client)
        assert isinstance(connection.sock, ssl.SSLSocket)
        certificate = connection.sock.getpeercert()
        assert certificate is not None
        return certificate["subjectAltName"]


async def test_the_policy_of_the_owners_domain_is_served(alices: Home, tmp_path: Path, running: Run) -> None:
    authority = Authority(tmp_path / "tls")
    smtp = SmtpConfig(port=0, domains=(DOMAIN,), sts="enforce")
    async with running(alices, tls=tls_of(authority.certificate("localhost")), smtp=smtp) as desk:
        where = status_of(desk)["listen"]["http"]
        _, answer = await trio.to_thread.run_sync(by_https, where, authority.client_context())
        policy = b"version: STSv1\r\nmode: enforce\r\nmx: mail.home.example\r\nmax_age: 604800\r\n"
        assert (b"HTTP/1.1 200 ", policy) == (answer[:13], answer.partition(b"\r\n\r\n")[2])


async def test_without_a_certificate_or_a_place_nothing_is_served(
    alices: Home, bobs: Home, tmp_path: Path, running: Run
) -> None:
    tls = tls_of(Authority(tmp_path / "tls").certificate("localhost"))
    async with running(alices) as desk, running(bobs, tls=tls, http=HttpConfig(host="")) as other:
        assert [None, None] == [status_of(one)["listen"]["http"] for one in (desk, other)]


async def test_a_renewed_certificate_is_shown_by_all_listeners_of_the_running_node(
    alices: Home, tmp_path: Path, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.runtime.certificate.LOOK_S", 0.01)
    authority = Authority(tmp_path / "tls")
    shown, new = (
        authority.certificate("localhost", "old.example"),
        authority.certificate("localhost", "new.example"),
    )
    async with running(alices, tls=tls_of(shown)) as desk:
        listen, client = status_of(desk)["listen"], authority.client_context()
        shown.key.write_bytes(new.key.read_bytes())
        shown.chain.write_bytes(new.chain.read_bytes())
        wanted = (("DNS", "localhost"), ("DNS", "new.example"))
        with trio.fail_after(BOUND):
            while (await trio.to_thread.run_sync(by_https, listen["http"], client))[0] != wanted:  # noqa: ASYNC110 - files have no event
                await trio.sleep(0.01)
        for name in ("smtp", "submission"):
            assert wanted == await trio.to_thread.run_sync(by_smtp, listen[name], client)
