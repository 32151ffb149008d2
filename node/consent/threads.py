"""Where this room's short blocking work goes, stamps and e-mail hashes. Which it is stands beside its use."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Threads(Protocol):
    """A few threads (node.runtime.worker), fitted by app."""

    async def in_thread(self, call: Callable[..., T], /, *args: object) -> T: ...
