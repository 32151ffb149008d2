"""The records to publish, exactly, as forms and as zone files take them."""

import dns.rdata
import dns.zone
import pytest
from dns.rdtypes.txtbase import TXTBase
from hypothesis import given
from hypothesis import strategies as st

from node.domains import DnsRecord, Domains
from node.domains.records import STRING, Facts
from protocol.dns import find_mailio_txt
from protocol.mtasts import find_id, own_policy, policy_id

PUBLIC = bytes(range(32))
MIR5 = "v=MAILIO1; k=ed25519; p=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def told(records: tuple[DnsRecord, ...]) -> list[tuple[str, str, str]]:
    return [(one.name, one.type, one.value) for one in records]


async def test_all_that_a_domain_needs(domains: Domains) -> None:
    await domains.add("example.org")
    rsa, ed25519 = domains.row()["keys"]
    policy = own_policy("enforce", ["mail.example.org"])
    found = domains.records("example.org", Facts(PUBLIC, ("192.0.2.7", "2001:db8::7"), "", policy))
    assert [
        ("example.org", "MX", "10 mail.example.org"),
        ("mail.example.org", "A", "192.0.2.7"),
        ("mail.example.org", "AAAA", "2001:db8::7"),
        ("example.org", "TXT", "v=spf1 mx -all"),
        ("m20261126r._domainkey.example.org", "TXT", rsa["value"]),
        ("m20261126e._domainkey.example.org", "TXT", ed25519["value"]),
        ("_dmarc.example.org", "TXT", "v=DMARC1; p=quarantine"),
        ("mailio._mailiokey.example.org", "TXT", MIR5),
        ("mta-sts.example.org", "CNAME", "mail.example.org"),
        ("_mta-sts.example.org", "TXT", f"v=STSv1; id={policy_id(policy)};"),
    ] == told(found)
    assert all(one.why for one in found)
    assert find_mailio_txt([[MIR5]]) == PUBLIC
    assert find_id([[found[-1].value]]) == policy_id(policy)
    assert [rsa["zone"], ed25519["zone"]] == [found[4].zone, found[5].zone]


async def test_what_is_not_known_is_said_and_what_is_not_served_not_announced(domains: Domains) -> None:
    await domains.add("example.org", "mx.example.net")
    found = told(domains.records("example.org", Facts(PUBLIC)))
    assert [("example.org", "MX", "10 mx.example.net"), ("mx.example.net", "A", "")] == found[:2]
    assert ("mailio._mailiokey.example.org", "TXT", MIR5) == found[-1]


@pytest.mark.parametrize(
    ("smarthost", "value"),
    [
        ("", "v=spf1 mx -all"),
        ("smtp.gmail.com", "v=spf1 mx include:_spf.google.com -all"),
        ("smtp.office365.com", "v=spf1 mx include:spf.protection.outlook.com -all"),
        ("email-smtp.eu-west-1.amazonaws.com", "v=spf1 mx include:amazonses.com -all"),
        ("mail.notgmail.com", "v=spf1 mx ~all"),
        ("mail.example.net", "v=spf1 mx ~all"),
    ],
)
async def test_who_sends_for_us_is_in_spf(domains: Domains, smarthost: str, value: str) -> None:
    await domains.add("example.org")
    found = domains.records("example.org", Facts(PUBLIC, smarthost=smarthost))
    (spf,) = [one for one in found if one.value.startswith("v=spf1")]
    assert (value, True) == (spf.value, smarthost in spf.why)


async def test_a_zone_file_with_them_is_read_by_others_as_they_are(domains: Domains) -> None:
    await domains.add("example.org")
    policy = own_policy("testing", ["mail.example.org"])
    found = domains.records("example.org", Facts(PUBLIC, ("192.0.2.7",), "", policy))
    lines = ["$ORIGIN example.org.", "$TTL 300", "@ SOA ns root 1 2 3 4 5", "@ NS ns", "ns A 192.0.2.1"]
    zone = dns.zone.from_text("\n".join([*lines, *(one.zone for one in found)]), relativize=False)
    for one in found:
        rdataset = zone.get_rdataset(f"{one.name}.", one.type)
        assert rdataset is not None
        assert one.value in [
            b"".join(r.strings).decode() if isinstance(r, TXTBase) else r.to_text().removesuffix(".")
            for r in rdataset
        ]
        assert all(len(string) <= STRING for r in rdataset if isinstance(r, TXTBase) for string in r.strings)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=600))
def test_any_text_comes_back_from_a_zone_line(text: str) -> None:
    line = DnsRecord("x.example", "TXT", text, "").zone.removeprefix("x.example. IN TXT ")
    read = dns.rdata.from_text("IN", "TXT", line)
    assert isinstance(read, TXTBase)
    assert text == b"".join(read.strings).decode()
