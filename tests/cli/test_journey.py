"""Two people, two nodes, only commands: an invitation, a letter, an answer, a refusal."""

from pathlib import Path

from tests.kit.commands import Commands, running


def test_two_people_meet(mailio: Commands, tmp_path: Path) -> None:
    alice, bob = tmp_path / "alice", tmp_path / "bob"
    addresses = [mailio(home, "init", "--json").json["address"] for home in (alice, bob)]
    with running(alice), running(bob):
        link = mailio(alice, "handshake", "link", "--json").json["link"]
        opened = mailio(bob, "handshake", "open", link, "--wait", "60s", "--json")
        assert (opened.code, opened.json["recipients"][0]["state"]) == (0, "delivered"), opened.out
        (row,) = mailio(alice, "handshake", "list", "--json").json
        assert (row["who"], row["status"]) == (addresses[1], "accepted")

        assert mailio(bob, "contact", "add", "Alice", link.partition("&i=")[0]).code == 0
        sent = mailio(
            bob, "send", "alice", "--subject", "Hello", "--body", "Do you read me?", "--wait", "60s"
        )
        assert (sent.code, sent.err.partition(";")[0].strip()) == (0, "Alice: delivered")
        (letter,) = mailio(alice, "list", "--json").json
        assert (letter["id"], letter["subject"], letter["read"]) == (letter["id"], "Hello", False)
        shown = mailio(alice, "read", letter["id"][:16])
        assert shown.out.endswith("\n\nDo you read me?\n")
        assert mailio(alice, "list", "--json").json == [letter | {"read": True}]
        (peer,) = mailio(alice, "peers", "--json").json
        assert peer.keys() >= {"peerId", "address", "via", "rtt", "agent", "since"}
        assert (peer["address"], peer["via"]) == (addresses[1], "direct")

        assert mailio(alice, "handshake", "revoke", addresses[1]).code == 0
        refused = mailio(bob, "send", "alice", "--subject", "Again", "--body", "x", "--wait", "60s", "--json")
        (recipient,) = refused.json["recipients"]
        assert (refused.code, recipient["state"], recipient["code"]) == (1, "refused", "5.8.2")
        assert "--wait" not in refused.err
        told = mailio(bob, "outbox").out
        assert "refused" in told
        assert "[5.8.2]" in told
