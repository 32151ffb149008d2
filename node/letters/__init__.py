"""The mailbox: composing, bounded parsing, taking in, folders, threads.

Names are loaded when first asked for: the worker process needs `parse` alone, without database and trio.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.letters.arrival import Arrival
    from node.letters.compose import Draft, new_message_id, render_draft
    from node.letters.entry import Entry
    from node.letters.errors import DraftError, FolderError, NoSuchLetter
    from node.letters.folders import Folder
    from node.letters.mailbox import Mailbox
    from node.letters.missing import Missing
    from node.letters.notice import Failure, delay_notice, failure_notice
    from node.letters.parse import Attachment, Parts, Summary
    from node.letters.reader import Reader
    from node.letters.rebuilding import Rebuilder
    from node.letters.reduced import Reduced
    from node.letters.report import Outcome, Report
    from node.letters.seen import Seen
    from node.letters.submitted import Adopted, Faces
    from node.letters.transport import Transport
    from node.letters.uploads import Upload, UploadBook
    from node.letters.waiting import Due

_MODULES = {
    "Adopted": "submitted",
    "Arrival": "arrival",
    "Attachment": "parse",
    "Draft": "compose",
    "DraftError": "errors",
    "Due": "waiting",
    "Entry": "entry",
    "Faces": "submitted",
    "Failure": "notice",
    "Folder": "folders",
    "FolderError": "errors",
    "Mailbox": "mailbox",
    "NoSuchLetter": "errors",
    "Outcome": "report",
    "Parts": "parse",
    "Missing": "missing",
    "Reader": "reader",
    "Rebuilder": "rebuilding",
    "Reduced": "reduced",
    "Report": "report",
    "Seen": "seen",
    "Summary": "parse",
    "Transport": "transport",
    "Upload": "uploads",
    "UploadBook": "uploads",
    "delay_notice": "notice",
    "failure_notice": "notice",
    "new_message_id": "compose",
    "render_draft": "compose",
}

__all__ = [
    "Adopted",
    "Arrival",
    "Attachment",
    "Draft",
    "DraftError",
    "Due",
    "Entry",
    "Faces",
    "Failure",
    "Folder",
    "FolderError",
    "Mailbox",
    "Missing",
    "NoSuchLetter",
    "Outcome",
    "Parts",
    "Reader",
    "Rebuilder",
    "Reduced",
    "Report",
    "Seen",
    "Summary",
    "Transport",
    "Upload",
    "UploadBook",
    "delay_notice",
    "failure_notice",
    "new_message_id",
    "render_draft",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(import_module(f"node.letters.{_MODULES[name]}"), name)
