"""What settings there are, by section: each with its default, its kind and its help. Reading them is
config.py's.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from node.runtime.settings import (
    LEAST_PIN,
    MOST_PIN,
    Kind,
    choice,
    duration,
    listen_addresses,
    peer_addresses,
    size,
    whole,
)
from node.runtime.settings_files import kubo_api
from node.runtime.settings_mail import (
    domain_names,
    file_path,
    ip_address_or_none,
    ip_networks,
    nameserver_list,
    own_emails,
    smarthost_url,
    yes_or_no,
)

MAX_LETTER: Final = 1_032_192
"""Bytes of a letter's padded inner (protocol §6); an operator may take less, never more."""

MAX_ATTACHMENT: Final = 1_000_000_000_000
"""Bytes: a terabyte takes a day to fetch; nothing but the disk says less."""

MAX_MAIL: Final = 32_000_000
"""Bytes of an ordinary mail that can still be read within bounds (node/letters/limits.py)."""


def setting(kind: Kind, default: object, text: str) -> Any:
    """A field of a section; `text` is its help."""
    return field(default=default, metadata={"kind": kind, "help": text})


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """How this node meets others."""

    listen: tuple[str, ...] = setting(
        listen_addresses(),
        ("/ip4/0.0.0.0/tcp/4101", "/ip6/::/tcp/4101"),
        "Where other nodes reach this one. Port 0 picks a free one; an empty list only dials out.",
    )
    bootstrap: tuple[str, ...] | None = setting(
        peer_addresses(),
        None,
        "First peers to dial, in place of the list that came with the program. Empty: none.",
    )
    announce: str = setting(
        choice("all", "contacts"),
        "all",
        "Who gets this node's addresses: everyone who looks you up, or only those you have accepted.",
    )


@dataclass(frozen=True, slots=True)
class MailConfig:
    """Who the owner is in ordinary e-mail."""

    addresses: tuple[str, ...] = setting(
        own_emails(),
        (),
        "Your e-mail addresses, the one you write from first. *@example.org means every name there.",
    )


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """The bridge to ordinary e-mail, in and out."""

    host: str = setting(ip_address_or_none(), "127.0.0.1", "Where ordinary mail comes in. Empty: nowhere.")
    port: int = setting(whole(0, 65_535), 2525, "The port for it; 0 picks a free one.")
    domains: tuple[str, ...] = setting(
        domain_names(), (), "Domains whose mail comes here; who is known there is in mail.addresses."
    )
    trusted: tuple[str, ...] = setting(
        ip_networks(),
        (),
        "Networks of your mail servers in front of this node: whoever brought a letter to them is judged "
        "instead of them.",
    )
    smarthost: str | None = setting(
        smarthost_url(),
        None,
        "The mail server that takes your mail to others, as smtp://USER@HOST:587 or smtps://USER@HOST:465; "
        "its password is set apart: mailio config set --secret smtp.smarthost.",
    )
    direct: bool = setting(
        yes_or_no(),
        default=False,
        text="Bring mail to its recipients' own mail servers, in place of a smarthost. For servers whose "
        "network lets port 25 out and whose name and address others know.",
    )
    networks: tuple[str, ...] = setting(
        ip_networks(),
        (),
        "Private networks whose addresses mail may be brought to all the same, such as 10.0.0.0/8.",
    )
    sts: str = setting(
        choice("none", "testing", "enforce"),
        "testing",
        "Your domains' MTA-STS policy: whether other mail servers must insist on TLS and on a certificate "
        "that fits (enforce), only report (testing), or forget an earlier policy (none).",
    )


