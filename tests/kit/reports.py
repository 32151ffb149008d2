"""Delivery status notifications as other mail servers send them (RFC 3464)."""

from collections.abc import Sequence


def bounce(
    message_id: str,
    *outcomes: Sequence[str],
    author: str = "MAILER-DAEMON@far.example",
    to: str = "alice@home.example",
    about: str = "Hello",
) -> bytes:
    """A report on the letter with this Message-ID; of each recipient the address, the action, the status and,
    if there is one, what the server was told.
    """
    groups = "".join(
        f"\r\nFinal-Recipient: rfc822; {who}\r\nAction: {action}\r\nStatus: {status}\r\n"
        + "".join(f"Diagnostic-Code: smtp; {words}\r\n" for words in said)
        for who, action, status, *said in outcomes
    )
    return (
        f"From: Mail Delivery System <{author}>\r\nTo: {to}\r\nSubject: Undelivered Mail\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=_report"\r\n\r\n'
        "--=_report\r\nContent-Type: text/plain\r\n\r\nI'm sorry to have to inform you.\r\n"
        "--=_report\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.far.example\r\n{groups}\r\n"
        "--=_report\r\nContent-Type: message/rfc822\r\n\r\n"
        f"From: {to}\r\nSubject: {about}\r\nMessage-ID: <{message_id}>\r\n\r\nHi.\r\n"
        "--=_report--\r\n"
    ).encode()
