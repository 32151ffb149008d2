"""What doctor finds of whole nodes: of a newcomer's, of one that is set up, and of one that does not run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio
from starlette.types import ASGIApp

from node.api import Base, make_api, make_public_api
from node.app import open_desk
from node.app.public import make_home, run_public
from node.runtime.config import Config
from node.runtime.home import Home
from node.runtime.sections import DnsConfig, LimitsConfig, SmtpConfig, TlsConfig
from tests.app.conftest import Run, config
from tests.kit.certificates import Authority
from tests.kit.homes import Caller
from tests.kit.names_server import Names, open_names

DOMAIN = "home.example"
FREE = LimitsConfig(price=1, free_disk=0)


async def examined(api: ASGIApp) -> dict[str, dict[str, str]]:
    """Every check by its name, as `/local/doctor` tells it; in the order that it was announced."""
    content = await Caller(api).content("GET", "/local/doctor")
    lines = [json.loads(line) for line in content.splitlines()]
    found = {line["look"]: line["checks"] for line in lines[1:]}
    assert sorted(lines[0]["looks"]) == sorted(found)
    return {check["check"]: check for look in lines[0]["looks"] for check in found[look]}


def states(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: check["state"] for name, check in found.items()}


async def test_a_newcomers_node_has_nothing_to_mend_and_says_what_could_be_set_up(
    alices: Home, running: Run
) -> None:
    async with open_names() as names, running(alices, dns=DnsConfig((names.address,))) as desk:
        found = await examined(make_api(desk))
    assert states(found) == {
        "node/clock": "ok",
        "node/disk": "ok",
        "node/files": "ok",
        "node/letters": "ok",
        "node/dns": "ok",
        "network/listening": "ok",
        "network/peers": "skip",
        "network/hosts": "skip",
        "mail/addresses": "skip",
        "mail/receiver": "ok",
        "mail/port-25": "skip",
        "mail/submission": "ok",
        "mail/https": "skip",
        "mail/certificate": "skip",
        "mail/smarthost": "skip",
        "mail/provider": "skip",
        "mail/reverse-dns": "skip",
        "mail/domains": "skip",
    }
    silent = [name for name, check in found.items() if check["state"] == "skip" and not check["remedy"]]
    assert ["mail/reverse-dns"] == silent  # which nobody needs who does not deliver
    assert {"localhost"} == {name for name, _, _ in names.questions}


async def test_a_domain_is_looked_at_with_all_its_records_until_they_are_published(
    alices: Home, running: Run, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "tls")
    files = authority.certificate(f"mail.{DOMAIN}", f"mta-sts.{DOMAIN}")
    sections: dict[str, Any] = {
        "smtp": SmtpConfig(port=0, domains=(DOMAIN,), sts="testing"),
        "tls": TlsConfig(str(files.chain), str(files.key)),
    }
    async with open_names() as names:
        sections["dns"] = DnsConfig((names.address,))
        async with running(alices, **sections) as desk:
            before = states(await examined(make_api(desk)))
            publish(names, desk.records_of(DOMAIN))
            after = states(await examined(make_api(desk)))
    ours = [name for name in before if name.startswith(f"{DOMAIN}/")]
    selectors = [name for name in ours if "/dkim-" in name]
    assert (2, 10) == (len(selectors), len(ours))
    needed = {f"{DOMAIN}/{name}" for name in ("mx", "address", "spf")} | set(selectors)
    assert needed == {name for name in ours if before[name] == "fail"}
    assert {"warn"} == {before[name] for name in ours if name not in needed}
    left = {name for name in ours if after[name] != "ok"}
    assert "ok" == after["mail/https"]
    assert left == {f"{DOMAIN}/mta-sts-policy"}  # port 443 of that name does not lead here
    assert ("ok", "warn") == (after["mail/certificate-names"], before["mail/certificate"])


def publish(names: Names, records: Sequence[Any]) -> None:
    for record in records:
        if record.type == "TXT":
            names.txt(record.name, record.value)
        elif record.type in ("A", "AAAA"):
            names.add(record.name, "A", "127.0.0.1")
        else:
            names.add(record.name, record.type, f"{record.value}.")


async def test_a_public_node_is_looked_at_too(tmp_path: Path) -> None:
    home, stop, found = Home(tmp_path / "public"), trio.Event(), dict[str, str]()
    await make_home(home, None)

    async def ready(base: Base) -> None:
        found.update(states(await examined(make_public_api(base))))
        stop.set()

    await run_public(home, config(), None, rooms=[], stop=stop, ready=ready)
    assert found == {
        "node/clock": "ok",
        "node/disk": "ok",
        "node/hosting": "ok",
        "network/listening": "ok",
        "network/peers": "skip",
    }


async def test_a_node_that_does_not_run_is_looked_at_as_far_as_can_be(alices: Home, tmp_path: Path) -> None:
    smtp = SmtpConfig(smarthost="smtp://127.0.0.1:1", domains=(DOMAIN,))
    tls = TlsConfig(str(tmp_path / "none.pem"), str(tmp_path / "none.key"))
    async with open_names() as names:
        settings = Config(smtp=smtp, tls=tls, dns=DnsConfig((names.address,)), limits=FREE)
        async with open_desk(alices, settings, None) as desk:
            found = await examined(make_api(desk))
    assert {"network/listening", "mail/receiver", "mail/submission"} == {
        name
        for name, check in found.items()
        if (check["state"], check["remedy"]) == ("skip", "start the node: mailio run")
    }
    assert {"mail/smarthost", "mail/certificate", f"{DOMAIN}/mx"} <= {
        name for name, check in found.items() if check["state"] == "fail"
    }
    assert "none.pem" in found["mail/certificate"]["text"]
