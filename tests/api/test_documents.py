"""What interface.md promises of each document, asked of real rooms."""

from dataclasses import replace

import pytest

from node.api import Desk
from node.api.people import with_names
from node.letters import Arrival, Transport
from node.runtime.rooms import Warning_
from node.storage import Batch
from tests.kit.homes import Caller, words
from tests.kit.letters import arrival
from tests.kit.owners import owner

BOB = owner("bob").address
NO_IDS = {"code": "unknown-recipient"}


async def test_who_we_are(call: Caller, desk: Desk) -> None:
    status, found = await call("GET", "/local/id")
    assert status == 200
    assert found == {
        "address": desk.identity.address,
        "did": f"did:mailio:{desk.identity.address}",
        "peerId": desk.peer_id,
        "addrs": [],
        "link": desk.identity.link(),
    }


async def test_how_things_stand(call: Caller, desk: Desk) -> None:
    status, found = await call("GET", "/api/v1/status")
    assert status == 200
    assert found.keys() >= {
        "address", "peerId", "listen", "peers", "reachability", "outbox", "hosts", "disk", "warnings",
    }  # fmt: skip
    assert found["address"] == desk.identity.address
    assert found["listen"] == {"libp2p": [], "http": None, "smtp": None, "submission": None, "imap": None}
    assert found["outbox"] == {"queued": 0, "failed": 0}
    assert found["disk"].keys() == {"used", "free"}
    unconfirmed = Warning_("words-unconfirmed", desk.identity.warnings()[0].text, "mailio words confirm")
    expected = {"code": unconfirmed.code, "text": unconfirmed.text, "remedy": unconfirmed.remedy}
    assert expected in found["warnings"]


async def test_what_needs_the_network_says_so(call: Caller) -> None:
    for method, path in (
        ("GET", "/local/peers"),
        ("POST", "/local/stop"),
        ("POST", "/api/v1/handshake/link"),
    ):
        status, found = await call(method, path)
        assert (503, "not-running") == (status, found["error"]["code"])
        assert found["error"]["remedy"] == "start the node with: mailio run"


async def test_the_words_are_compared_and_not_repeated(call: Caller, desk: Desk) -> None:
    wrong = words("bob")
    status, found = await call("POST", "/local/words", {"words": wrong})
    assert (409, "words-differ") == (status, found["error"]["code"])
    assert not set(wrong) & set(str(found).split())
    assert not desk.identity.confirmed
    assert (200, {"confirmed": True}) == await call("POST", "/local/words", {"words": words("alice")})
    assert desk.identity.confirmed


async def test_folders_come_and_go(call: Caller) -> None:
    _, before = await call("GET", "/api/v1/folder")
    assert before[0] == {"id": before[0]["id"], "name": "inbox", "totalMessages": 0, "unreadMessages": 0}
    status, made = await call("POST", "/api/v1/folder", {"name": "a/b & c"})
    assert (201, "a/b & c") == (status, made["name"])
    status, found = await call("POST", "/api/v1/folder", {"name": "A/B & C"})
    assert (409, "folder-exists") == (status, found["error"]["code"])
    status, renamed = await call("PUT", "/api/v1/folder/a%2Fb%20%26%20c", {"name": "choir"})
    assert (200, "choir") == (status, renamed["name"])
    assert (200, {"name": "choir", "moved": 0}) == await call("DELETE", "/api/v1/folder/choir")
    status, found = await call("DELETE", "/api/v1/folder/choir")
    assert (404, "no-folder") == (status, found["error"]["code"])
    assert (200, before) == await call("GET", "/api/v1/folder")


async def test_the_address_book(call: Caller) -> None:
    bob = {"name": "Bob", "address": BOB, "emails": ["bob@example.org"]}
    assert (201, bob) == await call(
        "POST", "/api/v1/contact", {"name": "Bob", "who": [BOB, "Bob@Example.org"]}
    )
    status, found = await call("POST", "/api/v1/contact", {"name": "bob", "who": [BOB]})
    assert (409, "contact-exists") == (status, found["error"]["code"])
    renamed = bob | {"name": "B/ob"}
    assert (200, renamed) == await call("PUT", "/api/v1/contact/bob", {"name": "B/ob"})
    assert (200, [renamed]) == await call("GET", "/api/v1/contact")
    assert (200, renamed) == await call("DELETE", "/api/v1/contact/b%2Fob")
    status, found = await call("DELETE", "/api/v1/contact/bob")
    assert (404, "unknown-recipient") == (status, found["error"]["code"])


