"""Hostile headers, tag lists, keys and bodies: parsed, or refused with our own error, and in linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mailauth import aligned
from node.mailauth.body import canonical_body
from node.mailauth.header import MAX_FIELDS, MAX_HEADER_BYTES, split_header
from node.mailauth.keys import find_keys, parse_key
from node.mailauth.signature import MAX_FIELD_BYTES, MAX_SIGNED, domain_of, parse_signature
from node.mailauth.tags import parse_tags
from node.mailauth.verify import UNCHECKED, Task, verify_all
from protocol.errors import RemoteProtocolError
from tests.kit.dkim_keys import ed25519_key, rsa_key, sign

NOW_S = 1_800_000_000
RAW = b"From: a@example.org\r\nSubject: x\r\n\r\nHello\r\n"
SIGNED = sign(RAW, ed25519_key(), "example.org", "sel", headers=["from", "subject"])
VALUE = split_header(SIGNED).fields[0][1]
SIGNATURE = parse_signature(VALUE, 0, NOW_S)
KEY = ed25519_key().txt.encode()

ENDS = [b"\r\n", b"\r\n ", b"\n", b"\r", b"\t", b"  ", b"\x00", b"\xff", "ü".encode()]
WORDS = b"From:|dkim-signature|v=1|d=example.org|a=rsa-sha256|p=|k=rsa|x|999|:|;|=|b=|h=".split(b"|")
pieces = st.sampled_from([*ENDS, *WORDS])
rubbish = st.lists(pieces | st.binary(max_size=6), max_size=60).map(b"".join)


def bent(data: bytes) -> st.SearchStrategy[bytes]:
    """Good bytes with rubbish in the place of some of them."""
    places = st.tuples(st.integers(0, len(data)), st.integers(0, 20), rubbish)
    return places.map(lambda place: data[: place[0]] + place[2] + data[place[0] + place[1] :])


@given(rubbish | bent(SIGNED))
def test_a_header_is_cut_without_loss_or_refused(raw: bytes) -> None:
    try:
        header = split_header(raw)
    except RemoteProtocolError:
        return
    again = b"".join(name + b":" + value for name, value in header.fields)
    assert raw[: len(again)] == again or raw + b"\r\n" == again
    assert header.body_at in (len(again), len(again) + 2, len(raw))


@given(rubbish | bent(VALUE))
def test_a_signature_is_read_or_refused(value: bytes) -> None:
    assert isinstance(domain_of(value), str)
    try:
        signature = parse_signature(value, 0, NOW_S)
    except RemoteProtocolError:
        return
    assert "from" in signature.signed
    assert signature.domain == domain_of(value)


@given(rubbish | bent(KEY))
def test_a_key_is_read_or_refused(record: bytes) -> None:
    try:
        assert parse_key(record, SIGNATURE)
    except RemoteProtocolError:
        return


@given(st.binary(max_size=200) | bent(b""))
def test_a_key_of_any_bytes_ends_in_a_verdict(key: bytes) -> None:
    rsa = parse_signature(
        split_header(sign(RAW, rsa_key(1024), "example.org", "sel", headers=["from"])).fields[0][1], 0, NOW_S
    )
    for signature in (SIGNATURE, rsa):
        ((outcome,),) = verify_all([Task(SIGNED, ((signature, (key,)),))])
        assert outcome


@given(bent(SIGNED))
def test_what_is_bent_holds_only_where_nothing_signed_changed(raw: bytes) -> None:
    try:
        header = split_header(raw)
        fields = [value for _, value in header.named(b"dkim-signature")]
        signature = parse_signature(fields[0] if fields else b"", 0, NOW_S)
        keys = find_keys([KEY], signature)
    except RemoteProtocolError:
        return
    ((outcome,),) = verify_all([Task(raw, ((signature, keys),))])
    if not outcome:
        signed = [(name.lower(), b" ".join(value.split())) for name, value in header.fields]
        assert (b"from", b"a@example.org") in signed
        assert [b"x"] == [value for name, value in signed if name == b"subject"][-1:]
        assert b"Hello\r\n" == canonical_body(raw[header.body_at :], "relaxed")
        assert "example.org" == signature.domain
    assert outcome != UNCHECKED


def slow_body(body: bytes, canon: str) -> bytes:
    """RFC 6376 §3.4.3 and §3.4.4, line by line."""
    lines = body.split(b"\r\n")
    if canon == "relaxed":
        lines = [b" ".join(b" ".join(line.split(b"\t")).split(b" ")) for line in lines]
        squeezed = []
        for line in lines:
            out = b""
            for at in range(len(line)):
                byte = line[at : at + 1]
                out += b"" if byte == b" " and out.endswith(b" ") else byte
            squeezed.append(out.rstrip(b" "))
        lines = squeezed
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines) or (b"\r\n" if canon == "simple" else b"")


@given(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"\t", b"a", b"\xff"]), max_size=40).map(b"".join)
)
def test_a_body_is_as_the_rfc_says(body: bytes) -> None:
    for canon in ("simple", "relaxed"):
        assert slow_body(body, canon) == canonical_body(body, canon)


@pytest.mark.parametrize(
    "unit", [b" ", b"\t", b"\r\n", b"\n", b"\r\n\n", b" \r\n", b"\t a", b"=\r\n"], ids=repr
)
def test_any_body_of_megabytes_is_done_in_its_time(unit: bytes) -> None:
    """Quadratic would be hours: a test that does not end has failed."""
    body = unit * (4_000_000 // len(unit)) + b"x"
    for canon in ("simple", "relaxed"):
        assert canonical_body(body, canon).endswith(b"x\r\n")
        canonical_body(body[:-1], canon)


def refused(raw: bytes) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        split_header(raw)
    return str(caught.value)


def test_a_header_has_its_limits() -> None:
    assert "more than 131072 bytes" in refused(b"x: " + b"a" * MAX_HEADER_BYTES)
    assert "more than 2000" in refused(b"x:\r\n" * (MAX_FIELDS + 1))
    assert MAX_FIELDS == len(split_header(b"x:\r\n" * MAX_FIELDS + b"\r\nbody").fields)
    for line in (b" x", b"x", b"x :y", b":", b"x\xff:y", b"x:\ny", b"x:\ry", b"x:\x00"):
        refused(line + b"\r\n")


def test_a_signature_has_its_limits() -> None:
    with pytest.raises(RemoteProtocolError, match="too long"):
        parse_signature(b" " + b"x" * MAX_FIELD_BYTES, 0, NOW_S)
    with pytest.raises(RemoteProtocolError, match="h="):
        parse_signature(VALUE.replace(b"h=from", b"h=from" + b":x" * MAX_SIGNED), 0, NOW_S)
    for blank in (b" " * 100, b"\r\n \r\n "):  # dkimpy is quadratic in these
        with pytest.raises(RemoteProtocolError, match="empty lines"):
            parse_signature(
                VALUE.replace(b"; b", b";" + blank + b"b").replace(b";\r\n b", b";" + blank + b"b"), 0, NOW_S
            )


def test_tags_are_read_as_the_rfc_has_them() -> None:
    assert {"a": "b c", "d": "", "e": "f=g"} == parse_tags(b" a = b\r\n c;d= ;\te=f=g ; ")
    for data in (
        b"",
        b";",
        b"a",
        b"a=b;;c=d",
        b"a=b;a=c",
        b"1=b",
        b"a b=c",
        b"=b",
        b"a=\x00",
        b"a=\xff",
        b"a=b\r\nc",
    ):
        with pytest.raises(RemoteProtocolError):
            parse_tags(data)


def test_alignment_is_by_organisation() -> None:
    assert aligned("example.org", ["example.org"])
    assert aligned("Mail.Example.ORG", ["other.example", "news.example.org"])
    assert aligned("example.co.uk", ["a.b.example.co.uk"])
    assert aligned("bücher.example", ["xn--bcher-kva.example"])
    assert aligned("mail.bücher.example", ["xn--bcher-kva.example"])
    assert not aligned("example.org", ["example.net", "notexample.org", "org"])
    assert not aligned("one.co.uk", ["two.co.uk", "co.uk"])
    assert not aligned("one.github.io", ["two.github.io"])
    for suffix in ("org", "co.uk", "github.io", "", ".", "a..b", "-", "x" * 300, "localhost"):
        assert not aligned(suffix, [suffix])
