"""E-mail addresses, DNS records, links, recipients: what people and the DNS hand in."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.dns import find_mailio_txt, format_key, parse_mailio_txt, txt_name
from protocol.email import email_hash, email_index, normal_domain, normal_email
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.kdf import kdf
from protocol.keys import SigningKey, address_of
from protocol.link import ContactLink
from protocol.peers import MAX_ADDRS
from protocol.recipient import AddressRecipient, EmailRecipient, LinkRecipient, NameRecipient, parse_recipient

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)
PUBLIC = SigningKey.from_seed(bytes(range(32))).public
ADDRESS = address_of(PUBLIC)
ADDR = "/ip4/127.0.0.1/tcp/4101/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
TXT = b"v=MAILIO1; k=ed25519; p=" + base64.b64encode(PUBLIC)


@given(ANY_TEXT | st.builds("{}@{}".format, ANY_TEXT, ANY_TEXT) | st.emails())
def test_any_text_has_one_normal_form_or_is_refused(text: str) -> None:
    try:
        normal = normal_email(text)
    except RemoteProtocolError:
        return
    assert normal_email(normal) == normal
    assert normal_email(f" {normal}\n") == normal
    assert normal.rpartition("@")[2].isascii()
    assert len(normal.encode()) <= 254


@given(st.emails())
def test_ordinary_addresses_are_taken_in_any_case(text: str) -> None:
    local, _, domain = text.rpartition("@")
    if len(local) <= 64 and len(text) <= 254:
        assert normal_email(text.upper()) == normal_email(text.lower()) == text.lower()
        assert normal_domain(domain) == domain.lower()


def test_hash_is_scrypt_of_the_normal_form() -> None:
    normal = "jörg@xn--bcher-kva.example".encode()
    expected = hashlib.scrypt(normal, salt=normal, n=32_768, r=8, p=1, maxmem=64 * 1024 * 1024, dklen=32)
    assert email_hash(" Jörg@Bücher.Example") == base64.b64encode(expected).decode()


def test_index_is_the_owner_s_own() -> None:
    expected = hashlib.blake2b(b"a@b.example", digest_size=32, key=kdf(bytes(32), "email-index")).digest()
    assert email_index(bytes(32), "A@B.example") == expected
    assert email_index(b"\1" * 32, "A@B.example") != expected


def test_txt_names_the_key() -> None:
    assert txt_name("mail.io") == "mailio._mailiokey.mail.io"
    assert parse_mailio_txt([TXT]) == parse_mailio_txt([TXT[:10], TXT[10:]]) == PUBLIC
    assert parse_mailio_txt([TXT.decode()]) == PUBLIC


@given(st.binary(min_size=32, max_size=32))
def test_what_is_written_for_a_key_is_read_as_that_key(public: bytes) -> None:
    assert find_mailio_txt([[format_key(public)]]) == public


def test_the_record_is_written_as_mir_5_has_it() -> None:
    assert format_key(PUBLIC) == TXT.decode()
    with pytest.raises(LocalProtocolError):
        format_key(PUBLIC[:31])


@given(st.lists(st.binary(max_size=60) | ANY_TEXT, max_size=4))
def test_any_strings_hold_a_key_or_are_refused(strings: list[bytes | str]) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_mailio_txt(strings)
    with pytest.raises(RemoteProtocolError):
        parse_mailio_txt(["v=MAILIO1;", *strings])


@given(st.integers(0, len(TXT) - 1), st.integers(0, 255))
def test_a_changed_record_holds_a_key_or_is_refused(place: int, byte: int) -> None:
    data = TXT[:place] + bytes([byte]) + TXT[place + 1 :]
    try:
        assert len(parse_mailio_txt([data])) == 32
    except RemoteProtocolError:
        assert data != TXT


def test_one_key_among_other_records() -> None:
    other = b"v=MAILIO1; k=ed25519; p=" + base64.b64encode(bytes(32))
    assert find_mailio_txt([[b"v=spf1 -all"], [TXT], [TXT]]) == PUBLIC
    assert find_mailio_txt([[b"v=spf1 -all"], []]) is None
    for records in ([[TXT], [other]], [[TXT], [b"v=MAILIO1"]], [[b"v=MAILIO2; x=y"]], [[b""]] * 65):
        with pytest.raises(RemoteProtocolError):
            find_mailio_txt(records)


def test_oversized_txt_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="4096"):
        parse_mailio_txt([TXT + b"; n=" + b"x" * 4_096])


LINK = ContactLink(ADDRESS, PUBLIC, (ADDR,), b"\xff" * 32)


def test_links_read_back() -> None:
    for link in (LINK, ContactLink(ADDRESS, PUBLIC), ContactLink(ADDRESS, PUBLIC, (ADDR,) * MAX_ADDRS)):
        assert ContactLink.parse(link.encode()) == link
        assert ContactLink.parse(f" MAILIO:{link.encode()[7:]}&later=1\n") == link
    assert LINK.encode().startswith(f"mailio:{ADDRESS}?k=")
    assert "%" not in LINK.encode()


def test_printing_a_link_shows_no_invitation() -> None:
    assert "invitation" not in repr(LINK)


@given(ANY_TEXT)
def test_any_text_is_a_link_or_refused(text: str) -> None:
    for start in ("", "mailio:", f"mailio:{ADDRESS}?k="):
        with pytest.raises(RemoteProtocolError):
            ContactLink.parse(start + text)


@given(st.integers(0, len(LINK.encode()) - 1), st.characters(codec="ascii"))
def test_a_changed_link_parses_or_is_refused(place: int, character: str) -> None:
    text = LINK.encode()
    try:
        link = ContactLink.parse(text[:place] + character + text[place + 1 :])
    except RemoteProtocolError:
        return
    assert (link.address, link.public_key) == (ADDRESS, PUBLIC)


@pytest.mark.parametrize(
    "change",
    [
        ("k=", "k=A"),
        ("k=", "j="),
        ("?k=", "?k=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&k="),
        ("&i=", "&i=__________________________________________8&i="),
        ("__8", "__9"),
        ("&i=", "&i=="),
        (ADDR, "nonsense"),
        ("/p2p/", "/udp/"),
        ("/ip4/", "/unix/"),
        ("&h=", "&h=/p2p/x" * MAX_ADDRS + "&h="),
        (ADDRESS, "0x" + "0" * 40),
        ("mailio:", "mailto:"),
        ("&i=", "&x=" + "y" * 2_500 + "&i="),
    ],
)
def test_broken_links_are_refused(change: tuple[str, str]) -> None:
    text = LINK.encode()
    changed = text.replace(*change)
    assert changed != text
    with pytest.raises(RemoteProtocolError):
        ContactLink.parse(changed)


@pytest.mark.parametrize(
    "link",
    [
        ContactLink("0x" + "0" * 40, PUBLIC),
        ContactLink(ADDRESS, PUBLIC, (ADDR,) * (MAX_ADDRS + 1)),
        ContactLink(ADDRESS, PUBLIC, ("/ip4/127.0.0.1/tcp/1",)),
        ContactLink(ADDRESS, PUBLIC, (), b"short"),
    ],
)
def test_we_hand_out_no_link_that_others_would_refuse(link: ContactLink) -> None:
    with pytest.raises(LocalProtocolError):
        link.encode()


@given(ANY_TEXT)
def test_any_text_is_a_recipient_or_refused(text: str) -> None:
    for start in ("", "did:", "did:web:", "0x", "mailio:"):
        try:
            recipient = parse_recipient(start + text)
        except RemoteProtocolError:
            continue
        assert isinstance(recipient, EmailRecipient | NameRecipient)


def test_recipients_are_told_apart() -> None:
    assert parse_recipient(LINK.encode()) == LinkRecipient(LINK)
    assert parse_recipient(f"{ADDRESS}@MAILIO.alt") == AddressRecipient(ADDRESS)
    assert parse_recipient(f"did:mailio:{ADDRESS}") == AddressRecipient(ADDRESS)
    assert parse_recipient("Bob@Example.org") == EmailRecipient("bob@example.org")
    assert parse_recipient("  Bob Example ") == NameRecipient("Bob Example")
