"""Both places for contents, and which of them it is."""

from __future__ import annotations

from dataclasses import dataclass

from node.files.backend import Backend
from node.files.contents import Content
from node.files.daemon import Daemon
from node.files.embedded import Embedded


@dataclass(frozen=True, slots=True)
class Backends:
    """`new` takes what comes, and is one of the two."""

    embedded: Embedded
    daemon: Daemon
    new: Backend

    def of(self, content: Content) -> Backend:
        """Where a whole content lies."""
        return self.daemon if content.daemon else self.embedded
