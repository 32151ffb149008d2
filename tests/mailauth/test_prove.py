"""What signatures of every kind come to, through a DNS server and dkimpy; the kit makes them without it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from node.mailauth import MailAuth, Proof
from node.mailauth.room import LOOKUPS_S, MAX_SIGNATURES
from node.runtime.dns import Resolver
from node.runtime.together import MAX_TOGETHER
from node.runtime.worker import Worker, WorkerError, WorkerTimeout, open_worker
from tests.kit.auth_rfcs import RFC8463_ED25519, RFC8463_MESSAGE, RFC8463_RSA
from tests.kit.dkim_keys import Key, ed25519_key, rsa_key, sign
from tests.kit.mailauths import NOW, Here, mail_auth, prove
from tests.kit.names_server import Fault, Names, open_names

RAW = (
    b"From: Ann <ann@example.org>\r\n"
    b"To: bob@example.net\r\n"
    b"Subject: dinner\r\n"
    b"  is  ready\r\n"
    b"Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"\r\n"
    b"Come  home. \r\n"
    b"\r\n"
    b"Ann\t\r\n"
)
SELECTOR = "sel._domainkey.example.org"
PASS = Proof(("example.org",), (), ("example.org: pass",))


@dataclass(frozen=True)
class Case:
    """A message, what is published (by default the key), and what is proven."""

    raw: bytes
    expected: Proof
    txt: Sequence[str | bytes] = ()
    fault: Fault | None = None


def signed(key: Key | None = None, **options: object) -> bytes:
    return sign(RAW, key or rsa_key(), "example.org", "sel", **options)  # type: ignore[arg-type]  # of sign()


def fails(why: str) -> Proof:
    return Proof((), (), (f"example.org: fail ({why})",))


def later(why: str) -> Proof:
    return Proof((), ("example.org",), (f"example.org: later ({why})",))


def tags(**changed: str | None) -> bytes:
    return signed(tags=changed)


RSA, ED = rsa_key(), ed25519_key()
MISMATCH = "header changed, or another key"
WEAK = "an algorithm that proves nothing"

CASES = {
    "RSA-2048": Case(signed(), PASS),
    "Ed25519": Case(signed(ED), PASS, [ED.txt]),
    "RSA-1024": Case(signed(rsa_key(1024)), PASS, [rsa_key(1024).txt]),
    "RSA-768": Case(signed(rsa_key(768)), fails("the key has only 768 bits"), [rsa_key(768).txt]),
    "RSA-512": Case(signed(rsa_key(512)), fails("the key has only 512 bits"), [rsa_key(512).txt]),
    "simple/simple": Case(signed(canon="simple/simple"), PASS),
    "simple/relaxed": Case(signed(canon="simple/relaxed"), PASS),
    "relaxed/simple": Case(signed(canon="relaxed/simple"), PASS),
    "relaxed alone": Case(signed(canon="relaxed"), PASS),
    **{
        f"{name} above the signed one": Case(
            f"{name}: other\r\n".encode() + signed(), fails(f"{name.lower()} stands more than once")
        )
        for name in ("Subject", "DATE", "To", "Message-ID")
    },
    "two unsigned Content-Types": Case(
        b"Content-Type: text/html\r\nContent-Type: text/plain\r\n" + signed(),
        fails("content-type stands more than once"),
    ),
    "a Subject that may not be added": Case(
        b"Subject: other\r\n" + signed(headers=("from", "subject", "subject")),
        fails(MISMATCH),
    ),
    "two Subjects, both signed": Case(
        sign(b"Subject: other\r\n" + RAW, RSA, "example.org", "sel", headers=("from", "subject", "subject")),
        PASS,
    ),
    "no c=": Case(signed(canon="simple/simple", tags={"c": None}), PASS),
    "refolded, relaxed": Case(signed().replace(b"dinner\r\n  is", b"dinner is"), PASS),
    "refolded, simple": Case(
        signed(canon="simple").replace(b"dinner\r\n  is", b"dinner is"), fails(MISMATCH)
    ),
    "spaces in the body, relaxed": Case(signed().replace(b"Come  home. ", b"Come \t home."), PASS),
    "spaces in the body, simple": Case(
        signed(canon="relaxed/simple").replace(b"Come  home. ", b"Come home."), fails("body changed")
    ),
    "blank lines at the end": Case(signed() + b"\r\n\r\n\r\n", PASS),
    "blank lines at the end, simple": Case(signed(canon="simple/simple") + b"\r\n\r\n", PASS),
    "altered body": Case(signed() + b"PS: pay me\r\n", fails("body changed")),
    "altered From": Case(signed().replace(b"ann@", b"eve@"), fails(MISMATCH)),
    "a second From": Case(b"From: eve@example.com\r\n" + signed(), fails("from stands more than once")),
    "a field added that is not signed": Case(b"Received: from x by y\r\n" + signed(), PASS),
    "whole body in l=": Case(tags(l="19"), PASS),
    "short l=": Case(signed(tags={"l": "5"}, body=b"Come "), fails("a part of the body is not signed")),
    "l= and more body": Case(tags(l="19") + b"PS: pay me\r\n", fails("a part of the body is not signed")),
    "expired": Case(tags(t=str(NOW - 90_000), x=str(NOW - 4_000)), fails("expired")),
    "expires later": Case(tags(t=str(NOW - 90_000), x=str(NOW + 10)), PASS),
    "expires before it was made": Case(tags(t=str(NOW), x=str(NOW - 1)), fails("expired when it was made")),
    "from the future": Case(tags(t=str(NOW + 4_000)), fails("signed in the future")),
    "SHA-1": Case(signed(hash_name="sha1"), fails(WEAK)),
    "SHA-1 said to be SHA-256": Case(
        signed(hash_name="sha1", tags={"a": "rsa-sha256"}), fails("body changed")
    ),
    "unknown algorithm": Case(tags(a="rsa-sha512"), fails(WEAK)),
    "a= and key differ": Case(signed(), fails("the key is for another algorithm"), [ED.txt]),
    "other version": Case(tags(v="2"), fails("not version 1")),
    "From not signed": Case(signed(headers=["to", "subject"]), fails("From is not signed")),
    "no bh=": Case(tags(bh=None), fails("bh= is missing")),
    "i= elsewhere": Case(tags(i="ann@example.com"), fails("i= is not within d=")),
    "i= below": Case(tags(i="ann@mail.example.org"), PASS),
    "i= below, strict key": Case(
        tags(i="ann@mail.example.org"), fails("the key is not for subdomains"), [f"{RSA.txt}; t=s"]
    ),
    "strict key": Case(signed(), PASS, [f"{RSA.txt}; t=s"]),
    "key for tests": Case(signed(), fails("the key is for tests"), [f"{RSA.txt}; t=s:y"]),
    "revoked key": Case(signed(), fails("the key is revoked"), ["v=DKIM1; p="]),
    "key not for mail": Case(signed(), fails("the key is not for mail"), [f"{RSA.txt}; s=tlsrpt"]),
    "key for mail and more": Case(signed(), PASS, [f"{RSA.txt}; s=other:email"]),
    "key for SHA-1": Case(signed(), fails("the key is for another algorithm"), [f"{RSA.txt}; h=sha1"]),
    "key for both hashes": Case(signed(), PASS, [f"{RSA.txt}; h=sha1 : sha256"]),
    "key with p= alone": Case(signed(), PASS, [f"p={RSA.public}"]),
    "key in the other form": Case(signed(), PASS, [f"v=DKIM1; p={RSA.public_bare}"]),
    "spaces in the key": Case(
        signed(), PASS, [f" v = DKIM1 ;k=rsa; p= {RSA.public[:50]} {RSA.public[50:]} ;"]
    ),
    "quotes in the key": Case(signed(), fails("not a list of tag=value, each tag once"), [f'"{RSA.txt}"']),
    "v= is not first": Case(signed(), fails("no key is published"), [f"p={RSA.public}; v=DKIM1"]),
    "malformed record": Case(signed(), fails("not a list of tag=value, each tag once"), ["v=DKIM1; p"]),
    "not base64": Case(signed(), fails("p= is not base64"), ["v=DKIM1; p=MII*"]),
    "no RSA key": Case(signed(), fails("the key can't be read"), ["v=DKIM1; p=AAAA"]),
    "oversized record": Case(
        signed(), fails("the key's record is too long"), [f"{RSA.txt}; n={'x' * 4_096}"]
    ),
    "another key": Case(signed(), fails(MISMATCH), [rsa_key(2048, 1).txt]),
    "two keys": Case(signed(), PASS, [rsa_key(2048, 1).txt, RSA.txt]),
    "a key and something else": Case(signed(), PASS, ["v=spf1 -all", RSA.txt]),
    "no name": Case(signed(), fails("no key is published"), fault=Fault.NXDOMAIN),
    "truncated, then over TCP": Case(signed(), PASS, fault=Fault.TRUNCATED),
    "thousands of records": Case(signed(), fails("no key is published"), fault=Fault.OVERSIZED),
    "SERVFAIL": Case(
        signed(),
        later(f"{SELECTOR} could not be looked up: the name server failed (SERVFAIL)"),
        fault=Fault.SERVFAIL,
    ),
    "cut in the middle": Case(
        signed(),
        later(f"{SELECTOR} could not be looked up: the name server failed (EOFError)"),
        fault=Fault.CUT,
    ),
    "two signatures, one good": Case(
        sign(signed(), rsa_key(2048, 1), "example.net", "none"),
        Proof(
            ("example.org",),
            (),
            ("example.net: fail (no key is published)", "example.org: pass"),
        ),
    ),
    "two good ones of one domain": Case(
        sign(signed(), RSA, "example.org", "sel"),
        Proof(("example.org",), (), ("example.org: pass", "example.org: pass")),
    ),
    "no signature": Case(RAW, Proof((), (), ())),
    "a signature that is none": Case(
        b"DKIM-Signature: hello\r\n" + RAW,
        Proof((), (), ("a signature: fail (not a list of tag=value, each tag once)",)),
    ),
    "no domain": Case(tags(d="exa mple"), Proof((), (), ("a signature: fail (d= is no domain)",))),
    "NUL in the header": Case(
        b"X: \x00\r\n" + signed(), Proof((), (), ("header: fail (a bare CR or LF, or NUL, in the header)",))
    ),
    "a line that dkimpy passes over": Case(
        b"From : eve@example.com\r\n" + signed(),
        Proof((), (), ("header: fail (a line in the header that is no field)",)),
    ),
    "capitals": Case(signed(tags={"d": "Example.ORG", "s": "SEL"}), PASS),
}


def arrange(names: Names, case: Case) -> None:
    names.txt(SELECTOR, *(case.txt or [RSA.txt]))
    names.fault(SELECTOR, case.fault)


@pytest.mark.parametrize("name", CASES)
async def test_a_signature_comes_to(name: str) -> None:
    case = CASES[name]
    async with open_names() as names:
        arrange(names, case)
        assert case.expected == await prove(mail_auth(names), case.raw)


async def test_the_worker_process_says_the_same_of_all_at_once() -> None:
    """Those whose names are in order, in calls of several."""
    cases = [case for case in CASES.values() if not case.txt and not case.fault]
    proofs: dict[int, Proof] = {}
    async with open_names() as names, open_worker() as worker:
        names.txt(SELECTOR, RSA.txt)
        room = mail_auth(names, worker)

        async def one(number: int) -> None:
            proofs[number] = await prove(room, cases[number].raw)

        async with trio.open_nursery() as nursery:
            for number in range(len(cases)):
                nursery.start_soon(one, number)
    assert [case.expected for case in cases] == [proofs[number] for number in range(len(cases))]


async def test_the_example_of_rfc_8463_holds() -> None:
    async with open_names() as names:
        names.txt("brisbane._domainkey.football.example.com", RFC8463_ED25519)
        names.txt("test._domainkey.football.example.com", RFC8463_RSA)
        room = mail_auth(names)
        expected = Proof(("football.example.com",), (), ("football.example.com: pass",) * 2)
        assert expected == await prove(room, RFC8463_MESSAGE)
        assert () == (await prove(room, RFC8463_MESSAGE.replace(b"hungry", b"thirsty"))).domains
        assert () == (await prove(room, RFC8463_MESSAGE.replace(b"SixPack", b"Sixpack"))).domains


async def test_a_message_without_a_body_is_signed_too() -> None:
    header = RAW.partition(b"\r\n\r\n")[0] + b"\r\n"
    async with open_names() as names:
        names.txt(SELECTOR, RSA.txt)
        for canon in ("simple/simple", "relaxed/relaxed"):
            for raw in (header, header + b"\r\n", header + b"\r\n\r\n\r\n"):
                message = sign(raw, RSA, "example.org", "sel", canon=canon)
                assert PASS == await prove(mail_auth(names), message), (canon, raw)


async def test_a_key_behind_an_alias_is_found() -> None:
    async with open_names() as names:
        names.add(SELECTOR, "CNAME", "keys.provider.example.")
        names.txt("keys.provider.example", RSA.txt)
        assert PASS == await prove(mail_auth(names), signed())


async def test_a_key_in_many_strings_is_put_together() -> None:
    async with open_names() as names:
        names.strings(SELECTOR, *(RSA.txt[at : at + 7].encode() for at in range(0, len(RSA.txt), 7)))
        assert PASS == await prove(mail_auth(names), signed())


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.WRONG_ID, Fault.OTHER_QUESTION, Fault.GARBAGE])
async def test_no_answer_in_time_means_later(fault: Fault, mock_clock: MockClock) -> None:
    proofs = []
    async with open_names() as names, trio.open_nursery() as nursery:
        arrange(names, Case(RAW, PASS, fault=fault))
        room = mail_auth(names)

        async def one() -> None:
            proofs.append(await prove(room, signed()))

        nursery.start_soon(one)
        await names.wait_asked(SELECTOR)
        mock_clock.jump(LOOKUPS_S)
    assert [("example.org",)] == [proof.later for proof in proofs]


async def test_the_good_key_counts_though_another_is_not_to_be_had(mock_clock: MockClock) -> None:
    raw = sign(signed(), RSA, "example.net", "slow")
    proofs = []
    async with open_names() as names, trio.open_nursery() as nursery:
        names.txt(SELECTOR, RSA.txt)
        names.fault("slow._domainkey.example.net", Fault.SILENCE)
        room = mail_auth(names)

        async def one() -> None:
            proofs.append(await prove(room, raw))

        nursery.start_soon(one)
        await names.wait_asked("slow._domainkey.example.net")
        await names.wait_asked(SELECTOR)
        await trio.testing.wait_all_tasks_blocked(0.05)
        mock_clock.jump(LOOKUPS_S)
    assert [(("example.org",), ("example.net",))] == [(p.domains, p.later) for p in proofs]


async def test_only_the_first_signatures_are_looked_at() -> None:
    raw = signed()
    for number in range(MAX_SIGNATURES):
        raw = sign(raw, ED, "example.net", f"s{number}")
    async with open_names() as names:
        names.txt(SELECTOR, RSA.txt)
        proof = await prove(mail_auth(names), raw)
        assert ((), MAX_SIGNATURES) == (proof.domains, len(proof.results))
        assert 0 == names.asked(SELECTOR)


async def test_without_a_key_no_worker_is_asked() -> None:
    here = Here()
    async with open_names() as names:
        await prove(mail_auth(names, here), signed())
    assert [] == here.together


async def test_a_message_that_the_worker_dies_of_takes_no_other_along() -> None:
    here = Here()
    here.fault = lambda tasks: (
        WorkerTimeout("worker-deadline", "x") if b"FATAL" in repr(tasks).encode() else None
    )
    here.gate = trio.Event()
    fatal = sign(RAW.replace(b"dinner", b"FATAL"), RSA, "example.org", "sel")
    raws = [signed(), fatal, *([signed()] * MAX_TOGETHER)]
    proofs: dict[int, Proof] = {}
    async with open_names() as names:
        names.txt(SELECTOR, RSA.txt)
        room = mail_auth(names, here)

        async def one(number: int) -> None:
            proofs[number] = await prove(room, raws[number])

        async with trio.open_nursery() as nursery:
            for number in range(len(raws)):
                nursery.start_soon(one, number)
                await names.wait_asked(SELECTOR)
                await trio.testing.wait_all_tasks_blocked()
            here.gate.set()
    expected = [PASS, fails("could not be checked"), *([PASS] * MAX_TOGETHER)]
    assert expected == [proofs[number] for number in range(len(raws))]
    assert max(here.together) == MAX_TOGETHER


async def test_who_leaves_takes_no_other_along() -> None:
    here = Here()
    here.gate = trio.Event()
    proofs = []
    async with open_names() as names:
        names.txt(SELECTOR, RSA.txt)
        room = mail_auth(names, here)

        async def one() -> None:
            proofs.append(await prove(room, signed()))

        async with trio.open_nursery() as nursery:
            first = trio.CancelScope()

            async def leave() -> None:
                with first:
                    await prove(room, signed())

            nursery.start_soon(leave)
            await names.wait_asked(SELECTOR)
            await trio.testing.wait_all_tasks_blocked(0.02)
            nursery.start_soon(one)
            await trio.testing.wait_all_tasks_blocked(0.02)
            first.cancel()
            here.gate.set()
    assert [PASS] == proofs


async def test_a_worker_that_does_not_start_proves_nothing() -> None:
    here = Here()
    here.fault = lambda tasks: WorkerError("worker-start", "busy")
    async with open_names() as names:
        names.txt(SELECTOR, RSA.txt)
        assert fails("could not be checked") == await prove(mail_auth(names, here), signed())


async def test_it_agrees_with_the_library_on_what_it_signs() -> None:
    dkim = pytest.importorskip("dkim")
    seed = base64.b64encode(ED.seed)
    for canon in ((b"relaxed", b"relaxed"), (b"simple", b"simple")):
        field = dkim.DKIM(RAW).sign(b"sel", b"example.org", seed, b"ed25519-sha256", canonicalize=canon)
        async with open_names() as names:
            names.txt(SELECTOR, ED.txt)
            room = MailAuth(Resolver([names.address]), cast(Worker, Here()))  # by the system's clock
            assert PASS == await prove(room, field + RAW)
