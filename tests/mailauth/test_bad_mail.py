"""Mail that is none, lies or is too large, before the judge: nothing proven, no policy applied, no error."""

import pytest

from node.letters.parse import summarize
from node.mailauth import Dmarc, Hop
from protocol.errors import RemoteProtocolError
from tests.kit.dkim_keys import rsa_key, sign
from tests.kit.mailauths import mail_auth
from tests.kit.mutations import author_domain
from tests.kit.names_server import open_names

HOP = Hop("203.0.113.9", "mx.example.net", "eve@evil.example")
SIGNED = sign(b"From: joe@example.com\r\nSubject: a\r\n\r\nHi.\r\n", rsa_key(), "example.com", "sel")

MAILS = {
    "nothing": b"",
    "no header": b"\r\nFrom: joe@example.com\r\n",
    "no From": b"Subject: a\r\n\r\nHi.\r\n",
    "empty From": b"From: \r\n\r\nHi.\r\n",
    "two From": b"From: joe@example.com\r\nFrom: eve@evil.example\r\n\r\nHi.\r\n",
    "two From, signed": b"From: eve@evil.example\r\n" + SIGNED,
    "two authors": b"From: joe@example.com, eve@evil.example\r\n\r\nHi.\r\n",
    "a group": b"From: friends: joe@example.com, eve@evil.example;\r\n\r\nHi.\r\n",
    "an empty group": b"From: undisclosed:;\r\n\r\nHi.\r\n",
    "no address": b"From: Joe\r\n\r\nHi.\r\n",
    "an address in a name": b'From: "joe@example.com" <>\r\n\r\nHi.\r\n',
    "NUL": b"From: joe@exam\x00ple.com\r\n\r\nHi.\r\n",
    "charset that lies": b"From: =?utf-16?b?////?= <=?utf-8?q?joe=40example.com?=>\r\n\r\nHi.\r\n",
    "megabytes of one field": b"From: a" + b" a" * 1_500_000 + b"@example.com\r\n\r\n",
    "megabytes of fields": b"X: y\r\n" * 500_000 + SIGNED,
    "megabytes of signatures": b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com\r\n" * 60_000 + SIGNED,
}


@pytest.mark.parametrize("name", MAILS)
async def test_bad_mail_proves_nothing(name: str) -> None:
    async with open_names() as names:
        names.txt("sel._domainkey.example.com", rsa_key().txt)
        names.txt("_dmarc.example.com", "v=DMARC1; p=reject")
        try:
            author = author_domain(summarize(MAILS[name]))
        except RemoteProtocolError:
            author = ""
        judgement = await mail_auth(names).judge(MAILS[name], HOP, author)
    assert ((), ()) == (judgement.domains, judgement.later)
    assert Dmarc("none", "", "none") == judgement.dmarc
