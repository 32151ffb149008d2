"""What this project says of SPF, DKIM and DMARC beyond the RFCs' examples: limits, faults, mischief."""

from typing import Final

from tests.kit.auth_rfcs import RFCS
from tests.kit.auth_rows import Row, dmarc, key, signed, spf
from tests.kit.names_server import Fault

_HERE: Final = "192.0.2.1"
_SIX: Final = "2001:db8::1"
_LONG: Final = "v=spf1 " + "ip4:192.0.2.1 " * 300 + "-all"
_CHAIN: Final = "".join(f"i{n}.example.com TXT v=spf1 include:i{n + 1}.example.com ?all\n" for n in range(12))
_NINE: Final = "".join(f"i{n}.example.com TXT v=spf1 include:i{n + 1}.example.com ?all\n" for n in range(9))
_REJECT: Final = "v=DMARC1; p=reject"
_KEY_NAME: Final = "sel._domainkey.example.com"


def _hosts(count: int) -> str:
    return "".join(
        f"example.com MX {n} m{n}.example.com.\nm{n}.example.com A 192.0.2.{n}\n" for n in range(1, count + 1)
    )


def _many(name: str, count: int) -> str:
    return "".join(f"{name} TXT {n}\n" for n in range(count))


def _fails(fault: Fault, expected: str = "spf temperror, dmarc none, later example.com") -> Row:
    return Row(spf("v=spf1 +all"), expected, faults={"example.com": fault})


