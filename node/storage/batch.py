"""Changes that belong together, and how a value becomes bytes and comes back. Nothing is written here."""

import cbor2

from node.storage.codec import Key
from node.storage.database import Change
from node.storage.schema import Space
from protocol.cbor import Value


class Batch:
    """Changes that belong together, in order. What is put in is copied at once."""

    def __init__(self) -> None:
        self._changes: list[Change] = []

    @property
    def is_empty(self) -> bool:
        return not self._changes

    @property
    def adds(self) -> bool:
        """Whether it holds more than deletions."""
        return any(value is not None for _, value in self._changes)

    @property
    def changes(self) -> list[Change]:
        return list(self._changes)

    def put(self, space: Space, key: Key, value: Value) -> None:
        self._changes.append((whole_key(space, key), dump(value)))

    def delete(self, space: Space, key: Key) -> None:
        self._changes.append((whole_key(space, key), None))


def whole_key(space: Space, key: Key) -> bytes:
    """The database's key of one record. Raises ValueError if parts are missing: our own mistake."""
    if len(key) != len(space.fields):
        raise ValueError(f"a key of {space.name} has {len(space.fields)} parts")
    return space.encode(key)


def dump(value: Value) -> bytes:
    """A value as bytes, before it is sealed."""
    data: bytes = cbor2.dumps(value)
    return data


def load(data: bytes) -> Value:
    """What `dump` made, after it was unsealed: authenticated, so the library may read it, which is
    faster than the strict scanner.
    """
    value: Value = cbor2.loads(data)
    return value
