"""Authentication-Results: what we write, what is taken out, and what is believed of a provider's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mailauth import (
    Dmarc,
    Hop,
    Judgement,
    Proof,
    Spf,
    authentication_results,
    provider_results,
    without_results,
)
from node.mailauth.provider import MAX_FIELD_BYTES, NOT_SAID
from tests.kit.corpus import mails

HOP = Hop("192.0.2.1", "mx.example.org", "bounce@mail.example.org")
NOTHING = Judgement(Proof((), (), ()), Spf("none", "", NOT_SAID), Dmarc("none", "", "none"))
OURS = frozenset({"mx.provider.example"})

ALL = Judgement(
    Proof(
        ("example.org",),
        ("example.net",),
        (
            "example.org: pass",
            "example.com: fail (body changed)",
            "example.net: later (sel._domainkey.example.net could not be looked up: no name server)",
            "a signature: fail (not a list of tag=value, each tag once)",
        ),
    ),
    Spf("softfail", "mail.example.org", "the client probably may not send for it"),
    Dmarc("fail", "example.com", "reject"),
)


def test_all_outcomes_stand_in_one_field() -> None:
    expected = (
        b"Authentication-Results: mx.example.net;\r\n"
        b" dkim=pass header.d=example.org;\r\n"
        b" dkim=fail (body changed) header.d=example.com;\r\n"
        b" dkim=temperror (sel._domainkey.example.net could not be looked up: no name server)"
        b" header.d=example.net;\r\n"
        b" dkim=fail (not a list of tag=value, each tag once);\r\n"
        b" spf=softfail (the client probably may not send for it) smtp.mailfrom=mail.example.org;\r\n"
        b" dmarc=fail (disposition reject) header.from=example.com\r\n"
    )
    assert expected == authentication_results(ALL, "mx.example.net", HOP)


def test_what_was_not_judged_is_none() -> None:
    assert b"Authentication-Results: mx.example.net;\r\n none\r\n" == authentication_results(
        NOTHING, "mx.example.net", HOP
    )


def test_the_greeting_is_named_for_the_null_sender() -> None:
    judgement = Judgement(NOTHING.proof, Spf("pass", "mx.example.org"), NOTHING.dmarc)
    assert b" spf=pass smtp.helo=mx.example.org\r\n" in authentication_results(
        judgement, "mx.example.net", Hop("192.0.2.1", "mx.example.org", "")
    )


@given(st.text(), st.text(), st.text())
def test_nothing_breaks_out_of_the_field(reason: str, name: str, sender: str) -> None:
    judgement = Judgement(
        Proof((), (), (f"example.org: fail ({reason})",)),
        Spf("permerror", "example.org", reason),
        Dmarc("none", "example.org", "none"),
    )
    field = authentication_results(judgement, name, Hop("", "", sender))
    assert 4 == field.count(b"\r\n")
    assert b"\n" not in field.replace(b"\r\n", b"")
    assert 3 == field.count(b";\r\n ") == field.count(b";")
    assert field.isascii()
    assert field.endswith(b"\r\n")
    assert b"" == without_results(field)
    assert b"X: 1\r\n" == without_results(field + without_results(b" x\r\nX: 1\r\n"))


BLOCK = b"Subject: a\r\nReceived: by x\r\n\tfor y\r\n"
FIELD = b"Authentication-Results: a.example;\r\n dkim=pass\r\n\theader.d=example.org\r\n"


@pytest.mark.parametrize(
    "raw, expected",
    {
        "none": (BLOCK + b"\r\nbody", BLOCK + b"\r\nbody"),
        "first": (FIELD + BLOCK + b"\r\nbody", BLOCK + b"\r\nbody"),
        "last": (BLOCK + FIELD + b"\r\nbody", BLOCK + b"\r\nbody"),
        "several": (FIELD + FIELD + BLOCK + FIELD + b"\r\nbody", BLOCK + b"\r\nbody"),
        "in any letters": (FIELD.swapcase() + BLOCK + b"\r\n", BLOCK + b"\r\n"),
        "space before the colon": (FIELD.replace(b":", b" \t:") + BLOCK + b"\r\n", BLOCK + b"\r\n"),
        "in the body": (BLOCK + b"\r\n" + FIELD, BLOCK + b"\r\n" + FIELD),
        "body alone": (b"\r\n" + FIELD, b"\r\n" + FIELD),
        "folded into another": (b"X: 1\r\n " + FIELD, b"X: 1\r\n " + FIELD),
        "a longer name": (b"ARC-" + FIELD + b"\r\n", b"ARC-" + FIELD + b"\r\n"),
        "nothing else": (FIELD, b""),
        "cut in the middle": (FIELD[:40], b""),
        "bare line feeds": (b"A: 1\nAuthentication-Results: x\n y\nB: 2\n\nbody", b"A: 1\nB: 2\n\nbody"),
        "bare returns": (b"A: 1\rAuthentication-Results: x\r y\rB: 2\r\rbody", b"A: 1\rB: 2\r\rbody"),
        "other bytes": (b"X: \xff\x00\r\n" + FIELD + b"\r\n\xff\x00", b"X: \xff\x00\r\n\r\n\xff\x00"),
        "begins as if it went on": (b" x\r\n\ty\r\n" + FIELD + BLOCK, BLOCK),
        "nothing but that": (b" dkim=pass header.d=bank.example\r\n\r\nbody", b"\r\nbody"),
        "between two that become one": (b"A: 1\r" + FIELD + b"\n" + FIELD, b"A: 1\r\n\n" + FIELD),
        "empty": (b"", b""),
    }.values(),
)
def test_fields_of_others_are_taken_out(raw: bytes, expected: bytes) -> None:
    assert expected == without_results(raw)


@given(st.binary(), st.binary(), st.sampled_from([b"\r\n", b"\n", b"\r"]))
def test_taking_out_twice_is_taking_out_once(before: bytes, after: bytes, end: bytes) -> None:
    once = without_results(before + end + FIELD + after)
    assert once == without_results(once)


def test_real_mails_lose_nothing_else() -> None:
    for name, raw in mails():
        left = without_results(raw)
        assert raw == left or b"\nauthentication-results" in b"\n" + raw.lower(), name
        head, gap, body = left.partition(b"\r\n\r\n")
        assert raw.endswith(gap + body), name
        assert set(head.split(b"\r\n")) <= set(raw.split(b"\r\n")), name


def test_megabytes_of_header_are_gone_through() -> None:
    raw = FIELD * 40_000 + b"Subject: a\r\n" + b"X: y\r\n" * 100_000
    assert b"Subject: a\r\n" + b"X: y\r\n" * 100_000 == without_results(raw)
    assert NOTHING == provider_results(b"X: y\r\n" * 400_000, OURS)


# ---- a provider's


def provided(*values: str, ids: frozenset[str] = OURS, rest: bytes = b"From: a\r\n\r\n") -> Judgement:
    fields = "".join(f"Authentication-Results: {value}\r\n" for value in values)
    return provider_results(fields.encode("utf-8", "surrogateescape") + rest, ids)


def test_a_large_providers_field_is_read() -> None:
    judgement = provided(
        "mx.provider.example;\r\n"
        "       dkim=pass header.i=@example.org header.s=sel header.b=AbC+/d==;\r\n"
        "       dkim=neutral (body hash did not verify) header.i=@list.example;\r\n"
        "       spf=pass (provider.example: domain of b@mail.example.org designates 192.0.2.1 as permitted"
        " sender) smtp.mailfrom=b@mail.example.org;\r\n"
        "       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org"
    )
    expected = Judgement(
        Proof(("example.org",), (), ("example.org: pass", "list.example: fail (neutral)")),
        Spf("pass", "mail.example.org"),
        Dmarc("pass", "example.org", "none"),
    )
    assert expected == judgement
    assert ("example.org", "mail.example.org") == judgement.domains


def test_what_we_write_is_read_again() -> None:
    raw = authentication_results(ALL, "mx.provider.example", HOP) + b"\r\n"
    expected = Judgement(
        Proof(
            ("example.org",),
            (),
            ("example.org: pass", "example.com: fail (fail)", "example.net: fail (temperror)"),
        ),
        Spf("softfail", "mail.example.org"),
        Dmarc("fail", "example.com", "none"),
    )
    assert expected == provider_results(raw, OURS)


PASS = "dkim=pass header.d=example.org"


def test_each_method_may_have_its_field() -> None:
    judgement = provided(
        "dmarc.provider.example; dmarc=pass header.from=example.org",
        "dkim.provider.example; dkim=pass header.d=mail.example.org",
        "spf.provider.example; spf=none smtp.mailfrom=example.org",
        "elsewhere.example; dkim=pass header.d=bank.example",
        ids=frozenset({"dkim.provider.example", "spf.provider.example", "dmarc.provider.example"}),
    )
    assert ("example.org", "mail.example.org") == judgement.domains


@pytest.mark.parametrize(
    "values",
    [
        (f"other.example; {PASS}",),
        (f"evil.example; {PASS}", f"mx.provider.example; {PASS}"),
        ("mx.provider.example; dkim=fail header.d=example.org", f"mx.provider.example; {PASS}"),
        ("mx.provider.example; none", f"mx.provider.example; {PASS}"),
        (f"mx.provider.example.evil.example; {PASS}",),
        (f"mx.provider.example 2; {PASS}",),
        (f'"mx.provider.example"; {PASS}',),
        (f"mx.provider.example; {PASS}.evil.example",),
        ("mx.provider.example; dkim=pass header.d=example.org(.evil.example",),
        ("mx.provider.example; dkim=pass header.d=example.org(.evil.example)",),
        ("mx.provider.example; dkim=pass header.d=(evil)example.org",),
        ("mx.provider.example; dkim=pass header.d=example.org header.d=evil.example",),
        ("mx.provider.example; dkim=pass header.d=exa_mple.org\x00",),
        ("mx.provider.example; dkim=pass header.from=example.org",),
        ('mx.provider.example; spf=pass (of "a) dkim=pass header.d=example.org (") x.y=z',),
        (f"mx.provider.example; spf=fail (of a) {PASS} (b) smtp.mailfrom=evil.example",),
        (f"mx.provider.example; spf=pass (a (b (c (d (e))))); {PASS}",),
        (f"mx.provider.example; spf=pass (a; {PASS}",),
        (f"mx.provider.example; spf=pass a); {PASS}",),
        (f"mx.provider.example; {PASS} (\\", f"mx.provider.example; {PASS}"),
        (f"mx.provider.example; {PASS}; {'a=b;' * 40}",),
        (f"mx.provider.example; {PASS}; x=y z.a={'z' * MAX_FIELD_BYTES}",),
        (f"mx.provider.example; {PASS} (ä)",),
        (PASS,),
        ("",),
    ],
)
def test_nothing_else_proves_a_domain(values: tuple[str, ...]) -> None:
    assert "example.org" not in provided(*values).domains


def test_only_the_topmost_block_is_believed() -> None:
    field = f"Authentication-Results: mx.provider.example; {PASS}\r\n".encode()
    assert ("example.org",) == provider_results(b"Received: x\r\n" + field + b"\r\n", OURS).domains
    assert NOTHING == provider_results(b"X: a\r\n\r\n" + field, OURS)
    apart = b"Authentication-Results: spf.provider.example; none\r\nReceived: x\r\n" + field
    assert () == provider_results(apart + b"\r\n", OURS | {"spf.provider.example"}).domains


def test_a_quoted_sender_stays_in_its_quotes() -> None:
    judgement = provided(
        'mx.provider.example; spf=pass smtp.mailfrom="a; dkim=pass header.d=example.org"@evil.example'
    )
    assert "example.org" not in judgement.domains


VALUES = st.text('mx.provider.example;= ()"\\@dkimspfmarcheaderfromailpass\r\n\t#\x00ä', max_size=200)


@given(st.lists(VALUES, max_size=4), st.sampled_from(["", "mx.provider.example; "]))
def test_any_field_is_read_or_says_nothing(values: list[str], start: str) -> None:
    judgement = provided(*(start + value for value in values))
    assert isinstance(judgement, Judgement)
    assert () == judgement.later


@given(st.binary(max_size=500))
def test_any_bytes_are_read_or_say_nothing(data: bytes) -> None:
    assert isinstance(
        provider_results(b"Authentication-Results: mx.provider.example;" + data, OURS), Judgement
    )
    assert isinstance(provider_results(data, OURS), Judgement)
