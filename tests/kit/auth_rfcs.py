"""The examples of RFC 7208 appendix A, RFC 7489 appendix B, RFC 6376 appendix A and RFC 8463 appendix A."""

from typing import Final

from tests.kit.auth_rows import ELSEWHERE, PLAIN, Row, dmarc, key, signed, spf

# ---- RFC 7208 appendix A

_RFC7208: Final = """
    example.com MX 10 mail-a.example.com.
    example.com MX 20 mail-b.example.com.
    example.com A 192.0.2.10
    example.com A 192.0.2.11
    amy.example.com A 192.0.2.65
    bob.example.com A 192.0.2.66
    mail-a.example.com A 192.0.2.129
    mail-b.example.com A 192.0.2.130
    www.example.com CNAME example.com.
    example.org MX 10 mail-c.example.org.
    mail-c.example.org A 192.0.2.140
    10.2.0.192.in-addr.arpa PTR example.com.
    11.2.0.192.in-addr.arpa PTR example.com.
    65.2.0.192.in-addr.arpa PTR amy.example.com.
    66.2.0.192.in-addr.arpa PTR bob.example.com.
    129.2.0.192.in-addr.arpa PTR mail-a.example.com.
    130.2.0.192.in-addr.arpa PTR mail-b.example.com.
    140.2.0.192.in-addr.arpa PTR mail-c.example.org.
    4.0.0.10.in-addr.arpa PTR bob.example.com.
"""
_A2: Final = (
    spf("v=spf1 mx -all", _RFC7208)
    + """
    example.net TXT v=spf1 ip4:198.51.100.7 -all
    example.org TXT v=spf1 include:example.com include:example.net -all
    la.example.org TXT v=spf1 redirect=example.org
"""
)
_A3: Final = spf(
    "v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all",
    _RFC7208
    + """
    mobile-users._spf.example.com TXT v=spf1 exists:%{l1r+}.%{d}
    remote-users._spf.example.com TXT v=spf1 exists:%{ir}.%{l1r+}.%{d}
    mary.mobile-users._spf.example.com A 127.0.0.2
    fred.mobile-users._spf.example.com A 127.0.0.2
    15.15.168.192.joel.remote-users._spf.example.com A 127.0.0.2
    16.15.168.192.joel.remote-users._spf.example.com A 127.0.0.2
""",
)
_A4: Final = spf(
    "v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all",
    _RFC7208
    + """
    ip4._spf.example.com TXT v=spf1 -ip4:192.0.2.0/24 +all
    ptr._spf.example.com TXT v=spf1 -ptr:example.com +all
""",
)


def _a1(record: str, **clients: str) -> dict[str, Row]:
    """One row a client: its last two numbers, and what comes of it."""
    zone = spf(record, _RFC7208)
    rows = {}
    for client, result in clients.items():
        address = {"x": ELSEWHERE, "rogue": "10.0.0.4"}.get(client, f"192.0.2.{client[1:]}")
        rows[f"RFC 7208 A.1: {record} from {address}"] = Row(zone, f"spf {result}, dmarc none", address)
    return rows


RFC_7208: Final = {
    **_a1("v=spf1 +all", x="pass"),
    **_a1("v=spf1 a -all", _10="pass", _11="pass", _129="fail"),
    **_a1("v=spf1 a:example.org -all", _10="fail", _140="fail"),
    **_a1("v=spf1 mx -all", _129="pass", _130="pass", _10="fail"),
    **_a1("v=spf1 mx:example.org -all", _140="pass", _129="fail"),
    **_a1("v=spf1 mx mx:example.org -all", _129="pass", _140="pass", _10="fail"),
    **_a1("v=spf1 mx/30 mx:example.org/30 -all", _131="pass", _143="pass", _144="fail"),
    **_a1("v=spf1 ptr -all", _65="pass", _140="fail", rogue="fail"),
    **_a1("v=spf1 ip4:192.0.2.128/28 -all", _65="fail", _129="pass"),
    "RFC 7208 A.2: include, from the one": Row(_A2, "spf pass, dmarc none", "192.0.2.129", "joe@example.org"),
    "RFC 7208 A.2: include, from the other": Row(
        _A2, "spf pass, dmarc none", "198.51.100.7", "j@example.org"
    ),
    "RFC 7208 A.2: include, from none": Row(_A2, "spf fail, dmarc none", "192.0.2.140", "joe@example.org"),
    "RFC 7208 A.2: redirect": Row(_A2, "spf pass, dmarc none", "192.0.2.130", "joe@la.example.org"),
    "RFC 7208 A.3: a mobile user": Row(_A3, "spf pass, dmarc none", sender="mary@example.com"),
    "RFC 7208 A.3: one with a tag": Row(_A3, "spf pass, dmarc none", sender="fred+list@example.com"),
    "RFC 7208 A.3: a remote user": Row(_A3, "spf pass, dmarc none", "192.168.15.16", "joel@example.com"),
    "RFC 7208 A.3: from elsewhere": Row(_A3, "spf fail, dmarc none", "192.168.15.17", "joel@example.com"),
    "RFC 7208 A.4: both": Row(_A4, "spf pass, dmarc none", "192.0.2.65"),
    "RFC 7208 A.4: name alone": Row(_A4, "spf fail, dmarc none", "10.0.0.4"),
    "RFC 7208 A.4: address alone": Row(_A4, "spf fail, dmarc none", "192.0.2.140"),
}

