"""Signatures that we make hold for us and for others' verifiers, whatever the message; bent ones do not."""

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import replace

import dkim  # type: ignore[import-untyped]  # no stubs exist
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from node.domains.keys import DkimKey, new_keys
from node.mailauth import Hop, Proof, Signer, sign_message
from node.mailauth.body import MAX_LINE, PIECE, canonical_body, relaxed_digest
from node.mailauth.header import split_header
from node.mailauth.keys import find_keys
from node.mailauth.signature import Signature, parse_signature
from node.mailauth.signing import MAX_LISTED, _relaxed, _selected, over_digest
from node.mailauth.verify import Task, verify_all
from protocol.errors import RemoteProtocolError
from tests.kit.auth_rfcs import RFC8463_ED25519
from tests.kit.auth_rfcs import RFC8463_MESSAGE as RFC8463
from tests.kit.corpus import mails
from tests.kit.mailauths import mail_auth
from tests.kit.names_server import Names, open_names
from tests.kit.perl_dkim import needs_perl_dkim, perl_results
from tests.mailauth.test_prove import RAW

NOW_S = 1_800_000_000
HOLDS = ("", "")
SEED = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")  # RFC 8463 §A.2


@functools.cache
def keys() -> tuple[DkimKey, ...]:
    return tuple(replace(key, selector=key.algorithm[0]) for key in new_keys(NOW_S * 1000))


def signers() -> list[Signer]:
    return [key.signer("example.org") for key in keys()]


def publish(names: Names) -> None:
    for key in keys():
        names.txt(key.name("example.org"), key.txt)


def verdicts(raw: bytes, most: int = 2) -> tuple[str, ...]:
    """What our own check says of each signature of ours."""
    found: list[tuple[Signature, tuple[bytes, ...]]] = []
    for number, (_, value) in enumerate(split_header(raw).named(b"dkim-signature")[:most]):
        signature = parse_signature(value, number, NOW_S)
        key = next(key for key in keys() if key.selector == signature.selector)
        found.append((signature, find_keys([key.txt.encode()], signature)))
    (outcome,) = verify_all([Task(raw, tuple(found))])
    return outcome


async def test_they_hold_for_us_and_for_others() -> None:
    signed = sign_message(RAW, signers())
    assert signed.endswith(RAW)
    records = {f"{key.name('example.org')}.".encode(): key.txt.encode() for key in keys()}
    other = dkim.DKIM(signed)
    assert [True, True] == [other.verify(n, lambda name, timeout: records[name]) for n in (0, 1)]
    async with open_names() as names:
        publish(names)
        results = ("example.org: pass", "example.org: pass")
        assert (
            Proof(("example.org",), (), results)
            == (await mail_auth(names).judge(signed, Hop("", "", ""), "")).proof
        )


