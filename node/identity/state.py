"""What an identity remembers besides its keys, and how that lies in the store. What it means is own.py's."""

from dataclasses import dataclass

from protocol.cbor import Value
from protocol.fields import Fields


@dataclass(frozen=True, slots=True)
class State:
    """The last content of our IdentityRecord (as its hash) and since when (Unix ms) it stands; the same of
    the nodes that only accepted senders are told; the birth stamp; whether the owner has shown the words.
    """

    content: bytes = b""
    changed: int = 0
    told: bytes = b""
    told_changed: int = 0
    birth: bytes | None = None
    birth_tried: int = 0
    confirmed: bool = False

    @classmethod
    def read(cls, value: Value) -> "State":
        """What `value` made, or the first state where nothing is stored."""
        if value is None:
            return cls()
        fields = Fields(value, "identity state")
        return cls(
            content=fields.bytes("content"),
            changed=fields.int("changed"),
            told=fields.optional_bytes("told") or b"",
            told_changed=fields.optional_int("toldChanged") or 0,
            birth=fields.optional_bytes("birth"),
            birth_tried=fields.int("birthTried"),
            confirmed=fields.flag("confirmed"),
        )

    def value(self) -> dict[str, Value]:
        """As it lies in the store."""
        value: dict[str, Value] = {
            "content": self.content,
            "changed": self.changed,
            "birthTried": self.birth_tried,
            "confirmed": self.confirmed,
        }
        if self.told:
            value |= {"told": self.told, "toldChanged": self.told_changed}
        if self.birth is not None:
            value["birth"] = self.birth
        return value
