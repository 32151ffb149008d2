import asyncio
import os
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import trio
import trio.testing

from node.runtime.certificate import LOOK_S, ServerCertificate, Shown, server_certificate
from node.runtime.clock import SystemClock
from node.runtime.errors import NodeError
from node.runtime.rooms import Warning_
from tests.kit.certificates import DAY, Authority, Certificate

LEFT = 10 * DAY  # of the kit's certificates


class Later:
    """A clock that is ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = round(ahead.total_seconds() * 1000)

    def now(self) -> int:
        return SystemClock().now() + self._ahead


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def live(tmp_path: Path, authority: Authority) -> Certificate:
    """The files that the settings name."""
    found = Certificate(tmp_path / "chain.pem", tmp_path / "key.pem")
    put(authority.certificate("one.example"), found)
    return found


def put(new: Certificate, live: Certificate) -> None:
    put_file(new.chain, live.chain)
    put_file(new.key, live.key)


def put_file(new: Path, live: Path) -> None:
    """As ACME clients do it: in one step, with the right mode."""
    fresh = live.with_suffix(".new")
    shutil.copy(new, fresh)
    fresh.chmod(0o600)
    os.replace(fresh, live)  # noqa: PTH105 - the same in words


def opened(live: Certificate, clock: SystemClock | Later | None = None) -> ServerCertificate:
    found = server_certificate(str(live.chain), str(live.key), clock or SystemClock())
    assert found is not None
    return found


@contextmanager
def talking(
    server: ServerCertificate, client: ssl.SSLContext
) -> Iterator[tuple[ssl.SSLObject, ssl.SSLObject]]:
    """Both ends of a connection in memory, after its handshake."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.context.wrap_bio(up, down, server_side=True)
    ours = client.wrap_bio(down, up, server_hostname=None)
    waiting = [ours, theirs]
    for _ in range(8):
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    assert [] == waiting
    yield ours, theirs


def names_shown(server: ServerCertificate, authority: Authority) -> list[str]:
    client = authority.client_context()
    client.check_hostname = False
    with talking(server, client) as (ours, _):
        certificate = ours.getpeercert()
        assert certificate is not None
        found = certificate["subjectAltName"]
        assert isinstance(found, tuple)
        return [str(value) for _, value in found]


def test_a_new_pair_is_shown_and_open_connections_go_on(authority: Authority, live: Certificate) -> None:
    server, client = opened(live), authority.client_context()
    client.check_hostname = False
    with talking(server, client) as (ours, theirs):
        put(authority.certificate("two.example"), live)
        server.look()
        assert ["two.example"] == names_shown(server, authority)
        theirs.write(b"still here")
        assert b"still here" == ours.read()
    assert ([], ("two.example",)) == (
        [one for one in server.warnings() if one.code != "tls-expiry"],
        server.shown.names,
    )


def test_another_kind_of_key_leaves_nothing_of_the_old_one(authority: Authority, live: Certificate) -> None:
    """OpenSSL keeps a certificate for each kind of key: an old RSA one would still be shown to some."""
    put(authority.certificate("rsa.example", kind="rsa"), live)
    server = opened(live)
    assert ["rsa.example"] == names_shown(server, authority)
    put(authority.certificate("ec.example"), live)
    server.look()
    old = authority.client_context()
    old.check_hostname = False
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    with pytest.raises(ssl.SSLError), talking(server, old):
        pass
    assert ["ec.example"] == names_shown(server, authority)


@pytest.mark.parametrize("damage", ["half", "garbage", "gone", "folder", "empty"])
def test_what_cannot_be_used_changes_nothing_and_is_told(
    authority: Authority, live: Certificate, damage: str
) -> None:
    server, new = opened(live), authority.certificate("two.example")
    if damage == "half":
        put_file(new.chain, live.chain)
    else:
        live.chain.unlink()
    if damage == "garbage":
        live.chain.write_bytes(b"-----BEGIN CERTIFICATE-----\nx\n")
    elif damage == "folder":
        live.chain.mkdir()
    elif damage == "empty":
        live.chain.touch()
    server.look()
    assert ["one.example"] == names_shown(server, authority)
    told = [(one.code, bool(one.remedy)) for one in server.warnings() if one.code != "tls-expiry"]
    assert [("tls-reload", True)] == told
    if damage == "folder":
        live.chain.rmdir()
    put(new, live)
    server.look()
    assert (None, ["two.example"]) == (server.fault, names_shown(server, authority))