async def test_a_letter_is_queued_and_its_copy_kept(call: Caller) -> None:
    await call("POST", "/api/v1/contact", {"name": "Bob", "who": [BOB]})
    body = {"to": ["bob"], "subject": "Grüße", "text": "Wie geht’s?\n"}
    status, sent = await call("POST", "/api/v1/message", body)
    assert status == 202
    assert sent.keys() >= {"id", "subject", "created", "recipients"}
    assert (sent["subject"], len(sent["id"])) == ("Grüße", 32)
    (recipient,) = sent["recipients"]
    assert recipient.keys() >= {"to", "route", "state", "code", "detail", "next"}
    assert (recipient["address"], recipient["route"], recipient["state"]) == (BOB, "mailio", "queued")
    assert (200, [sent]) == await call("GET", "/api/v1/outbox")
    assert (200, sent) == await call("GET", f"/api/v1/outbox/{sent['id'][:20]}", wait=0.01)

    _, (copy,) = await call("GET", "/api/v1/message", folder="sent")
    assert copy.keys() >= {
        "id", "from", "to", "subject", "created", "arrived", "folder", "read", "size", "attachments",
    }  # fmt: skip
    status, read = await call("GET", f"/api/v1/message/{copy['id']}")
    assert status == 200
    assert read == copy | {"text": "Wie geht’s?\n", "html": read["html"], "attachments": []}


async def test_recipients_are_judged_before_the_letter_is_written(call: Caller) -> None:
    known = {"known": True, "routes": ["mailio"]}
    assert (200, known) == await call("POST", "/local/recipients", {"who": [BOB]})
    status, found = await call("POST", "/local/recipients", {"who": [BOB, "nobody"]})
    assert (404, "unknown-recipient") == (status, found["error"]["code"])
    assert (200, []) == await call("GET", "/api/v1/outbox")


async def test_names_stand_beside_addresses(call: Caller) -> None:
    await call("POST", "/api/v1/contact", {"name": "Bob", "who": [BOB]})
    _, sent = await call("POST", "/api/v1/message", {"to": [BOB], "subject": "s", "text": "x"})
    assert (BOB, "Bob") == (sent["recipients"][0]["to"], sent["recipients"][0]["name"])
    _, (copy,) = await call("GET", "/api/v1/message", folder="sent")
    assert ([f"{BOB}@mailio.alt"], ["Bob"], None) == (copy["to"], copy["toNames"], copy["fromName"])
    await call("DELETE", "/api/v1/contact/Bob")
    _, (copy,) = await call("GET", "/api/v1/message", folder="sent")
    assert [None] == copy["toNames"]


async def test_a_letter_on_its_way_can_be_stopped(call: Caller) -> None:
    _, sent = await call("POST", "/api/v1/message", {"to": [BOB], "text": "x"})
    path = f"/api/v1/outbox/{sent['id']}"
    status, found = await call("POST", f"{path}/approve")
    assert (409, "nothing-to-approve") == (status, found["error"]["code"])
    status, found = await call("POST", f"{path}/retry")
    assert (200, "queued") == (status, found["recipients"][0]["state"])
    status, found = await call("POST", f"{path}/cancel")
    assert (200, "cancelled") == (status, found["recipients"][0]["state"])
    status, found = await call("POST", f"{path}/cancel")
    assert (409, "letter-ended") == (status, found["error"]["code"])
    status, found = await call("GET", "/api/v1/outbox/" + "0" * 32)
    assert (404, "no-such-letter") == (status, found["error"]["code"])


