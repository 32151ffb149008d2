"""Ordinary mail, in and out (protocol.md §5, §6): the two listeners, what they ask, and the sender."""

from node.smtp.certificate import server_context
from node.smtp.handin import HandIn
from node.smtp.hops import Hops, Networks
from node.smtp.intake import MailIntake
from node.smtp.listen import Listener, ListenFailed, open_receiver, open_submission
from node.smtp.sender import SmtpCarrier

__all__ = [
    "HandIn",
    "Hops",
    "ListenFailed",
    "Listener",
    "MailIntake",
    "Networks",
    "SmtpCarrier",
    "open_receiver",
    "open_submission",
    "server_context",
]
