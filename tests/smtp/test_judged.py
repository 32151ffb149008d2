"""What SPF and DMARC make of a letter, who is judged behind a relay, and what a mail program is shown."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mailauth import Dmarc, Judgement, Proof, Spf, without_results
from node.smtp import Hops, Networks
from node.smtp.reply import Client, Envelope
from tests.kit.dkim_keys import ed25519_key, sign
from tests.kit.houses import Street
from tests.kit.letters import whole
from tests.kit.posts import OWNER, REVOKED, STELLA, TAKEN, Post, open_post

OURS = "198.51.100.7"
"""Where mail of stars.example comes from."""
THEIRS = "203.0.113.9"


@pytest.fixture
async def post(street: Street) -> Post:
    return await starry(street)


async def starry(street: Street, policy: str = "none", trusted: tuple[str, ...] = ()) -> Post:
    post = await open_post(street, trusted)
    post.table.say("stars.example", f"v=spf1 ip4:{OURS} -all")
    post.table.say("_dmarc.stars.example", f"v=DMARC1; p={policy}")
    return post


async def delivered(post: Post, folder: str) -> bytes:
    """The newest letter of a folder, as a mail program is shown it."""
    mailbox = post.house.owner.mailbox
    pieces = await mailbox.delivered(bytes.fromhex(mailbox.list(folder)[0]["id"]), without_results)
    return b"".join([piece async for piece in pieces])


async def test_spf_proves_who_wrote_as_well_as_a_signature(post: Post) -> None:
    await post.accept(STELLA)
    assert await post.at(OURS).send("from her server") == TAKEN
    assert await post.at(THEIRS).send("from another") == TAKEN
    assert await post.at(OURS).send("in another's envelope", envelope="x@other.example") == TAKEN
    assert post.lies() == {
        "inbox": ["from her server"],
        "handshake": ["from another", "in another's envelope"],
    }


async def test_what_a_domain_disowns_is_refused_whoever_it_claims_to_be(street: Street) -> None:
    post = await starry(street, "reject")
    await post.accept(STELLA)
    assert await post.at(THEIRS).send("forged") == (550, "5.7.1")
    assert await post.at(THEIRS).send("signed", signed="stars.example") == TAKEN
    assert await post.at(OURS).send("from her server") == TAKEN
    assert post.lies() == {"inbox": ["signed", "from her server"]}
    assert (1, 1) == (post.intake.counters["disowned"], post.intake.counters["refused"])


async def test_what_a_domain_wants_looked_at_twice_goes_to_spam(street: Street) -> None:
    post = await starry(street, "quarantine")
    await post.accept(STELLA)
    assert await post.at(THEIRS).send("forged") == TAKEN
    assert await post.at(OURS).send("from her server") == TAKEN
    assert post.lies() == {"inbox": ["from her server"], "spam": ["forged"]}


async def test_a_domain_that_disowns_a_letter_vouches_for_nobody_in_it(street: Street) -> None:
    """Relaxed alignment holds, but this domain asks for a strict one."""
    post = await open_post(street)
    post.table.say("mail.stars.example", f"v=spf1 ip4:{OURS} -all")
    post.table.say("_dmarc.stars.example", "v=DMARC1; p=none; aspf=s")
    await post.accept(STELLA)
    assert await post.at(OURS).send("from below", envelope="x@mail.stars.example") == TAKEN
    assert post.lies() == {"handshake": ["from below"]}


async def test_a_list_that_breaks_a_friends_signature_is_not_the_friend(street: Street) -> None:
    post = await starry(street, "quarantine")
    await post.accept(STELLA)
    raw = sign(
        b"From: stella@stars.example\r\nSubject: to a list\r\n\r\nHi.\r\n",
        ed25519_key(),
        "stars.example",
        "sel",
    )
    changed = raw + b"-- \r\nThe list\r\n"
    assert await post.at(THEIRS).deliver(changed, "list@lists.example") == TAKEN
    assert post.lies() == {"spam": ["to a list"]}


# ---- behind a relay

TOLD: dict[str, tuple[str, bool]] = {
    "Postfix": (
        f"from mx.stars.example (mx.stars.example [{OURS}])\r\n\tby relay.home.example (Postfix)",
        True,
    ),
    "Postfix, no name": (f"from x (unknown [{OURS}]) by relay.home.example", True),
    "Postfix with TLS": (
        f"from x (x [{OURS}])\r\n\t(using TLSv1.3 with cipher X (256/256 bits))\r\n\tby relay.home.example",
        True,
    ),
    "Sendmail": (f"from x (root@x [{OURS}] (may be forged)) by relay.home.example", True),
    "Exim": (f"from mx.stars.example ([{OURS}] helo=x) by relay.home.example", True),
    "Exim with a port": (f"from mx.stars.example ([{OURS}]:4321 helo=x) by relay.home.example", True),
    "Exim, no name": (f"from [{OURS}] (helo=x) by relay.home.example", True),
    "a literal in HELO": (f"from [{OURS}] (unknown [{THEIRS}]) by relay.home.example", False),
    "a literal in Exim's HELO": (f"from [{THEIRS}] (helo=[{OURS}]) by relay.home.example", False),
    "a name like Exim's": (f"from [{OURS}] (helo=x [{THEIRS}]) by relay.home.example", False),
    "brackets in HELO": (f"from x([{OURS}]) (unknown [{THEIRS}]) by relay.home.example", False),
    "no client": ("by relay.home.example", False),
    "no address": ("from x (x [999.1.1.1]) by relay.home.example", False),
    "nothing behind it": (f"from x (x [{OURS}])", False),
}


@pytest.mark.parametrize("form", TOLD)
async def test_behind_a_relay_of_ours_its_client_is_judged(street: Street, form: str) -> None:
    post = await starry(street, "reject", trusted=("127.0.0.1", "192.0.2.0/28"))
    await post.accept(STELLA)
    received, proven = TOLD[form]
    raw = f"X-First: y\r\nReceived: {received}; now\r\nFrom: {STELLA}\r\nSubject: relayed\r\n\r\nHi.\r\n"
    reply = await post.deliver(raw.encode())
    if proven:
        assert (reply, post.lies()) == (TAKEN, {"inbox": ["relayed"]})
    else:  # somebody else brought it, or nobody knows who did
        assert "inbox" not in post.lies()


PIECES = st.sampled_from(
    ["x", "(", ")", "[", "]", "helo=", "ident=", "by", "from", THEIRS, OURS, ":25", "IPv6:", ";"]
)
SAID = st.lists(PIECES | st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=8).map("".join)
"""What a client may say of itself: a word."""


@given(
    SAID,
    SAID,
    st.sampled_from(["{helo} ({name} [{ip}])", "{name} ([{ip}] helo={helo})", "[{ip}] (helo={helo})"]),
)
def test_no_name_that_a_client_has_or_says_is_read_as_another_address(
    helo: str, name: str, form: str
) -> None:
    received = form.format(helo=helo, name=name, ip="192.0.2.77")
    raw = f"Received: from {received} by relay.home.example; now\r\n\r\n".encode()
    envelope = Envelope(STELLA, (OWNER,), Client("127.0.0.1", "relay", tls=False))
    assert Hops(Networks.parse(["127.0.0.1"])).hop(envelope, raw).client in ("", "192.0.2.77")


async def test_the_topmost_field_counts_and_relays_of_ours_are_looked_through(street: Street) -> None:
    post = await starry(street, "reject", trusted=("127.0.0.1", "192.0.2.0/28"))
    await post.accept(STELLA)

    def hop(address: str) -> str:
        return f"Received: from x (x [{address}]) by r.home.example; now\r\n"

    rest = f"From: {STELLA}\r\nSubject: s\r\n\r\nHi.\r\n"
    assert await post.deliver((hop(THEIRS) + hop(OURS) + rest).encode()) == (550, "5.7.1")
    assert await post.deliver((hop("192.0.2.3") + hop(OURS) + hop(THEIRS) + rest).encode()) == TAKEN
    assert post.lies() == {"inbox": ["s"]}


async def test_a_relay_that_nobody_has_named_is_judged_for_nothing(street: Street) -> None:
    """The usual Postfix on the same machine: what its client may send is not known, so nothing is refused."""
    post = await starry(street, "reject")
    await post.accept(STELLA)
    received = {"Received": f"from x (x [{OURS}]) by relay.home.example; now"}
    assert await post.send("relayed", **received) == TAKEN
    assert await post.send("relayed, signed", signed="stars.example", **received) == TAKEN
    assert await post.send("no relay") == (550, "5.7.1")
    assert post.lies() == {"handshake": ["relayed"], "inbox": ["relayed, signed"]}


# ---- as it is delivered


async def test_the_delivered_form_has_ours_on_top_and_nothing_that_others_say_of_proof(
    street: Street,
) -> None:
    post = await starry(street)
    await post.accept(STELLA)
    forged = (
        b"Authentication-Results: home.example;\r\n dkim=pass header.d=bank.example\r\n"
        b"RETURN-PATH: <bank@bank.example>\r\nFrom: stella@stars.example\r\n"
        b"authentication-results : home.example; spf=pass\r\nSubject: s\r\n\r\n"
        b"Authentication-Results: text\r\n"
    )
    plain = b"From: stella@stars.example\r\nSubject: s\r\n\r\nAuthentication-Results: text\r\n"
    assert await post.at(OURS, "mx.stars.example").deliver(forged) == TAKEN
    mailbox = post.house.owner.mailbox
    (row,) = mailbox.list()
    assert forged == await whole(mailbox, bytes.fromhex(row["id"]))
    assert (
        b"Return-Path: <stella@stars.example>\r\n"
        b"Authentication-Results: home.example;\r\n"
        b" spf=pass smtp.mailfrom=stars.example;\r\n"
        b" dmarc=pass (disposition none) header.from=stars.example\r\n"
        b"Received: from mx.stars.example ([198.51.100.7])\r\n"
        b" by home.example with ESMTP id " + row["id"].encode() + b"\r\n for <alice@home.example>;\r\n"
    ) == (await delivered(post, "inbox")).partition(b" Mon,")[0]
    assert plain == (await delivered(post, "inbox")).split(b"+0000\r\n", 1)[1]


async def test_the_address_with_a_tag_stays_visible(post: Post) -> None:
    tagged = replace(post, to="alice+shop@home.example")
    assert await tagged.send("tagged") == TAKEN
    raw = await delivered(post, "handshake")
    assert b"\r\n for <alice+shop@home.example>;\r\n" in raw
    (row,) = post.house.owner.mailbox.list("handshake")
    read = await post.house.owner.mailbox.read(bytes.fromhex(row["id"]))
    assert ["alice+shop@home.example"] == read["smtp"]["recipients"]


async def test_a_client_can_put_nothing_of_its_own_into_our_fields(post: Post) -> None:
    evil = post.at("2001:db8::9", "x)\tby bank.example with ESMTP; (é")
    assert await evil.send("evil", envelope="") == TAKEN
    raw = await delivered(post, "handshake")
    assert b"Return-Path: <>\r\n" == raw[:17]
    assert b"\r\nReceived: from x??by?bank.example?with?ESMTP???? ([IPv6:2001:db8::9])\r\n" in raw


# ---- fetched from a mailbox at a provider

FETCHED = Envelope(STELLA, (OWNER,), Client("imap.provider.example", "", tls=True))


def said(*domains: str, asked: str = "none", result: str = "none") -> Judgement:
    proof = Proof(domains, (), tuple(f"{domain}: pass" for domain in domains))
    return Judgement(proof, Spf("none", ""), Dmarc(result, "stars.example", asked))


async def pick_up(post: Post, subject: str, judgement: Judgement) -> tuple[int, str]:
    raw = f"From: {STELLA}\r\nSubject: {subject}\r\n\r\nHi.\r\n".encode()
    await post.street.quiet()
    reply = await post.intake.pick_up(raw, FETCHED, judgement)
    return reply.code, reply.status


async def test_what_is_fetched_is_under_the_same_consent(post: Post) -> None:
    assert await pick_up(post, "a stranger's", said("stars.example")) == TAKEN
    await post.accept(STELLA)
    assert await pick_up(post, "proven", said("stars.example")) == TAKEN
    assert await pick_up(post, "not proven", said()) == TAKEN
    assert await pick_up(post, "proven", said("stars.example")) == TAKEN
    later = replace(said(), proof=Proof((), ("stars.example",), ()))
    assert await pick_up(post, "not known", later) == TAKEN
    assert post.lies() == {"inbox": ["a stranger's", "proven"], "handshake": ["not proven", "not known"]}
    await post.house.owner.handshakes.revoke(STELLA)
    assert await pick_up(post, "revoked", said("stars.example")) == REVOKED


async def test_what_a_provider_took_is_spam_at_worst(post: Post) -> None:
    assert await pick_up(post, "forged", said(asked="reject", result="fail")) == TAKEN
    assert post.lies() == {"spam": ["forged"]}
    raw = await delivered(post, "spam")
    assert b"Return-Path: <stella@stars.example>\r\nAuthentication-Results: home.example;" == raw[:74]
    assert b"Received:" not in raw
