from datetime import timedelta
from pathlib import Path

import pytest

from node import doctor
from node.runtime.certificate import ServerCertificate, server_certificate
from node.runtime.clock import SystemClock
from node.runtime.errors import NodeError
from tests.kit.certificates import DAY, Authority


class Later:
    """A clock that is ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = round(ahead.total_seconds() * 1000)

    def now(self) -> int:
        return SystemClock().now() + self._ahead


@pytest.mark.parametrize(
    ("ahead", "hosts", "open_key", "states"),
    [
        (-6 * DAY, ["mail.example.org"], False, ["ok", "ok"]),
        (-6 * DAY, ["mail.example.org", "mta-sts.example.org"], False, ["ok", "warn"]),
        (-6 * DAY, [], True, ["ok", "skip", "warn"]),
        (0 * DAY, ["mail.example.org"], False, ["warn", "ok"]),
        (11 * DAY, ["mail.example.org"], False, ["fail", "ok"]),
    ],
)
async def test_what_is_said_of_a_certificate(
    tmp_path: Path, ahead: timedelta, hosts: list[str], open_key: bool, states: list[str]
) -> None:
    clock, files = Later(ahead), Authority(tmp_path).certificate("mail.example.org")
    if open_key:
        files.key.chmod(0o644)
    shown = server_certificate(str(files.chain), str(files.key), clock)
    found = await doctor.certificate(lambda: shown, lambda: hosts, clock)()
    assert states == [one.state for one in found]
    assert all(one.remedy for one in found if one.state != "ok")


async def test_none_is_set_and_one_that_cannot_be_used() -> None:
    (check,) = await doctor.certificate(lambda: None, list, SystemClock())()
    assert (check.check, check.state, bool(check.remedy)) == ("certificate", "skip", True)

    def broken() -> ServerCertificate | None:
        return server_certificate("/nowhere/a.pem", "/nowhere/b.pem", SystemClock())

    with pytest.raises(NodeError, match=r"/nowhere/a\.pem"):  # which a look tells as a fault
        await doctor.certificate(broken, list, SystemClock())()


async def test_a_new_pair_that_does_not_fit_together_is_told(tmp_path: Path) -> None:
    authority, clock = Authority(tmp_path), Later(-6 * DAY)
    files, other = authority.certificate("mail.example.org"), authority.certificate("mail.example.org")
    shown = ServerCertificate(files.chain, files.key, clock)
    files.chain.write_bytes(other.chain.read_bytes())
    shown.look()
    found = await doctor.certificate(lambda: shown, lambda: ["mail.example.org"], clock)()
    assert [("certificate", "warn"), ("certificate-names", "ok")] == [(one.check, one.state) for one in found]
    assert "the one before still is" in found[0].text