SPF: Final = {
    "no record": Row("example.com A 192.0.2.1", "spf none, dmarc none"),
    "no name": Row("", "spf none, dmarc none"),
    "other texts": Row("example.com TXT hello\nexample.com TXT v=spf10 +all", "spf none, dmarc none"),
    "softfail": Row(spf("v=spf1 ~all"), "spf softfail, dmarc none"),
    "neutral": Row(spf("v=spf1 ?all"), "spf neutral, dmarc none"),
    "neutral by default": Row(spf("v=spf1 ip4:192.0.2.1"), "spf neutral, dmarc none"),
    "capitals": Row(spf("V=SPF1 IP4:192.0.2.0/24 -ALL"), "spf pass, dmarc none", _HERE),
    "IPv6": Row(spf("v=spf1 ip6:2001:db8::/32 -all"), "spf pass, dmarc none", _SIX),
    "IPv6, by name": Row(
        spf("v=spf1 a -all", "example.com AAAA 2001:db8::1"), "spf pass, dmarc none", "2001:DB8:0::1"
    ),
    "IPv4 in IPv6": Row(spf("v=spf1 ip4:192.0.2.1 -all"), "spf pass, dmarc none", "::ffff:192.0.2.1"),
    "an alias": Row(
        "alias.example CNAME example.com.\n" + spf("v=spf1 ip4:192.0.2.1 -all"),
        "spf pass, dmarc none",
        _HERE,
        "joe@alias.example",
    ),
    "null sender, greeting passes": Row(
        "mx.example.net TXT v=spf1 ip4:192.0.2.1 -all", "spf pass, dmarc none", _HERE, ""
    ),
    "null sender, greeting fails": Row(
        "mx.example.net TXT v=spf1 ip4:192.0.2.2 -all", "spf fail, dmarc none", _HERE, ""
    ),
    "null sender, greeting with an address": Row("", "spf none, dmarc none", sender="", helo="[192.0.2.1]"),
    "null sender, greeting without a dot": Row(
        "pc TXT v=spf1 +all", "spf none, dmarc none", sender="", helo="pc"
    ),
    "sender at an address": Row("", "spf none, dmarc none", sender="joe@[192.0.2.1]"),
    "sender that is none": Row("", "spf none, dmarc none", sender="joe@exa mple.com"),
    "sender with an @ in quotes": Row(
        spf("v=spf1 +all", "evil.example TXT v=spf1 -all"),
        "spf pass, dmarc none",
        sender='"a@evil.example"@example.com',
    ),
    "client not known": Row(spf("v=spf1 -all"), "spf none, dmarc none", ""),
    "client that is none": Row(spf("v=spf1 -all"), "spf none, dmarc none", "localhost"),
    "two records": Row(spf("v=spf1 +all", spf("v=spf1 -all")), "spf permerror, dmarc none"),
    "unknown mechanism": Row(spf("v=spf1 ip4:192.0.2.1 hello -all"), "spf permerror, dmarc none", _HERE),
    "address that is none": Row(spf("v=spf1 ip4:192.0.2.333 -all"), "spf permerror, dmarc none"),
    "prefix that is none": Row(spf("v=spf1 ip4:192.0.2.1/33 -all"), "spf permerror, dmarc none"),
    "macro that is none": Row(spf("v=spf1 exists:%{q}.example.com -all"), "spf permerror, dmarc none"),
    "macro of 5,000 digits": Row(spf(f"v=spf1 a:%{{d{'9' * 5_000}}}.com"), "spf permerror, dmarc none"),
    "macro of 200 digits": Row(spf(f"v=spf1 a:%{{d{'9' * 200}}} +all"), "spf pass, dmarc none"),
    "bytes beyond ASCII": Row(spf("v=spf1 include:exämple.com +all"), "spf permerror, dmarc none"),
    "included domain without a record": Row(
        spf("v=spf1 include:i.example.com +all"), "spf permerror, dmarc none"
    ),
    "redirect to a domain without a record": Row(
        spf("v=spf1 redirect=i.example.com"), "spf permerror, dmarc none"
    ),
    "includes itself": Row(spf("v=spf1 include:example.com +all"), "spf permerror, dmarc none"),
    "redirects to itself": Row(spf("v=spf1 redirect=example.com"), "spf permerror, dmarc none"),
    "ten look-ups": Row(
        spf("v=spf1 include:i0.example.com +all", _NINE + "i9.example.com TXT v=spf1 +all"),
        "spf pass, dmarc none",
    ),
    "eleven look-ups": Row(spf("v=spf1 include:i0.example.com +all", _CHAIN), "spf permerror, dmarc none"),
    "two look-ups in vain": Row(
        spf("v=spf1 a:a.example.com a:b.example.com +all", "c.example.com A 192.0.2.1"),
        "spf pass, dmarc none",
    ),
    "three look-ups in vain": Row(
        spf("v=spf1 a:a.example.com a:b.example.com a:c.example.com +all"), "spf permerror, dmarc none"
    ),
    "ten mail servers": Row(spf("v=spf1 mx -all", _hosts(10)), "spf pass, dmarc none", "192.0.2.10"),
    "eleven mail servers": Row(spf("v=spf1 mx -all", _hosts(11)), "spf permerror, dmarc none", "192.0.2.1"),
    "null MX": Row(spf("v=spf1 mx +all", "example.com MX 0 ."), "spf pass, dmarc none"),
    "record of 4,200 bytes": Row(spf(_LONG), "spf permerror, dmarc none", _HERE),
    "word of 400 bytes": Row(spf(f"v=spf1 a:{'a.' * 200}com +all"), "spf permerror, dmarc none"),
    "64 records": Row(spf("v=spf1 +all", _many("example.com", 63)), "spf pass, dmarc none"),
    "65 records": Row(spf("v=spf1 +all", _many("example.com", 64)), "spf none, dmarc none"),
    "explanation is not asked for": Row(
        spf("v=spf1 -all exp=why.example.com"),
        "spf fail, dmarc none",
        faults={"why.example.com": Fault.SERVFAIL},
    ),
    "SERVFAIL": _fails(Fault.SERVFAIL),
    "refused": _fails(Fault.REFUSED),
    "NXDOMAIN": _fails(Fault.NXDOMAIN, "spf none, dmarc none"),
    "truncated, then over TCP": _fails(Fault.TRUNCATED, "spf pass, dmarc none"),
    "cut in the middle": _fails(Fault.CUT),
    "record that is none": _fails(Fault.BROKEN),
    "thousands of records": _fails(Fault.OVERSIZED, "spf none, dmarc none"),
    "silence": _fails(Fault.SILENCE),
    "somebody else's answer": _fails(Fault.WRONG_ID),
    "answer to another question": _fails(Fault.OTHER_QUESTION),
    "garbage": _fails(Fault.GARBAGE),
    "SERVFAIL of an included domain": Row(
        spf("v=spf1 include:i.example.com +all"),
        "spf temperror, dmarc none, later example.com",
        faults={"i.example.com": Fault.SERVFAIL},
    ),
    "passes before what fails": Row(
        spf("v=spf1 ip4:192.0.2.1 include:i.example.com -all"),
        "spf pass, dmarc none",
        _HERE,
        faults={"i.example.com": Fault.SERVFAIL},
    ),
    "client's name can't be had": Row(
        spf("v=spf1 ptr -all"),
        "spf fail, dmarc none",
        _HERE,
        faults={"1.2.0.192.in-addr.arpa": Fault.SERVFAIL},
    ),
}

