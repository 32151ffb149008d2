"""Letters as interface.md shows them in JSON. Nothing is read or changed here."""

from typing import Any

from node.letters.entry import Entry
from node.letters.parse import Attachment


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


def attachment_json(
    part: Attachment, state: str, reference: str, fetched: int, detail: str = ""
) -> dict[str, Any]:
    """An attachment; `fetched` is how many of its bytes are here, `detail` what keeps the others away."""
    return {
        "n": part.n,
        "filename": part.filename,
        "mediaType": part.media_type,
        "size": part.size,
        "state": state,
        "reference": reference,
        "fetched": fetched,
        "detail": detail,
    }