@needs_perl_dkim
async def test_another_program_finds_the_same() -> None:
    """Debian's Mail::DKIM does not know Ed25519: it must pass over that one and believe the other."""
    strange = RAW.replace(b"Subject: dinner", b"SUBJECT \t dinner".replace(b" \t", b":\t  ")).replace(
        b"\r\n\r\n", b"\r\nList-Id: <x.example>\r\nX-Other: 1\r\n\r\n  \t  a \t b  \r\n"
    )
    async with open_names() as names:
        publish(names)
        for raw in (RAW, strange, RAW.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", RAW + b"\r\n" * 9):
            found = dict(await perl_results(sign_message(raw, signers()), names))
            assert ("pass", False) == (found["rsa-sha256"], found.get("ed25519-sha256") == "fail")
        bent = sign_message(RAW, signers()).replace(b"Come", b"Gone")
        assert "fail" == dict(await perl_results(bent, names))["rsa-sha256"]


def test_the_bytes_that_are_covered_are_those_of_the_rfc() -> None:
    """RFC 8463 §A.3: an Ed25519 signature has one value only."""
    header = split_header(RFC8463)
    value = header.fields[0][1]
    signature = parse_signature(value, 0, NOW_S)
    covered = b"".join(_relaxed(*one) + b"\r\n" for one in _selected(header, signature.signed))
    covered += _relaxed(b"DKIM-Signature", value[: value.index(b" b=") + 3])
    sign = over_digest(lambda data: SigningKey(SEED).sign(data).signature)
    assert (signature.value, signature.body_hash) == (sign(covered), relaxed_digest(RFC8463, header.body_at))
    key = SigningKey(SEED).verify_key
    assert Signer("d", "s", "ed25519-sha256", bytes(key), sign).is_published([RFC8463_ED25519.encode()])


def can_be_signed(raw: bytes) -> bool:
    """Whether its header is one that every verifier sees alike, with a From."""
    try:
        return bool(split_header(raw).named(b"from"))
    except RemoteProtocolError:
        return False


def test_every_real_mail_that_can_be_signed_verifies() -> None:
    for number, (name, raw) in enumerate(mails()):
        if can_be_signed(raw):
            signed = sign_message(raw, [signers()[number % 2]])
            assert (name, "", True) == (name, verdicts(signed, 1)[0], signed.endswith(raw))
        else:
            with pytest.raises(RemoteProtocolError):
                sign_message(raw, signers())
    assert sum(can_be_signed(raw) for _, raw in mails()) > 0.8 * len(mails())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Come  home", b"Come  hom"),
        (b"To: bob@", b"To: eve@"),
        (b"From: Ann", b"From: Eve"),
        (b"Message-ID", b"From: eve@example.net\r\nMessage-ID"),
        (b"Message-ID", b"Subject: other\r\nMessage-ID"),
        (b"Message-ID", b"Cc: eve@example.net\r\nMessage-ID"),
        (b"Message-ID", b"Reply-To: eve@example.net\r\nMessage-ID"),
        (b"Message-ID", b"Content-Type: text/html\r\nMessage-ID"),
        (b"Message-ID", b"References: <x@example.net>\r\nMessage-ID"),
        (b"d=example.org", b"d=example.net"),
    ],
)
def test_what_is_changed_or_added_on_the_way_breaks_them(before: bytes, after: bytes) -> None:
    signed = sign_message(RAW, signers())
    assert before in signed
    assert "" not in verdicts(signed.replace(before, after))


@pytest.mark.parametrize(
    "added", [b"Received: from x\r\n", b"List-Id: <l.example>\r\n", b"Sender: l@x.example\r\n"]
)
def test_what_servers_and_lists_add_does_not(added: bytes) -> None:
    assert HOLDS == verdicts(added + sign_message(RAW, signers()))


def test_white_space_that_is_changed_on_the_way_does_not() -> None:
    signed = (
        sign_message(RAW, signers())
        .replace(b"  is  ready", b"\tis ready")
        .replace(b"Ann\t\r\n", b"Ann\r\n\r\n")
    )
    assert HOLDS == verdicts(signed)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Subject: x\r\n\r\nHello\r\n",
        RAW.replace(b"\r\n", b"\n"),
        b"no field\r\n" + RAW,
        b"To: x@example.org\r\n" * MAX_LISTED + RAW,
        RAW + b" " * (MAX_LINE + PIECE),
    ],
)
def test_what_some_would_read_otherwise_is_not_signed(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        sign_message(raw, signers())


pieces = st.sampled_from([b"\r\n", b"\r\n\r\n", b" ", b"\t", b"  ", b"a", b"\n", b"\r", b".", b"\xff"])


@given(st.lists(pieces, max_size=40).map(b"".join), st.integers(0, 12), st.integers(0, 3))
def test_a_body_in_pieces_has_the_digest_of_the_whole(body: bytes, piece: int, start: int) -> None:
    whole = hashlib.sha256(canonical_body(body[start:], "relaxed")).digest()
    assert whole == relaxed_digest(body, min(start, len(body)), piece)


names_ = st.sampled_from([b"To", b"Cc", b"X-a", b"SUBJECT", b"List-Id", b"Content-Type", b"DKIM-Signature"])
values = st.lists(st.sampled_from([b" ", b"\t", b"a", b";b=", b"\r\n ", b"\xc3\xbc", b"="]), max_size=12).map(
    b"".join
)


@settings(max_examples=60)
@given(st.lists(st.tuples(names_, values), max_size=8), st.lists(pieces, max_size=20).map(b"".join))
def test_any_header_that_can_be_cut_is_signed_so_that_it_holds(
    fields: Sequence[tuple[bytes, bytes]], body: bytes
) -> None:
    header = b"".join(name + b":" + value + b"\r\n" for name, value in fields)
    raw = b"From: ann@example.org\r\n" + header + b"\r\n" + body
    try:
        split_header(raw)
    except RemoteProtocolError:
        return
    assert HOLDS == verdicts(sign_message(raw, signers()))
