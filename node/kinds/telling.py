"""What a person and a program are told of a file: its type, and in plain words what to mind. It follows from
what was found in its bytes, its name, and what its sender says of it; nothing is looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from node.kinds.claims import believed
from node.kinds.endings import HOLDERS, MACROS, PAGES, RUNS, SHAPES, Shape, ending, stem
from node.kinds.sort import Kind, Sort

_CALLED: Final[dict[Kind, str]] = {
    "text": "a text",
    "page": "a web page",
    "message": "a message",
    "image": "a picture",
    "audio": "a sound",
    "video": "a film",
    "font": "a font",
    "document": "a document",
    "archive": "an archive",
    "program": "a program",
    "data": "",
    "empty": "",
}


@dataclass(frozen=True, slots=True)
class Caution:
    """`code` is for programs, `text` for a person: a clause about "it"."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """`media_type` is what was found, and before that what the sender says; `kind` is None before that."""

    media_type: str
    kind: Kind | None
    cautions: tuple[Caution, ...]


def told(name: str, claim: str, sort: Sort | None) -> Told:
    """All that is known of a file: `claim` is its sender's media type, `sort` None while it is not here."""
    media_type = believed(sort, claim) if sort else claim
    kind = sort.kind if sort else None
    if kind == "text" and media_type.startswith("message/"):
        kind = "message"
    return Told(media_type, kind, tuple(_cautions(name, sort or Sort(kind="empty"))))


def _cautions(name: str, sort: Sort) -> Iterator[Caution]:
    last = ending(name)
    harmless = (
        last in SHAPES and sort.media_type == "text/plain"
    )  # an editor opens it, whatever is written in it
    if (lie := _lie(name, last, sort)) is not None:
        yield Caution("name", lie)
    if sort.kind == "program" and not harmless:
        yield Caution("program", f"it is {sort.what or 'a program'}: opening it runs it")
    elif last in RUNS:
        yield Caution("program", f'its ending, ".{last}", makes it run as a program when it is opened')
    if sort.macros or last in MACROS:
        yield Caution("macros", "it may hold macros, which are programs that run when it is opened")
    if last in PAGES or (sort.kind == "page" and not harmless):
        yield Caution("page", "it is a page for a browser, which may pose as another and run scripts")
    if sort.inside:
        yield Caution("inside", f'it holds programs, such as "{sort.inside}"')
    elif last in HOLDERS or sort.media_type == "application/x-iso9660-image":
        yield Caution("inside", "it may hold programs")


def _lie(name: str, last: str, sort: Sort) -> str | None:
    """What is wrong with its name, if something is."""
    if (shape := SHAPES.get(last)) is not None and sort.kind != "empty" and not _fits(shape, sort):
        found = sort.what or _CALLED[sort.kind]
        return f"by its name it is {shape.called}, but it is {found or 'none, or a broken one'}"
    before = SHAPES.get(ending(stem(name)))
    if before is not None and (last in RUNS or last in PAGES or last in HOLDERS):
        return f'its name looks like that of {before.called}, but it ends in ".{last}"'
    return None


def _fits(shape: Shape, sort: Sort) -> bool:
    if sort.kind == "data":
        return not shape.sure
    return sort.kind in shape.kinds or sort.media_type in shape.types
