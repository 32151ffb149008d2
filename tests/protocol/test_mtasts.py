import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.mtasts import (
    MAX_AGE_S,
    MAX_MX,
    MAX_POLICY,
    MAX_RECORDS,
    Policy,
    find_id,
    format_policy,
    format_txt,
    own_policy,
    parse_policy,
    policy_host,
    policy_id,
    txt_name,
)

MANY = b"".join(b"mx: m%d.x\n" % n for n in range(MAX_MX + 1))

GOOD = Policy("enforce", ("mail.example.org", "*.example.net"), 604_800)


def test_a_policy_is_written_as_the_rfc_has_it_and_read_back() -> None:
    file = (
        b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n"
    )
    assert (format_policy(GOOD), parse_policy(file)) == (file, GOOD)


@pytest.mark.parametrize(
    "file",
    [
        b"version: STSv1\nmode: enforce\nmx: mail.example.org\nmx: *.example.net\nmax_age: 604800",
        b"""max_age:604800 \nmx:\tMail.Example.ORG\nmx: *.example.net\nmx: mail.example.org
x-more: what: ever\n\nmode: enforce\nmode: none\nversion: STSv1\n\n""",
    ],
)
def test_order_case_line_ends_and_unknown_fields_change_nothing(file: bytes) -> None:
    assert parse_policy(file) == GOOD


def test_a_policy_that_ends_needs_no_mx_and_no_age_is_over_a_year() -> None:
    assert parse_policy(b"version: STSv1\nmode: none\nmax_age: 9999999999\n") == Policy("none", (), MAX_AGE_S)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"<html>",
        b"mode: enforce\nmx: a.example\nmax_age: 1\n",
        b"version: STSv2\nmode: enforce\nmx: a.example\nmax_age: 1\n",
        b"version: STSv1\nmode: Enforce\nmx: a.example\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a.example\n",
        b"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1\n",
        b"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 12345678901\n",
        b"version: STSv1\nmode: enforce\nmx: *.*.example\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a..example\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 1\nx: \xff\n",
        b"version: STSv1\nmode: enforce\nmax_age: 1\n"
        + b"".join(b"mx: m%d.x\n" % n for n in range(MAX_MX + 1)),
        b"version: STSv1\nmode: none\nmax_age: 1\n" + b"\n" * MAX_POLICY,
    ],
)
def test_what_is_no_policy_is_refused(file: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_policy(file)


def test_a_star_stands_for_one_label_and_names_have_no_case() -> None:
    hosts = [
        "mail.example.org",
        "MAIL.example.ORG.",
        "a.example.net",
        "a.b.example.net",
        "example.net",
        "x y",
    ]
    assert [GOOD.matches(one) for one in hosts] == [True, True, True, False, False, False]
    assert Policy("none", (), 1).matches("mail.example.org") is False


def test_the_id_is_the_policys() -> None:
    assert policy_id(own_policy("enforce", ["mail.example.org"])) == policy_id(
        own_policy("enforce", ("mail.example.org",))
    )
    ids = [policy_id(own_policy(*one)) for one in (("enforce", "a"), ("testing", "a"), ("enforce", "b"))]
    assert len(set(ids)) == len(ids)
    assert find_id([[format_txt(GOOD)]]) == policy_id(GOOD)


def test_the_record_is_found_among_others() -> None:
    others: list[list[bytes | str]] = [["v=spf1 -all"], [b"\xff"], ["v=STSv1"], ["v=STSv10; id=1"]]
    assert find_id([*others, [b"v=STSv1 ; x=1;", "id=2024", b"0101 ;"]]) == "20240101"
    assert find_id(others) is None
    assert find_id([["v=STSv1; id=a; id=b"]]) == "a"


@pytest.mark.parametrize(
    "records",
    [
        [["v=STSv1; id=1"], ["v=STSv1; id=1"]],
        [["v=STSv1;"]],
        [["v=STSv1; id=" + "a" * 33]],
        [["v=STSv1; id=a-b"]],
        [["v=STSv1; id=1;;"]],
        [["other"]] * (MAX_RECORDS + 1),
    ],
)
def test_a_record_that_is_broken_or_not_alone_is_refused(records: list[list[str]]) -> None:
    with pytest.raises(RemoteProtocolError):
        find_id(records)


def test_names() -> None:
    names = (txt_name("example.org"), policy_host("example.org"))
    assert names == ("_mta-sts.example.org", "mta-sts.example.org")


FIELDS = st.sampled_from(
    [b"version: STSv1", b"mode: testing", b"mx: *.a.example", b"max_age: 1", b"mx:", b"a"]
)


@given(st.one_of(st.binary(max_size=200), st.lists(FIELDS, max_size=8).map(b"\n".join)))
def test_any_bytes_are_a_policy_that_reads_as_it_is_written_or_a_fault_of_the_other_side(body: bytes) -> None:
    try:
        policy = parse_policy(body)
    except RemoteProtocolError:
        return
    assert parse_policy(format_policy(policy)) == policy


@given(st.lists(st.lists(st.one_of(st.binary(max_size=60), st.text(max_size=60)), max_size=3), max_size=4))
def test_any_records_have_an_id_or_none_or_a_fault_of_the_other_side(
    records: list[list[bytes | str]],
) -> None:
    records = [["v=STSv1;", *one] for one in records]
    try:
        found = find_id(records)
    except RemoteProtocolError:
        return
    assert found is None or 0 < len(found) <= 32
