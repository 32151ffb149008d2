"""What has been submitted and is not yet known to be in the database. Belongs to trio's thread."""

from collections import deque
from collections.abc import Callable, Iterator

from node.storage.database import Change


class Overlay:
    """The newest submitted value of each key, until the write that carries it is done."""

    def __init__(self) -> None:
        self._pending: dict[bytes, tuple[int, bytes | None]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, number: int, changes: list[Change]) -> None:
        """Lay the changes of write `number` over the database."""
        for key, value in changes:
            self._pending[key] = number, value

    def done(self, number: int, changes: list[Change]) -> None:
        """Write `number` is in the database: it shows through, where nothing newer lies on it."""
        for key, _ in changes:
            if key in self._pending and self._pending[key][0] == number:
                del self._pending[key]

    def drop(self) -> None:
        """Forget everything submitted."""
        self._pending.clear()

    def find(self, key: bytes) -> tuple[bool, bytes | None]:
        """Whether a change to this key is pending, and its value (None: deleted)."""
        number, value = self._pending.get(key, (None, None))
        return number is not None, value

    def merge(
        self,
        stored: Iterator[tuple[bytes, bytes]],
        low: bytes,
        high: bytes,
        *,
        reverse: bool,
        unseal: Callable[[bytes, bytes], bytes],
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values as they will be: `stored` (in this range and order) under what is pending.
        Stored values are unsealed when they are reached.
        """
        pending = deque(
            sorted(
                ((key, value) for key, (_, value) in self._pending.items() if low <= key < high),
                key=lambda change: change[0],
                reverse=reverse,
            )
        )
        for key, sealed in stored:
            while pending and (pending[0][0] > key if reverse else pending[0][0] < key):
                yield from _present(*pending.popleft())
            if pending and pending[0][0] == key:
                yield from _present(*pending.popleft())
            else:
                yield key, unseal(key, sealed)
        for change in pending:
            yield from _present(*change)


def _present(key: bytes, value: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    if value is not None:
        yield key, value
