"""Each record of a domain as it may be found, and what is said of it."""

import pytest

from node.doctor import records
from node.doctor.records import Key
from node.domains import DnsRecord
from node.runtime.rooms import Check
from protocol.dns import format_key, txt_name
from protocol.mtasts import format_txt, own_policy

MX = DnsRecord("example.org", "MX", "10 mail.example.org", "")
A = DnsRecord("mail.example.org", "A", "192.0.2.1", "")
AAAA = DnsRecord("mail.example.org", "AAAA", "2001:db8::1", "")
SPF = DnsRecord("example.org", "TXT", "v=spf1 mx include:spf.example.net -all", "")
DKIM = DnsRecord("s1._domainkey.example.org", "TXT", "v=DKIM1; k=rsa; p=QUJD", "")
DMARC = DnsRecord("_dmarc.example.org", "TXT", "v=DMARC1; p=quarantine", "")
KEY = DnsRecord(txt_name("example.org"), "TXT", format_key(bytes(32)), "")
OTHER_KEY = format_key(b"\1" * 32).encode()
STS = DnsRecord("_mta-sts.example.org", "TXT", format_txt(own_policy("testing", ["mail.example.org"])), "")


ELSEWHERE = (
    "if that is this server: mailio domain add example.org --host mx.example.net; else "
    "publish: example.org. IN MX 10 mail.example.org."
)


def test_a_check_says_what_to_publish_exactly() -> None:
    assert records.of_mx(MX, []) == Check(
        "mx",
        "fail",
        "nobody takes this domain's mail: it has no MX record",
        "publish: example.org. IN MX 10 mail.example.org.",
    )


@pytest.mark.parametrize(
    ("found", "state", "remedy"),
    [
        ([(10, "mail.example.org")], "ok", ""),
        ([(5, "mx.example.net"), (10, "mail.example.org")], "ok", ""),
        ([], "fail", "publish: example.org. IN MX 10 mail.example.org."),
        ([(0, ".")], "fail", "instead, publish: example.org. IN MX 10 mail.example.org."),
        (
            [(1, "mx.example.net")],
            "warn",
            ELSEWHERE,
        ),
    ],
)
def test_mx(found: list[tuple[int, str]], state: str, remedy: str) -> None:
    check = records.of_mx(MX, found)
    assert (check.check, check.state, check.remedy) == ("mx", state, remedy)


def test_many_are_not_all_named() -> None:
    check = records.of_mx(MX, [(n, f"mx{n}.example.net") for n in range(64)])
    assert check.text.startswith("mail is brought to mx0.example.net, mx1.example.net, ")
    assert check.text.endswith("mx4.example.net and 59 more, and not to mail.example.org")


@pytest.mark.parametrize(
    ("wanted", "found", "state"),
    [
        ([A], ["192.0.2.1"], "ok"),
        ([A, AAAA], ["192.0.2.1"], "ok"),  # mail comes by one of them, and a listener has one address
        ([A], ["192.0.2.2"], "warn"),
        ([A], [], "fail"),
        ([DnsRecord("mail.example.org", "A", "", "")], ["192.0.2.9"], "ok"),
        ([DnsRecord("mail.example.org", "A", "", "")], [], "fail"),
    ],
)
def test_addresses(wanted: list[DnsRecord], found: list[str], state: str) -> None:
    check = records.of_addresses("mail.example.org", wanted, found)
    assert (check.check, check.state, bool(check.remedy)) == ("address", state, state != "ok")


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([b"v=spf1 mx include:spf.example.net -all"], "ok"),
        ([b"other", b"V=SPF1 a MX ip4:192.0.2.1 Include:SPF.example.net ~all"], "ok"),
        ([b"v=spf1 mx -all"], "warn"),
        ([b"v=spf1"], "warn"),
        ([], "fail"),
        ([b"v=spf10 mx", b"\xff"], "fail"),
        ([b"v=spf1 mx -all", b"v=spf1 -all"], "fail"),
    ],
)
def test_spf(found: list[bytes], state: str) -> None:
    check = records.of_spf(SPF, found)
    assert (check.check, check.state, bool(check.remedy)) == ("spf", state, state != "ok")
    assert state == "ok" or SPF.zone in check.remedy


@pytest.mark.parametrize(
    ("key", "found", "state"),
    [
        (Key("s1", "used", signed=True), [b"v=DKIM1; k=rsa; p=QUJD"], "ok"),
        (Key("s1", "used", signed=True), [b"k=rsa;p=QU JD ; t=s"], "ok"),
        (Key("s1", "used", signed=True), [], "fail"),
        (Key("s1", "used", signed=True), [b"v=DKIM1; p=WFla"], "fail"),
        (Key("s1", "used", signed=True), [b"v=DKIM1; p="], "fail"),
        (Key("s1", "waiting", signed=False), [], "fail"),
        (Key("s1", "waiting", signed=True), [], "warn"),
        (Key("s1", "retired", signed=True), [b"nonsense"], "warn"),
    ],
)
def test_dkim(key: Key, found: list[bytes], state: str) -> None:
    check = records.of_dkim(key, DKIM, found)
    assert (check.check, check.state) == ("dkim-s1", state)
    assert state == "ok" or check.remedy.endswith(f"publish: {DKIM.zone}")


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([b"v=DMARC1; p=none"], "ok"),
        ([b"v = DMARC1 ;p=reject", b"other"], "ok"),
        ([], "warn"),
        ([b"v=DMARC1; p=none", b"v=DMARC1; p=reject"], "fail"),
    ],
)
def test_dmarc(found: list[bytes], state: str) -> None:
    assert records.of_dmarc(DMARC, found).state == state


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([KEY.value.encode()], "ok"),
        ([b"other", KEY.value.encode()], "ok"),
        ([], "warn"),
        ([OTHER_KEY], "fail"),
        ([b"v=MAILIO1; k=ed25519; p=!"], "fail"),
        ([KEY.value.encode(), OTHER_KEY], "fail"),
    ],
)
def test_the_domains_mailio_key(found: list[bytes], state: str) -> None:
    check = records.of_mailio(KEY, found)
    assert (check.check, check.state) == ("mailio-key", state)
    assert state == "ok" or check.remedy.endswith(f"publish: {KEY.zone}")


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([STS.value.encode()], "ok"),
        ([], "warn"),
        ([b"v=STSv1; id=earlier;"], "warn"),
        ([b"v=STSv1; id=;"], "fail"),
        ([STS.value.encode()] * 2, "fail"),
    ],
)
def test_the_announcement_of_the_policy(found: list[bytes], state: str) -> None:
    check = records.of_sts(STS, found)
    assert (check.check, check.state) == ("mta-sts", state)
    assert state == "ok" or check.remedy.endswith(f"publish: {STS.zone}")