@dataclass(frozen=True, slots=True)
class SubmissionConfig:
    """Where the owner's mail programs hand in what they send."""

    host: str = setting(
        ip_address_or_none(),
        "127.0.0.1",
        "Where your mail programs hand in what they send. Empty: nowhere. Off this machine only with TLS.",
    )
    port: int = setting(whole(0, 65_535), 2587, "The port for it; 0 picks a free one.")


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The certificate that this node shows to mail servers and mail programs."""

    certificate: str | None = setting(
        file_path(), None, "File with this node's certificate chain (PEM); with it STARTTLS is offered."
    )
    key: str | None = setting(file_path(), None, "File with its private key (PEM).")


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """What this node serves to everyone by HTTPS, with the certificate of `tls`; without one nothing."""

    host: str = setting(
        ip_address_or_none(),
        "127.0.0.1",
        "Where your domains' MTA-STS policy is served by HTTPS, once a certificate is set. Empty: nowhere.",
    )
    port: int = setting(
        whole(0, 65_535),
        8025,
        "The port for it; others ask at 443, from where it is sent on. 0 is a free one.",
    )


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """Who is asked about names."""

    nameservers: tuple[str, ...] | None = setting(
        nameserver_list(), None, "Name servers to ask in place of the system's, such as 127.0.0.1:5353."
    )


@dataclass(frozen=True, slots=True)
class FilesConfig:
    """Attachments that lie outside of letters."""

    backend: str = setting(
        choice("embedded", "kubo"),
        "embedded",
        "Where their bytes lie: in this node (embedded), or in an IPFS daemon of your own (kubo).",
    )
    kubo_api: str = setting(
        kubo_api(),
        "/ip4/127.0.0.1/tcp/5001",
        "The RPC API of that daemon; off this machine only with https, as in "
        "/dns4/ipfs.example.org/tcp/443/https. The secret that it may want is set apart: mailio config set "
        "--secret files.kubo_api.",
    )
    pin: str = setting(
        duration(LEAST_PIN, MOST_PIN),
        "30d",
        "How long attachments that you send are kept for their recipients.",
    )
    quota: int = setting(
        size(1_000_000, 100_000_000_000_000), 10_000_000_000, "Bytes that all attachments may take here."
    )
    fetch: int = setting(
        size(0, 100_000_000_000),
        100_000_000,
        "Bytes of an attachment that is fetched unasked, and kept with the copy of what you sent.",
    )


@dataclass(frozen=True, slots=True)
class HostsConfig:
    """Always-on nodes that keep handshakes and letters for those who sleep."""

    use: tuple[str, ...] | None = setting(
        peer_addresses(),
        None,
        "The hosts that keep your handshakes and letters, in place of three found by itself. Empty: none.",
    )
    offer: str = setting(
        choice("no", "friends", "all"),
        "no",
        "For whom this node is a host: nobody, those you have accepted, or everyone. "
        "A bootstrap node is one for everyone unless this says otherwise.",
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What the log says."""

    level: str = setting(
        choice("debug", "info", "warning", "error"),
        "info",
        "How much the log says. It never holds mail, words or keys.",
    )


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Limits of the protocol that an operator may move."""

    letter_size: int = setting(
        size(16_384, MAX_LETTER), MAX_LETTER, "Bytes of the largest letter that this node takes."
    )
    mail_size: int = setting(
        size(65_536, MAX_MAIL),
        25_000_000,
        "Bytes of the largest ordinary mail that goes in or out.",
    )
    attachment_size: int = setting(
        size(0, MAX_ATTACHMENT),
        2_147_483_648,
        "Bytes of the largest attachment that this node takes, and sends.",
    )
    handshake_letters: int = setting(
        whole(10, 1_000_000), 2000, "Letters from people not yet accepted that wait for a decision at most."
    )
    handshake_bytes: int = setting(
        size(1_000_000, 1_000_000_000_000), 500_000_000, "Bytes that those letters may take together."
    )
    price: int = setting(
        whole(1, 12),
        6,
        "Bits of work that a stranger's first letter costs; one more doubles it (6: a second).",
    )
    free_disk: int = setting(
        size(0, 1_000_000_000_000),
        200_000_000,
        "Bytes to leave free on the disk; below them no mail is taken.",
    )
    peers: int = setting(whole(8, 10_000), 200, "Connections that others may open to this node at once.")
    host_accounts: int = setting(
        whole(1, 1_000_000), 10_000, "Accounts of others that this node hosts at most."
    )
    host_account_size: int = setting(
        size(1_000_000, 1_000_000_000_000), 100_000_000, "Bytes that one hosted account may take."
    )
    host_size: int = setting(
        size(10_000_000, 100_000_000_000_000),
        10_000_000_000,
        "Bytes that all hosted accounts may take together.",
    )
