"""What is known of common mail providers: where their servers are, and what they want. A table alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NAME: Final = "NAME"
"""In a server's address: what stands before the @ of the owner's."""


@dataclass(frozen=True, slots=True)
class Known:
    """A provider. `imap` and `smtp` as settings have servers, "" where no password opens them; without USER@
    the whole e-mail address is the name to log in with. `authserv_ids`: whose Authentication-Results are its
    own, empty where it has no fixed name for them. `note` is what its users have to do first.
    """

    name: str
    domains: tuple[str, ...]
    imap: str
    smtp: str
    authserv_ids: frozenset[str] = frozenset()
    note: str = ""


PROVIDERS: Final = (
    Known(
        "Gmail",
        ("gmail.com", "googlemail.com"),
        "imaps://imap.gmail.com",
        "smtps://smtp.gmail.com",
        frozenset({"mx.google.com"}),
        "Google wants an app password (myaccount.google.com/apppasswords, with 2-step verification on)",
    ),
    Known(
        "Outlook",
        ("outlook.com", "hotmail.com", "live.com", "msn.com"),
        "",
        "",
        note="Microsoft lets no program in by password any more, so mail can't be fetched there; "
        "have it forwarded to another mailbox",
    ),
    Known(
        "Yahoo",
        ("yahoo.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "yahoo.it", "yahoo.es", "ymail.com", "aol.com"),
        "imaps://imap.mail.yahoo.com",
        "smtps://smtp.mail.yahoo.com",
        note="Yahoo wants an app password (Account security, Generate app password)",
    ),
    Known(
        "iCloud",
        ("icloud.com", "me.com", "mac.com"),
        "imaps://NAME@imap.mail.me.com",
        "smtp://smtp.mail.me.com:587",
        frozenset({"dkim-verifier.icloud.com", "dmarc.icloud.com", "spf.icloud.com"}),
        "Apple wants an app-specific password (account.apple.com, Sign-In and Security)",
    ),
    Known(
        "Fastmail",
        ("fastmail.com", "fastmail.fm", "sent.com"),
        "imaps://imap.fastmail.com",
        "smtps://smtp.fastmail.com",
        note="Fastmail wants an app password (Settings, Privacy & Security, with access to IMAP and SMTP)",
    ),
    Known(
        "GMX",
        ("gmx.de", "gmx.net", "gmx.at", "gmx.ch"),
        "imaps://imap.gmx.net",
        "smtps://mail.gmx.net",
        frozenset({"gmx.net"}),
        "GMX lets programs in after you allow POP3 and IMAP in its settings",
    ),
    Known(
        "GMX",
        ("gmx.com", "gmx.us", "gmx.co.uk"),
        "imaps://imap.gmx.com",
        "smtps://mail.gmx.com",
        frozenset({"gmx.net"}),
        "GMX lets programs in after you allow POP3 and IMAP in its settings",
    ),
    Known(
        "WEB.DE",
        ("web.de",),
        "imaps://imap.web.de",
        "smtps://smtp.web.de",
        frozenset({"web.de"}),
        "WEB.DE lets programs in after you allow POP3 and IMAP in its settings",
    ),
    Known(
        "T-Online",
        ("t-online.de", "magenta.de"),
        "imaps://secureimap.t-online.de",
        "smtps://securesmtp.t-online.de",
        note="Telekom wants the password for e-mail programs, which its customer centre sets",
    ),
    Known(
        "mail.ru",
        ("mail.ru", "inbox.ru", "list.ru", "bk.ru"),
        "imaps://imap.mail.ru",
        "smtps://smtp.mail.ru",
        note="mail.ru wants a password for external applications",
    ),
    Known("Posteo", ("posteo.de", "posteo.net"), "imaps://posteo.de", "smtps://posteo.de"),
    Known("mailbox.org", ("mailbox.org",), "imaps://imap.mailbox.org", "smtps://smtp.mailbox.org"),
    Known(
        "Zoho",
        ("zohomail.com", "zohomail.eu"),
        "imaps://imap.zoho.com",
        "smtps://smtp.zoho.com",
        note="Zoho lets programs in after you allow IMAP in its settings, "
        "with an app password where two factors are on",
    ),
    Known(
        "Proton",
        ("proton.me", "protonmail.com", "pm.me"),
        "imap://127.0.0.1:1143",
        "smtp://127.0.0.1:1025",
        note="Proton wants its Bridge running on this machine, the password that the Bridge shows, "
        "and SSL_CERT_FILE naming the certificate that it exports",
    ),
)

_BY_DOMAIN: Final = {domain: one for one in PROVIDERS for domain in one.domains}


def known_of(domain: str) -> Known | None:
    """The provider whose addresses have this domain; None where none is known to."""
    return _BY_DOMAIN.get(domain)
