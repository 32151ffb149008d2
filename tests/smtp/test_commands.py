"""The grammar of lines: what is read, what is refused and how, and that nothing else can happen."""

import base64
import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.smtp.commands import (
    BAD_RECIPIENT,
    BAD_SENDER,
    NEEDS_UTF8,
    SYNTAX_MAIL,
    SYNTAX_RCPT,
    TOO_LARGE,
    UNKNOWN_PARAMETER,
    MailFrom,
    Refused,
    decode,
    parse_helo,
    parse_mail,
    parse_plain,
    parse_recipient,
    split_line,
)
from node.smtp.reply import Reply
from node.smtp.words import BAD_LINE

TEXT = st.one_of(
    st.text(),
    st.lists(st.sampled_from(["<", ">", "@", ":", '"', "\\", " ", "a", "b.c", "((((", "=", "SIZE", "ü"])).map(
        "".join
    ),
)


def mail(arg: str) -> MailFrom:
    return parse_mail(arg, max_size=1_000, with_auth=False)


def refusal_of_mail(arg: str) -> Reply:
    with pytest.raises(Refused) as refused:
        mail(arg)
    return refused.value.reply


def refusal_of_recipient(arg: str) -> Reply:
    with pytest.raises(Refused) as refused:
        parse_recipient(arg, utf8=False)
    return refused.value.reply


@pytest.mark.parametrize(
    ("arg", "expected"),
    [
        ("FROM:<>", MailFrom("", False, False)),
        ("from: <a@b.example>", MailFrom("a@b.example", False, False)),
        ("FROM:<@relay.example,@two.example:a@b.example>", MailFrom("a@b.example", False, False)),
        ("FROM:<a@[192.0.2.1]> SIZE=1000", MailFrom("a@[192.0.2.1]", False, False)),
        ("FROM:<a@[IPv6:2001:db8::1]>", MailFrom("a@[IPv6:2001:db8::1]", False, False)),
        ('FROM:<"a b@\\"c"@b.example> body=8bitmime', MailFrom('"a b@\\"c"@b.example', False, True)),
        ("FROM:<ü@b.example> SMTPUTF8 BODY=8BITMIME", MailFrom("ü@b.example", True, True)),
    ],
)
def test_mail_is_read(arg: str, expected: MailFrom) -> None:
    assert expected == mail(arg)


@pytest.mark.parametrize(
    ("arg", "reply"),
    [
        ("", SYNTAX_MAIL),
        ("TO:<a@b.example>", SYNTAX_MAIL),
        ("FROM:a@b.example", BAD_SENDER),
        ("FROM:<a@b@c.example>", BAD_SENDER),
        ("FROM:<postmaster>", BAD_SENDER),
        ("FROM:<a@b.example", BAD_SENDER),
        ("FROM:<a@b.example>SIZE=1", BAD_SENDER),
        ("FROM:<a\0@b.example>", BAD_SENDER),
        ("FROM:<" + "a" * 400 + "@b.example>", BAD_SENDER),
        ("FROM:<a@b.example> SIZE=1001", TOO_LARGE),
        ("FROM:<a@b.example> SIZE=-1", SYNTAX_MAIL),
        ("FROM:<a@b.example> SIZE=" + "9" * 21, SYNTAX_MAIL),
        ("FROM:<a@b.example> SIZE=²", SYNTAX_MAIL),
        ("FROM:<a@b.example> SIZE", SYNTAX_MAIL),
        ("FROM:<a@b.example> SIZE=1 SIZE=1", SYNTAX_MAIL),
        ("FROM:<a@b.example> BODY=BINARYMIME", SYNTAX_MAIL),
        ("FROM:<a@b.example> SMTPUTF8=1", SYNTAX_MAIL),
        ("FROM:<a@b.example> RET=FULL", UNKNOWN_PARAMETER),
        ("FROM:<a@b.example> AUTH=<>", UNKNOWN_PARAMETER),
        ("FROM:<ü@b.example>", NEEDS_UTF8),
    ],
)
def test_mail_is_refused(arg: str, reply: Reply) -> None:
    assert reply == refusal_of_mail(arg)


