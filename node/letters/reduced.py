"""A message as it travels and as it is kept: what is large lies outside of it and is referred to (protocol.md
§6). No store here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.files import Wanted
from protocol.fields import Fields
from protocol.place import rebuilt_size
from protocol.stream import ContentRef
from protocol.unixfs import parse_reference


@dataclass(frozen=True, slots=True)
class Reduced:
    """`names` are what `files` calls the contents that `refs` are about, in their order; `hash`, BLAKE2b-256
    of the whole message, is there where there are refs. A message without any is whole as it stands.
    """

    message: bytes
    refs: tuple[ContentRef, ...] = ()
    names: tuple[bytes, ...] = ()
    hash: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the whole message."""
        return rebuilt_size(len(self.message), self.refs)

    @property
    def named(self) -> int:
        """How many of what lies outside are files with a name."""
        return sum(bool(ref.filename) for ref in self.refs)

    def outside(self) -> dict[str, Any]:
        """What a store keeps beside the message; nothing for one without refs."""
        if not self.refs:
            return {}
        return {
            "refs": [ref.to_value() for ref in self.refs],
            "names": list(self.names),
            "hash": self.hash,
        }

    @classmethod
    def load(cls, message: bytes, row: Mapping[str, Any]) -> Reduced:
        """The message with what `outside` gave."""
        refs = tuple(ContentRef.parse(Fields(ref, "ref")) for ref in row.get("refs", ()))
        return cls(message, refs, tuple(row.get("names", ())), row.get("hash"))


def wanted(ref: ContentRef, name: bytes) -> Wanted:
    """What a reference asks for. Raises RemoteProtocolError for one that is none of ours."""
    return Wanted(name, parse_reference(ref.reference), ref.key, ref.hash, ref.size)
