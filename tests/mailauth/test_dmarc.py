"""DMARC's records beyond the table, and the lot that pct= draws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mailauth import Hop
from node.mailauth.dmarc import Record, parse_record
from protocol.errors import RemoteProtocolError
from tests.kit.mailauths import mail_auth
from tests.kit.names_server import open_names

TAGS = st.lists(
    st.one_of(
        st.sampled_from(
            ["p=reject", "p=none", "sp=quarantine", "pct=50", "pct=-1", "adkim=s", "aspf=s", "="]
        ),
        st.sampled_from(
            ["rua=mailto:a@b.example!10m", "ruf=x", "fo=1:d:s", "ri=86400", "", " p = none ", "p"]
        ),
        st.text(max_size=20),
    ),
    max_size=12,
).map(lambda tags: ";".join(["v=DMARC1", *tags]).encode("utf-8", "surrogatepass"))


@given(st.one_of(TAGS, st.binary(max_size=200)))
def test_any_record_is_read_or_says_nothing(data: bytes) -> None:
    try:
        record = parse_record(data)
    except RemoteProtocolError:
        return
    assert {record.policy, record.below} <= {"none", "quarantine", "reject"}
    assert 0 <= record.percent <= 100


@pytest.mark.parametrize(
    "text, expected",
    [
        ("v=DMARC1;p=none", Record("none", "none")),
        ("v=DMARC1; p=reject; sp=none; adkim=S; aspf=s; pct=7;", Record("reject", "none", True, True, 7)),
        ("v=DMARC1; p=reject; pct=101; adkim=x", Record("reject", "reject")),
        ("v=DMARC1; sp=reject; rua=mailto:a@b.example", Record("none", "none")),
    ],
)
def test_a_record_is_read(text: str, expected: Record) -> None:
    assert expected == parse_record(text.encode())


async def test_the_lot_falls_the_same_each_time_and_in_its_share() -> None:
    async with open_names() as names:
        names.txt("_dmarc.example.com", "v=DMARC1; p=reject; pct=30")
        room, hop = mail_auth(names), Hop("192.0.2.1", "", "")
        mails = [b"From: a@example.com\r\n\r\n%d\r\n" % number for number in range(300)]
        first = [(await room.judge(raw, hop, "example.com")).dmarc.disposition for raw in mails]
        again = [(await room.judge(raw, hop, "example.com")).dmarc.disposition for raw in mails]
    assert first == again
    assert {"reject", "quarantine"} == set(first)
    assert 60 < first.count("reject") < 120