# ---- RFC 7489 appendix B

_PASSES: Final = (
    "example.com TXT v=spf1 +all\nchild.example.com TXT v=spf1 +all\nexample.net TXT v=spf1 +all\n"
)
_B1: Final = dmarc("v=DMARC1; p=reject", _PASSES)
_B1_DKIM: Final = dmarc("v=DMARC1; p=reject", key() + key("sample.net"))
_FEEDBACK: Final = "rua=mailto:dmarc-feedback@example.com"
_B24: Final = (
    "_dmarc.test.example.com TXT v=DMARC1; p=quarantine; "
    f"{_FEEDBACK},mailto:tld-test@thirdparty.example.net!10m; pct=25"
)

RFC_7489: Final = {
    "RFC 7489 B.1.1: SPF in alignment": Row(_B1, "spf pass, dmarc pass"),
    "RFC 7489 B.1.1: parent": Row(_B1, "spf pass, dmarc pass", sender="s@child.example.com"),
    "RFC 7489 B.1.1: not in alignment": Row(
        _B1, "spf pass, dmarc fail reject", sender="s@example.net", author="child.example.com"
    ),
    "RFC 7489 B.1.2: DKIM in alignment": Row(
        _B1_DKIM, "spf none, dkim example.com, dmarc pass", sender="", raw=signed()
    ),
    "RFC 7489 B.1.2: parent": Row(
        _B1_DKIM,
        "spf none, dkim example.com, dmarc pass",
        sender="",
        author="child.example.com",
        raw=signed(),
    ),
    "RFC 7489 B.1.2: not in alignment": Row(
        _B1_DKIM,
        "spf none, dkim sample.net, dmarc fail reject",
        sender="",
        author="child.example.com",
        raw=signed("sample.net"),
    ),
    "RFC 7489 B.2.1: monitoring": Row(dmarc(f"v=DMARC1; p=none; {_FEEDBACK}"), "spf none, dmarc fail"),
    "RFC 7489 B.2.2: with failure reports": Row(
        dmarc(f"v=DMARC1; p=none; {_FEEDBACK}; ruf=mailto:auth-reports@example.com"), "spf none, dmarc fail"
    ),
    "RFC 7489 B.2.3: to a third party": Row(
        dmarc(f"v=DMARC1; p=none; {_FEEDBACK}; ruf=mailto:auth-reports@thirdparty.example.net"),
        "spf none, dmarc fail",
    ),
    "RFC 7489 B.2.4: sampling, drawn": Row(
        _B24, "spf none, dmarc fail quarantine", author="test.example.com", raw=PLAIN + b"3\r\n"
    ),
    "RFC 7489 B.2.4: sampling, not drawn": Row(
        _B24, "spf none, dmarc fail", author="test.example.com", raw=PLAIN + b"1\r\n"
    ),
}

# ---- RFC 6376 appendix A (with errata 3192 and 4926), RFC 8463 appendix A

RFC6376_MESSAGE: Final = b"""\
DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
_RFC6376_KEY: Final = (
    "brisbane._domainkey.example.com TXT v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9"
    "ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0"
    "fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)

RFC8463_MESSAGE: Final = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")

RFC8463_ED25519: Final = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
RFC8463_RSA: Final = (
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2"
    "jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G"
    "+2kryOTIKT+l/K4w3QIDAQAB"
)
_RFC8463_KEYS: Final = f"""
    brisbane._domainkey.football.example.com TXT {RFC8463_ED25519}
    test._domainkey.football.example.com TXT {RFC8463_RSA}
"""
_RFC8463: Final = "spf none, dkim football.example.com, dmarc none"

RFC_DKIM: Final = {
    "RFC 6376 A.2: signed": Row(
        _RFC6376_KEY,
        "spf none, dkim example.com, dmarc none",
        sender="joe@football.example.com",
        author="football.example.com",
        raw=RFC6376_MESSAGE,
    ),
    "RFC 6376 A.2: another body": Row(
        _RFC6376_KEY, "spf none, dmarc none", raw=RFC6376_MESSAGE.replace(b"hungry", b"thirsty")
    ),
    "RFC 8463 A.3: both signatures": Row(_RFC8463_KEYS, _RFC8463, raw=RFC8463_MESSAGE),
    "RFC 8463 A.3: Ed25519 alone": Row(_RFC8463_KEYS.partition("test.")[0], _RFC8463, raw=RFC8463_MESSAGE),
    "RFC 8463 A.3: RSA alone": Row(
        "test." + _RFC8463_KEYS.partition("test.")[2], _RFC8463, raw=RFC8463_MESSAGE
    ),
}

RFCS: Final = {**RFC_7208, **RFC_7489, **RFC_DKIM}
