"""This room's faults for a person.

NodeError
├── DraftError       what was to be written can't be (compose.py)
├── NoSuchLetter     no letter has that id, or several do
├── NoThumbnail      of a file there is no picture in small, or it was not asked for
└── FolderError      a folder's name, or what was to be done with it
"""

from node.runtime.errors import NodeError


class DraftError(NodeError):
    """A draft that can't be rendered."""


class NoSuchLetter(NodeError):  # noqa: N818 - reads as what it says
    """No letter fits the id, or more than one."""


class NoThumbnail(NodeError):  # noqa: N818 - reads as what it says
    """There is no small picture of an attachment."""


class FolderError(NodeError):
    """A folder that is not there, or may not be made, renamed, removed or used so."""