_TWO: Final = dmarc(_REJECT, dmarc("v=DMARC1; p=none"))
_FAILS: Final = "spf none, dmarc fail"
_SUB: Final = "mail.sub.example.com"

DMARC: Final = {
    "reject": Row(dmarc(_REJECT), f"{_FAILS} reject"),
    "quarantine": Row(dmarc("v=DMARC1; p=quarantine"), f"{_FAILS} quarantine"),
    "spaces and capitals": Row(dmarc("v = DMARC1 ;  P=x; p = Reject ; "), f"{_FAILS} reject"),
    "two records are none": Row(_TWO, "spf none, dmarc none"),
    "one record beside other texts": Row(dmarc(_REJECT, "_dmarc.example.com TXT hello"), f"{_FAILS} reject"),
    "v= is not first": Row(dmarc("p=reject; v=DMARC1"), "spf none, dmarc none"),
    "another version": Row(dmarc("v=DMARC2; p=reject"), "spf none, dmarc none"),
    "version in small letters": Row(dmarc("v=dmarc1; p=reject"), "spf none, dmarc none"),
    "no p=": Row(dmarc("v=DMARC1; adkim=s"), "spf none, dmarc none"),
    "no p= but somebody to report to": Row(dmarc("v=DMARC1; rua=mailto:a@example.com"), _FAILS),
    "p= that is none": Row(dmarc("v=DMARC1; p=hello"), "spf none, dmarc none"),
    "two p=": Row(dmarc("v=DMARC1; p=none; p=reject"), "spf none, dmarc none"),
    "tags that are none": Row(dmarc("v=DMARC1; p=reject; hello; =; pct=x; adkim=y"), f"{_FAILS} reject"),
    "record of 5,000 bytes": Row(dmarc(f"{_REJECT}; x={'x' * 5_000}"), "spf none, dmarc none"),
    "bytes beyond ASCII": Row(dmarc(f"{_REJECT}; x=ä"), "spf none, dmarc none"),
    "pct=0": Row(dmarc(f"{_REJECT}; pct=0"), f"{_FAILS} quarantine"),
    "pct=0 of quarantine": Row(dmarc("v=DMARC1; p=quarantine; pct=0"), _FAILS),
    "organisational domain": Row(dmarc(_REJECT), f"{_FAILS} reject", author=_SUB),
    "sp=": Row(dmarc(f"{_REJECT}; sp=quarantine"), f"{_FAILS} quarantine", author=_SUB),
    "sp= that is none": Row(dmarc(f"{_REJECT}; sp=x"), "spf none, dmarc none", author=_SUB),
    "record of its own": Row(dmarc(_REJECT, f"_dmarc.{_SUB} TXT v=DMARC1; p=none"), _FAILS, author=_SUB),
    "nothing in between is asked": Row(
        dmarc(_REJECT, "_dmarc.sub.example.com TXT v=DMARC1; p=none"), f"{_FAILS} reject", author=_SUB
    ),
    "public suffix": Row("_dmarc.co.uk TXT v=DMARC1; p=reject", f"{_FAILS} reject", author="co.uk"),
    "below a public suffix": Row(
        "_dmarc.co.uk TXT v=DMARC1; p=reject", "spf none, dmarc none", author="example.co.uk"
    ),
    "no author": Row(dmarc(_REJECT), "spf none, dmarc none", author=""),
    "author's domain that is none": Row(dmarc(_REJECT), "spf none, dmarc none", author="exa mple.com"),
    "relaxed DKIM": Row(
        dmarc(_REJECT, key()), "spf none, dkim example.com, dmarc pass", author=_SUB, raw=signed()
    ),
    "strict DKIM": Row(
        dmarc(f"{_REJECT}; adkim=s", key()),
        "spf none, dkim example.com, dmarc fail reject",
        author=_SUB,
        raw=signed(),
    ),
    "strict DKIM, of itself": Row(
        dmarc(f"{_REJECT}; adkim=s", key()), "spf none, dkim example.com, dmarc pass", raw=signed()
    ),
    "strict SPF": Row(
        dmarc(f"{_REJECT}; aspf=s", "child.example.com TXT v=spf1 +all"),
        "spf pass, dmarc fail reject",
        sender="joe@child.example.com",
    ),
    "strict SPF, of itself": Row(dmarc(f"{_REJECT}; aspf=s", spf("v=spf1 +all")), "spf pass, dmarc pass"),
    "null sender, aligned greeting": Row(
        dmarc(_REJECT, "mx.example.com TXT v=spf1 +all"),
        "spf pass, dmarc pass",
        sender="",
        helo="mx.example.com",
    ),
    "softfail is no pass": Row(dmarc(_REJECT, spf("v=spf1 ~all")), "spf softfail, dmarc fail reject"),
    "a stranger's SPF": Row(
        dmarc(_REJECT, "evil.example TXT v=spf1 +all"),
        "spf pass, dmarc fail reject",
        sender="eve@evil.example",
    ),
    "a stranger's signature": Row(
        dmarc(_REJECT, key("evil.example")),
        "spf none, dkim evil.example, dmarc fail reject",
        raw=signed("evil.example"),
    ),
    "two signatures, the second is the author's": Row(
        dmarc(_REJECT, key() + key("list.example")),
        "spf none, dkim list.example example.com, dmarc pass",
        raw=signed("list.example", signed()),
    ),
    "SPF fails, DKIM holds": Row(
        dmarc(_REJECT, key() + spf("v=spf1 -all")), "spf fail, dkim example.com, dmarc pass", raw=signed()
    ),
    "changed on the way": Row(
        dmarc(_REJECT, key()), f"{_FAILS} reject", raw=signed().replace(b"dinner", b"supper")
    ),
    "client not known": Row(dmarc(_REJECT, spf("v=spf1 -all")), "spf none, dmarc none", ""),
    "client not known, DKIM holds": Row(
        dmarc(_REJECT, key()), "spf none, dkim example.com, dmarc pass", "", raw=signed()
    ),
    "policy: SERVFAIL": Row(
        dmarc(_REJECT), "spf none, dmarc temperror", faults={"_dmarc.example.com": Fault.SERVFAIL}
    ),
    "policy: silence": Row(
        dmarc(_REJECT), "spf none, dmarc temperror", faults={"_dmarc.example.com": Fault.SILENCE}
    ),
    "policy: answer to another question": Row(
        dmarc(_REJECT), "spf none, dmarc temperror", faults={"_dmarc.example.com": Fault.OTHER_QUESTION}
    ),
    "policy: thousands of records": Row(
        dmarc(_REJECT), "spf none, dmarc none", faults={"_dmarc.example.com": Fault.OVERSIZED}
    ),
    "key: SERVFAIL": Row(
        dmarc(_REJECT, key()),
        "spf none, dmarc temperror, later example.com",
        raw=signed(),
        faults={_KEY_NAME: Fault.SERVFAIL},
    ),
    "key: silence": Row(
        dmarc(_REJECT, key()),
        "spf none, dmarc temperror, later example.com",
        raw=signed(),
        faults={_KEY_NAME: Fault.SILENCE},
    ),
    "SPF: SERVFAIL": Row(
        dmarc(_REJECT),
        "spf temperror, dmarc temperror, later example.com",
        faults={"example.com": Fault.SERVFAIL},
    ),
    "SPF: SERVFAIL, DKIM holds": Row(
        dmarc(_REJECT, key()),
        "spf temperror, dkim example.com, dmarc pass",
        raw=signed(),
        faults={"example.com": Fault.SERVFAIL},
    ),
    "a stranger's SPF: SERVFAIL": Row(
        dmarc(_REJECT),
        "spf temperror, dmarc fail reject, later evil.example",
        sender="eve@evil.example",
        faults={"evil.example": Fault.SERVFAIL},
    ),
}

ROWS: Final = (
    RFCS
    | {f"SPF: {name}": row for name, row in SPF.items()}
    | {f"DMARC: {name}": row for name, row in DMARC.items()}
)
"""The whole table."""
