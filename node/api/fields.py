"""The bounds of what a request may hold. What the words mean is for the rooms."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from protocol.link import MAX_LINK

MAX_PEOPLE: Final = 500
"""Recipients of a letter in all; more is a mailing list."""

MAX_PAGE: Final = 1_000
"""Letters in one answer: a page's worth for a screen is 50, a script may want more."""

MAX_TIME: Final = 2**53 - 1
"""Unix ms; protocol §11's largest integer."""

Who = Annotated[str, Field(min_length=1, max_length=MAX_LINK)]
"""A person: name, address, DID, link, or the id of a handshake."""

Name = Annotated[str, Field(min_length=1, max_length=400)]
"""Of a contact or folder; the room's own bound is tighter."""

Subject = Annotated[str, Field(max_length=2_000)]
Text = Annotated[str, Field(max_length=1_100_000)]
"""A letter's text; the room says in its own words when it is too large."""

Note = Annotated[str, Field(max_length=4_000)]
Word = Annotated[str, Field(max_length=40)]
Time = Annotated[int, Field(ge=0, le=MAX_TIME)]

LetterId = Annotated[str, Path(min_length=1, max_length=64)]
"""A letter's id, or its beginning; the rooms say what is wrong with it."""

UploadId = Annotated[str, Field(min_length=1, max_length=64)]
"""Of a file that was handed in."""

PathName = Annotated[str, Path(min_length=1, max_length=400)]


class Body(BaseModel):
    """A request's JSON: exactly the fields that are declared, of exactly their kinds."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
