"""Letters as interface.md shows them in JSON. Nothing is read or changed here."""

from typing import Any

from node.kinds import FORMATS, MAX_BYTES, Sort, told
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
    part: Attachment,
    sort: Sort | None,
    state: str,
    reference: str,
    fetched: int,
    detail: str = "",
    remedy: str = "",
) -> dict[str, Any]:
    """An attachment; `sort` is what its bytes are, None while they are not here, `fetched` how many of them
    are, `detail` what keeps the others away, `remedy` what a person can do where fetching them is in vain.
    `mediaType` is what was found, before that what the sender says.
    """
    known = told(part.filename, part.media_type, sort)
    return {
        "n": part.n,
        "filename": part.filename,
        "mediaType": known.media_type,
        "size": part.size,
        "state": state,
        "reference": reference,
        "fetched": fetched,
        "detail": detail,
        "remedy": remedy,
        "claimedType": part.media_type,
        "kind": known.kind,
        "warnings": [{"code": one.code, "text": one.text} for one in known.cautions],
        "thumbnail": sort is not None and sort.media_type in FORMATS and part.size <= MAX_BYTES,
    }