async def test_letters_are_sorted_and_deleted(call: Caller) -> None:
    await call("POST", "/api/v1/message", {"to": [BOB], "text": "x"})
    _, (copy,) = await call("GET", "/api/v1/message", folder="sent")
    path = f"/api/v1/message/{copy['id']}"
    change = {"folder": "archive", "read": False}
    assert (200, {"id": copy["id"]} | change) == await call("PATCH", path, change)
    _, (moved,) = await call("GET", "/api/v1/message", folder="archive")
    assert moved == copy | change
    assert (200, {"id": copy["id"], "erased": False}) == await call("DELETE", path)
    assert (200, {"id": copy["id"], "erased": True}) == await call("DELETE", path)
    status, found = await call("GET", path)
    assert (404, "no-letter") == (status, found["error"]["code"])


async def test_pages(call: Caller) -> None:
    for n in range(3):
        await call("POST", "/api/v1/message", {"to": [BOB], "subject": str(n), "text": "x"})
    _, first = await call("GET", "/api/v1/message", folder="sent", limit=2)
    _, second = await call("GET", "/api/v1/message", folder="sent", limit=2, before=first[-1]["id"])
    assert [["2", "1"], ["0"]] == [[one["subject"] for one in page] for page in (first, second)]


async def test_whom_we_refuse(call: Caller) -> None:
    status, row = await call("POST", "/api/v1/handshake/revoke", {"who": BOB})
    assert (200, "revoked") == (status, row["status"])
    _, (listed,) = await call("GET", "/api/v1/handshake")
    assert listed == row
    assert listed.keys() >= {
        "handshakeId", "who", "status", "type", "level", "created", "expires", "note", "waiting",
    }  # fmt: skip
    status, found = await call("POST", "/api/v1/handshake/request", {"who": BOB})
    assert (status, "revoked" in found["error"]["text"]) == (409, True)


async def test_unknown_people_types_and_routes(call: Caller) -> None:
    status, found = await call("POST", "/api/v1/message", {"to": ["nobody"], "text": "x"})
    assert (404, "unknown-recipient") == (status, found["error"]["code"])
    status, found = await call("POST", "/api/v1/handshake/accept", {"who": BOB, "type": "friend"})
    assert (400, "handshake-type") == (status, found["error"]["code"])
    status, found = await call("GET", "/api/v1/nothing")
    assert (404, "no-such-route") == (status, found["error"]["code"])
    status, found = await call("PUT", "/api/v1/status")
    assert (405, "no-such-method") == (status, found["error"]["code"])


async def test_app_passwords_come_and_go(call: Caller, desk: Desk) -> None:
    assert (200, []) == await call("GET", "/api/v1/user")
    status, made = await call("POST", "/api/v1/user", {"name": "Phone  of/Bob"})
    assert (201, {"name", "created", "password"}) == (status, made.keys())
    assert desk.users.check("phone of/bob", made["password"])
    listed = {"name": "Phone of/Bob", "created": made["created"]}
    assert (200, [listed]) == await call("GET", "/api/v1/user")
    status, found = await call("POST", "/api/v1/user", {"name": "phone of/bob"})
    assert (409, "user-exists") == (status, found["error"]["code"])
    assert (200, {"name": "Phone of/Bob"}) == await call("DELETE", "/api/v1/user/phone%20of%2fbob")
    assert not desk.users.check("Phone of/Bob", made["password"])
    status, found = await call("DELETE", "/api/v1/user/phone")
    assert (404, "no-such-user") == (status, found["error"]["code"])


async def test_a_secret_goes_in_and_never_comes_out(call: Caller, desk: Desk) -> None:
    nothing = {"smtp.smarthost": False, "files.kubo_api": False}
    assert (200, nothing) == await call("GET", "/local/secret")
    given = {"key": "smtp.smarthost", "value": "hunter 2!"}
    assert (200, {"key": "smtp.smarthost", "kept": True}) == await call("POST", "/local/secret", given)
    assert desk.passwords.smarthost() == "hunter 2!"
    assert (200, nothing | {"smtp.smarthost": True}) == await call("GET", "/local/secret")
    wrongs: tuple[dict[str, str], ...] = (
        {"key": "smtp.host", "value": "hunter 2!"},
        {"key": "files.kubo_api", "value": "hunter 2!"},
        given | {"value": "hunter 2!\n"},
    )
    for wrong in wrongs:
        status, found = await call("POST", "/local/secret", wrong)
        assert status == 409
        assert "hunter" not in str(found)
    status, found = await call("POST", "/local/secret", given | {"value": ["hunter"]})
    assert (400, False) == (status, "hunter" in str(found))
    removed = {"key": "smtp.smarthost", "removed": True}
    assert (200, removed) == await call("DELETE", "/local/secret/smtp.smarthost")
    assert desk.passwords.smarthost() == ""
    assert (200, removed | {"removed": False}) == await call("DELETE", "/local/secret/smtp.smarthost")