def test_a_half_written_pair_is_tried_again_though_no_file_changed(
    authority: Authority, live: Certificate, tmp_path: Path
) -> None:
    """Its time, size and place may be the same where it was seen in the middle of being written."""
    server, new = opened(live), authority.certificate("two.example")
    old_key = tmp_path / "old.key"
    shutil.copy(live.key, old_key)
    put(new, live)
    stamp = live.key.stat()
    inside = live.key.read_bytes()
    live.key.write_bytes(old_key.read_bytes())
    os.utime(live.key, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    server.look()
    assert server.fault is not None
    live.key.write_bytes(inside)
    os.utime(live.key, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    server.look()
    assert ["two.example"] == names_shown(server, authority)


async def test_it_is_looked_for_once_a_minute(
    authority: Authority, live: Certificate, autojump_clock: trio.testing.MockClock
) -> None:
    server = opened(live)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await trio.testing.wait_all_tasks_blocked()
        put(authority.certificate("two.example"), live)
        await trio.sleep(LOOK_S - 1)
        assert ("one.example",) == server.shown.names
        await trio.sleep(2)
        assert ("two.example",) == server.shown.names
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (-5 * DAY, None),
        (-3 * DAY, "ends in 12 days"),
        (8.5 * DAY, "ends in 1 day"),
        (9.5 * DAY, "ends today"),
        (10.5 * DAY, "has ended today"),
        (11.5 * DAY, "has ended 1 day ago"),
    ],
)
def test_its_end_is_told_two_weeks_before(live: Certificate, ahead: timedelta, said: str | None) -> None:
    server = opened(live, Later(ahead))
    told = [one for one in server.warnings() if one.code == "tls-expiry"]
    text = f"the certificate in {live.chain} {said}"
    expected = [Warning_("tls-expiry", text, "renew it: it is read anew within a minute")] if said else []
    assert expected == told


def test_a_key_that_everyone_can_read_is_told(live: Certificate) -> None:
    live.key.chmod(0o644)
    server = opened(live, Later(-5 * DAY))
    assert [(one.code, one.remedy) for one in server.warnings()] == [
        ("tls-key-open", f"chmod o-rwx {live.key}")
    ]
    live.key.chmod(0o640)
    assert [] == server.warnings()


def test_without_a_name_of_files_there_is_none() -> None:
    assert server_certificate(None, None, SystemClock()) is None
    for certificate, key in (("/a.pem", None), (None, "/a.pem")):
        with pytest.raises(NodeError, match="is not set"):
            server_certificate(certificate, key, SystemClock())


def test_what_fits() -> None:
    shown = Shown(("mail.example.org", "*.example.net", "192.0.2.1"), 0)
    hosts = [
        "MAIL.example.org.",
        "a.example.net",
        "a.b.example.net",
        "example.net",
        "192.0.2.1",
        "192.0.2.2",
        "",
    ]
    assert [True, True, False, False, True, False, False] == [shown.fits(one) for one in hosts]


def test_it_is_what_asyncio_shows_too(authority: Authority, live: Certificate) -> None:
    """STARTTLS of the mail listeners goes through asyncio's own TLS."""
    server = opened(live)
    client = authority.client_context()

    async def shown() -> object:
        listener = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server.context
        )
        port = listener.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname="two.example"
        )
        found = writer.get_extra_info("peercert")["subjectAltName"]
        writer.close()
        listener.close()
        await loop.shutdown_default_executor()
        return found

    put(authority.certificate("two.example"), live)
    server.look()
    assert (("DNS", "two.example"),) == asyncio.run(shown())
