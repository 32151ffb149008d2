"""Ordinary mail, in and out (protocol.md §5, §6): the two listeners, what they ask, and the sender."""

from node.smtp.direct import DirectOutlet
from node.smtp.exchangers import Exchangers, Ourselves, Reach
from node.smtp.handin import HandIn
from node.smtp.hops import Hops, Networks
from node.smtp.intake import MailIntake
from node.smtp.listen import Listener, ListenFailed, open_receiver, open_submission
from node.smtp.outlet import Lines, Outlet
from node.smtp.policies import Policies
from node.smtp.sender import SmtpCarrier
from node.smtp.smarthost import SmarthostOutlet

__all__ = [
    "DirectOutlet",
    "Exchangers",
    "HandIn",
    "Hops",
    "Lines",
    "ListenFailed",
    "Listener",
    "MailIntake",
    "Networks",
    "Ourselves",
    "Outlet",
    "Policies",
    "Reach",
    "SmarthostOutlet",
    "SmtpCarrier",
    "open_receiver",
    "open_submission",
]