async def test_a_closed_store_tells_what_is_set_of_e_mail(call: Caller) -> None:
    _, found = await call("GET", "/api/v1/status")
    sending = {"state": "none", "host": "", "text": "", "password": "none"}
    assert {"addresses": [], "domains": [], "smarthost": sending, "direct": None} == found["smtp"]


BOOK = {"bob@example.org": "Bob", "zoë@xn--bcher-kva.example": "Zoë", BOB: "Bob"}


@pytest.mark.parametrize(
    ("mailbox", "name"),
    [
        (f"{BOB.upper()}@Mailio.alt", "Bob"),
        (BOB, None),
        (f"Eve <{BOB}@MAILIO.ALT>", "Bob"),
        (f"{BOB}@example.org", None),
        ("Eve <Bob@Example.org>", "Bob"),
        ("bob@example.org <eve@example.org>", None),
        ("bob@example.org <>", None),
        ("bob@example.org@mailio.alt", None),
        ("Zoë@Bücher.example", "Zoë"),
        ("<ü", None),
        ("", None),
    ],
)
def test_a_mailbox_is_who_its_address_says(mailbox: str, name: str | None) -> None:
    letter = {"author": None, "to": [mailbox]}
    assert {"fromName": None, "toNames": [name]} | letter == with_names(BOOK, letter)


def test_only_who_is_proven_gets_a_name() -> None:
    letter = {"author": "bob@example.org", "from": "Eve <eve@example.org>", "to": []}
    assert with_names(BOOK, letter)["fromName"] == "Bob"
    assert with_names(BOOK, letter | {"author": "", "from": "bob@example.org"})["fromName"] is None


EVE = "eve@example.org"
SERVER = Transport(EVE, ("alice@example.org",), "192.0.2.1", "mx.example.org", True, ("example.org: pass",))


def by_mail(number: int, author: str | None) -> Arrival:
    raw = f"From: Eve <{EVE}>\r\nSubject: Offer {number}\r\n\r\nBuy.\r\n".encode()
    return replace(arrival(number, raw=raw, folder="handshake", transport=SERVER), author=author)


async def test_accepting_an_e_mail_sender_moves_what_is_proven(call: Caller, desk: Desk) -> None:
    status, row = await call("POST", "/api/v1/handshake/revoke", {"who": EVE})
    assert (200, EVE, "revoked") == (status, row["address"], row["status"])
    batch = Batch()
    for letter in (by_mail(1, EVE), by_mail(2, None), by_mail(3, EVE)):
        desk.mailbox.take_in(batch, letter)
    await desk.store.write(batch)

    status, row = await call("POST", "/api/v1/handshake/accept", {"who": "Eve@Example.org"})
    assert (200, EVE, "accepted", 2) == (status, row["address"], row["status"], row["moved"])
    assert (200, []) == await call("GET", "/api/v1/outbox")
    status, row = await call("POST", "/api/v1/handshake/accept", {"who": EVE})
    assert (200, 0) == (status, row["moved"])

    await call("POST", "/api/v1/contact", {"name": "Eve", "who": [EVE]})
    _, inbox = await call("GET", "/api/v1/message")
    assert [("smtp", EVE, "Eve")] * 2 == [(one["via"], one["author"], one["fromName"]) for one in inbox]
    _, (kept,) = await call("GET", "/api/v1/message", folder="handshake")
    assert ("smtp", "", None) == (kept["via"], kept["author"], kept["fromName"])
    _, read = await call("GET", f"/api/v1/message/{kept['id']}")
    assert read["smtp"] == {
        "sender": EVE,
        "recipients": ["alice@example.org"],
        "client": "192.0.2.1",
        "helo": "mx.example.org",
        "tls": True,
        "signatures": ["example.org: pass"],
        "results": [],
        "bulk": False,
        "automatic": False,
    }