def test_a_mail_program_may_say_auth() -> None:
    read = parse_mail("FROM:<a@b.example> AUTH=<>", max_size=9, with_auth=True)
    assert MailFrom("a@b.example", False, False) == read


@pytest.mark.parametrize(
    ("arg", "recipient"),
    [("TO:<a@b.example>", "a@b.example"), ("to:<Postmaster>", "Postmaster"), ("TO: <a@b>", "a@b")],
)
def test_a_recipient_is_read(arg: str, recipient: str) -> None:
    assert recipient == parse_recipient(arg, utf8=False)


@pytest.mark.parametrize(
    ("arg", "reply"),
    [
        ("", SYNTAX_RCPT),
        ("FROM:<a@b.example>", SYNTAX_RCPT),
        ("TO:<>", BAD_RECIPIENT),
        ("TO:<a>", BAD_RECIPIENT),
        ("TO:<a@b.example> NOTIFY=NEVER", UNKNOWN_PARAMETER),
        ("TO:<ü@b.example>", NEEDS_UTF8),
    ],
)
def test_a_recipient_is_refused(arg: str, reply: Reply) -> None:
    assert reply == refusal_of_recipient(arg)


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP", b"NO\rOP\r\n", b"NOOP\r\r\n", b"\xff\r\n"])
def test_a_line_ends_as_it_must(line: bytes) -> None:
    with pytest.raises(Refused) as refused:
        split_line(line)
    assert BAD_LINE == refused.value.reply


def test_a_line_is_split() -> None:
    assert ("MAIL", "FROM:<a@b> ü") == split_line("mail  FROM:<a@b> ü \r\n".encode())
    assert ("QUIT", "") == split_line(b"QUIT\r\n")
    assert ("", "") == split_line("ſ\r\n".encode())  # which is S in upper case


def test_names_and_passwords_are_read() -> None:
    assert ("anna", "pä:ss") == parse_plain(base64.b64encode("\0anna\0pä:ss".encode()).decode())
    assert ("anna", "x") == parse_plain(base64.b64encode(b"other\0anna\0x").decode())
    assert "" == decode("=")


PARSERS: tuple[Callable[[str], object], ...] = (
    mail,
    lambda text: mail(f"FROM:<{text}>"),
    lambda text: mail(f"FROM:<a@b.example> {text}"),
    lambda text: parse_recipient(f"TO:<{text}>", utf8=True),
    decode,
    parse_plain,
    lambda text: split_line(text.encode("utf-8", "surrogatepass")),
)


@given(TEXT)
def test_anything_else_is_refused_and_nothing_worse(text: str) -> None:
    codes: set[int] = set()
    for parse in PARSERS:
        try:
            parse(text)
        except Refused as refused:
            codes.add(refused.reply.code // 100)
    assert codes <= {5}
    assert text.startswith(parse_helo(text))


@given(st.binary())
def test_what_was_read_has_no_line_ends_in_it(raw: bytes) -> None:
    """An address goes into our files and, as a recipient, on into other sessions."""
    text = raw.decode("latin-1")
    found = ""
    with contextlib.suppress(Refused):
        found += mail(f"FROM:<{text}> SMTPUTF8").sender
    with contextlib.suppress(Refused):
        found += parse_recipient(f"TO:<{text}>", utf8=True)
    assert not set(found) & set(map(chr, range(32)))


@pytest.mark.parametrize("hostile", ["(" * 2_000, "<" * 2_000, "@a," * 600, '"' + "\\" * 1_999, "a." * 1_000])
def test_what_held_upstream_up_is_refused_at_once(hostile: str) -> None:
    """`((((` is a RecursionError there. (No clock: the expressions have no choice to come back to.)"""
    assert BAD_SENDER == refusal_of_mail(f"FROM:<{hostile}")
    assert BAD_SENDER == refusal_of_mail(f"FROM:<{hostile}>")
