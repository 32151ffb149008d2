"""`mailio host`: on a closed home what is said of hosts waits for the node; what is wrong is one line."""

from pathlib import Path

from tests.kit.commands import Commands

PEER = "12D3KooWJrFGmfBpgVoWHcQV8AvrfUphhjTcP6BvYhGVZ86jR7kb"
ADDRESS = f"/ip4/192.0.2.7/tcp/4101/p2p/{PEER}"
VOUCHER = "0f" * 16


def test_hosts_are_added_listed_and_removed(mailio: Commands, home: Path) -> None:
    assert "mailio host add ADDRESS" in mailio(home, "host", "list").err
    assert [] == mailio(home, "host", "list", "--json").json
    said = mailio(home, "host", "add", ADDRESS, "--voucher", VOUCHER)
    assert f"{PEER} is asked for an account once your node runs; see: mailio host list\n" == said.err
    (row,) = mailio(home, "host", "list", "--json").json
    assert (PEER, [ADDRESS], "opening", "owner") == (
        row["peerId"],
        row["addrs"],
        row["state"],
        row["origin"],
    )
    assert ([], 0, 0, False) == (row["roles"], row["behind"], row["revocations"], row["listed"])
    listed = mailio(home, "host", "list").out
    assert [PEER, "opening", "", "/ip4/192.0.2.7/tcp/4101"] == [
        cell for n, cell in enumerate(listed.rstrip("\n").split("\t")) if n != 2
    ]
    assert VOUCHER not in listed + said.err
    assert PEER in mailio(home, "host", "remove", PEER[:20]).err
    assert [] == mailio(home, "host", "list", "--json").json


def test_vouchers_are_made_by_a_running_node(mailio: Commands, home: Path, tmp_path: Path) -> None:
    assert "node-silent" == mailio(home, "host", "voucher", "--json").error["code"]
    assert "node-silent" == mailio(tmp_path / "none", "host", "voucher", "--json").error["code"]


def test_what_is_no_host_is_said_in_a_line(mailio: Commands, home: Path) -> None:
    assert "bad-address" == mailio(home, "host", "add", "host.example.org", "--json").error["code"]
    assert "no-host" == mailio(home, "host", "remove", PEER, "--json").error["code"]
    wrong = mailio(home, "host", "add", ADDRESS, "--voucher", "not hexadecimal", "--json")
    assert 0 != wrong.code
    assert [] == mailio(home, "host", "list", "--json").json
