"""Letters as interface.md shows them in JSON. Nothing is read or changed here."""

from collections.abc import Iterable, Mapping
from typing import Any

from node.letters.entry import Entry
from node.letters.parse import Attachment
from node.letters.text import clean_filename, clean_line
from protocol.stream import MAX_MEDIA_TYPE_BYTES


def entry_json(entry: Entry, folder: str) -> dict[str, Any]:
    """A letter in a list; `folder` is the name."""
    return {
        "id": entry.id.hex(),
        "from": entry.sender,
        "to": list(entry.to),
        "subject": entry.subject,
        "created": entry.created,
        "arrived": entry.arrived,
        "folder": folder,
        "read": entry.read,
        "size": entry.size,
        "attachments": entry.attachments,
        "author": entry.author,
        "messageId": entry.message_id,
        "thid": entry.thid,
        "via": entry.via,
    }


def _content(n: int, ref: Mapping[str, Any]) -> dict[str, Any]:
    """Content outside the letter: until attachments are fetched, it is missing (a state, not a loss)."""
    return {
        "n": n,
        "filename": clean_filename(ref["filename"], f"attachment-{n}"),
        "mediaType": clean_line(ref["mediaType"], MAX_MEDIA_TYPE_BYTES),
        "size": ref["size"],
        "state": "missing",
        "reference": ref["reference"],
    }


def attachments_json(parts: Iterable[Attachment], refs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is in the letter, then what it refers to."""
    inside = [
        {
            "n": part.n,
            "filename": part.filename,
            "mediaType": part.media_type,
            "size": part.size,
            "state": "complete",
            "reference": "",
        }
        for part in parts
    ]
    return inside + [_content(n, ref) for n, ref in enumerate(refs, len(inside) + 1)]
