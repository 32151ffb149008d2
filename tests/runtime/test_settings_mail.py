import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.runtime.config import kind_of
from node.runtime.settings_mail import Smarthost, parse_nameserver, parse_smarthost

GOOD_HOSTS = {
    "smtp://mail.example.org": Smarthost("mail.example.org", 587, False, ""),
    "smtps://mail.example.org": Smarthost("mail.example.org", 465, True, ""),
    "smtp://anna%40example.org@mail.example.org:2525": Smarthost(
        "mail.example.org", 2525, False, "anna@example.org"
    ),
    "smtp://127.0.0.1:25/": Smarthost("127.0.0.1", 25, False, ""),
    "smtp://[::1]:25": Smarthost("::1", 25, False, ""),
}

BAD_HOSTS = {
    "mail.example.org": "not the address of a mail server",
    "http://mail.example.org": "not the address of a mail server",
    "smtp://": "not the address of a mail server",
    "smtp://mail.example.org:0": "not the address of a mail server",
    "smtp://mail.example.org:99999": "not the address of a mail server",
    "smtp://mail.example.org/path": "not the address of a mail server",
    "smtp://mail example.org": "not the address of a mail server",
    "smtp://a%0d%0ab@mail.example.org": "the user's name has control characters in it",
    "smtp://a:secret@mail.example.org": (
        "a password does not belong here (mailio config set --secret smtp.smarthost)"
    ),
}


@pytest.mark.parametrize("text", GOOD_HOSTS)
def test_a_smarthost_is_read(text: str) -> None:
    assert parse_smarthost(text) == GOOD_HOSTS[text]


@pytest.mark.parametrize("text", BAD_HOSTS)
def test_what_is_no_smarthost_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError) as fault:
        parse_smarthost(text)
    assert str(fault.value) == BAD_HOSTS[text]


@given(st.text(max_size=60), st.sampled_from(["", "smtp://", "smtps://", "smtp://["]))
def test_any_text_is_a_smarthost_or_a_value_error(text: str, scheme: str) -> None:
    try:
        found = parse_smarthost(scheme + text)
    except ValueError:
        return
    assert 0 < found.port <= 65_535
    assert found.host


def test_only_this_machine_is_local() -> None:
    hosts = ("127.0.0.1", "127.8.8.8", "::1", "localhost", "mail.example.org", "10.0.0.1")
    assert [Smarthost(one, 25, False, "").is_local for one in hosts] == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9.9.9.9", ("9.9.9.9", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_a_name_server_is_read(text: str, expected: tuple[str, int]) -> None:
    assert parse_nameserver(text) == expected


@pytest.mark.parametrize(
    "text", ["", "ns.example.org", "1.2.3.4:0", "1.2.3.4:70000", "1.2.3:53", "[::1", "::1:x"]
)
def test_what_is_no_name_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no name server"):
        parse_nameserver(text)


@pytest.mark.parametrize(
    ("key", "raw", "expected"),
    [
        ("mail.addresses", ["Anna@Example.org", "*@example.net"], ("Anna@Example.org", "*@example.net")),
        ("smtp.domains", ["Example.ORG", "bücher.example"], ("example.org", "xn--bcher-kva.example")),
        ("smtp.host", "", ""),
        ("submission.host", "::1", "::1"),
        ("tls.certificate", "/etc/ssl/mail.pem", "/etc/ssl/mail.pem"),
        ("dns.nameservers", ["127.0.0.1:5353"], ("127.0.0.1:5353",)),
        ("smtp.direct", True, True),
        ("smtp.networks", ["10.0.0.0/8", "fd00::/8"], ("10.0.0.0/8", "fd00::/8")),
    ],
)
def test_good_values_are_taken(key: str, raw: object, expected: object) -> None:
    assert kind_of(key).read(raw) == expected


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("mail.addresses", ["anna"]),
        ("mail.addresses", ["0x5d1c1bd0f4e5b9c5d0e5b4e8f3f5a5b7c5d0e5b4@mailio.alt"]),
        ("mail.addresses", ["*@mailio.alt"]),
        ("mail.addresses", ["*@*"]),
        ("mail.addresses", "anna@example.org"),
        ("smtp.domains", ["not a domain"]),
        ("smtp.host", "localhost"),
        ("smtp.host", "fe80::1%eth0"),
        ("smtp.port", 65_536),
        ("tls.certificate", "mail.pem"),
        ("dns.nameservers", ["example.org"]),
        ("smtp.direct", "yes"),
        ("smtp.direct", 1),
        ("smtp.networks", ["10.0.0.1/8"]),
        ("smtp.networks", ["everyone"]),
    ],
)
def test_bad_values_are_refused(key: str, raw: object) -> None:
    with pytest.raises(ValueError):
        kind_of(key).read(raw)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), (" False ", False), ("", None), ("1", None), ("on", None)]
)
def test_yes_and_no_are_typed_as_true_and_false(text: str, value: bool | None) -> None:
    kind = kind_of("smtp.direct")
    if value is None:
        with pytest.raises(ValueError):
            kind.read(kind.from_text(text))
    else:
        assert value is kind.read(kind.from_text(text))
