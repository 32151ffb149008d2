"""Writes the test vectors: `python -m tests.vectors.make`. Run it for a change of the protocol only."""

from tests.vectors import (
    base,
    bindings,
    files,
    handshakes,
    hosts,
    identities,
    letters,
    names,
    transport,
    vaults,
)
from tests.vectors.shape import Topic, write

TOPICS: tuple[Topic, ...] = (
    *base.TOPICS,
    *names.TOPICS,
    *identities.TOPICS,
    *bindings.TOPICS,
    *handshakes.TOPICS,
    *letters.TOPICS,
    *transport.TOPICS,
    *files.TOPICS,
    *vaults.TOPICS,
    *hosts.TOPICS,
)

if __name__ == "__main__":
    write(TOPICS)
