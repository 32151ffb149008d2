"""Every end of data that some server or relay took for one, or passed on as one, and that is none.

RFC 5321 §4.1.1.4 knows one: CRLF "." CRLF. §2.3.8: no bare CR or LF may be sent, nor taken for a line's end.
"""

from __future__ import annotations

from typing import Final

FALSE_ENDS: Final[dict[str, bytes]] = {
    # Timo Longin, SEC Consult, "SMTP Smuggling - Spoofing E-Mails Worldwide" (2023), and his scanner's list
    # (github.com/The-Login/SMTP-Smuggling-Tools); CVE-2023-51764 Postfix, -51765 Sendmail, -51766 Exim.
    "LF.LF": b"\n.\n",
    "LF.CR": b"\n.\r",
    "CR.LF": b"\r.\n",
    "CR.CR": b"\r.\r",
    "LF.CRLF": b"\n.\r\n",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "CRLF NUL.CRLF": b"\r\n\x00.\r\n",
    # The other halves of those: the second line's end is the false one (Exim's bug 3063, Postfix's advisory).
    "CRLF.LF": b"\r\n.\n",
    "CRLF.CR": b"\r\n.\r",
    "LF.CRCRLF": b"\n.\r\r\n",
    # A relay that drops what is not printable makes ends of data of these.
    "CRLF.NUL CRLF": b"\r\n.\x00\r\n",
    "CRLF. CRLF": b"\r\n. \r\n",
    "CRLF.TAB CRLF": b"\r\n.\t\r\n",
    "CR NUL LF.CRLF": b"\r\x00\n.\r\n",
    "VT.VT": b"\x0b.\x0b",
    "FF.FF": b"\x0c.\x0c",
    # What Unicode and str.splitlines take for line ends.
    "FS.FS": b"\x1c.\x1c",
    "NEL.NEL": b"\xc2\x85.\xc2\x85",
    "LS.LS": "\u2028.\u2028".encode(),
    "lone 0x85": b"\x85.\x85",
}
"""Name to bytes. None holds CRLF "." CRLF, so no server may end the letter there."""

SMUGGLER: Final = "smuggler@evil.example"
"""The sender of the letter that is hidden in another: nothing from it may ever be seen."""


def smuggled(end: bytes, recipient: str) -> bytes:
    """The data of a letter, its true end included, that hides a whole second transaction behind `end`."""
    outer = b"From: outer@example.org\r\nSubject: outer\r\n\r\nbefore"
    hidden = (
        f"MAIL FROM:<{SMUGGLER}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        f"From: {SMUGGLER}\r\nSubject: smuggled\r\n\r\nhidden\r\n.\r\n"
    )
    return outer + end + hidden.encode()
