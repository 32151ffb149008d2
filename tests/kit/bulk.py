"""Large files for demo and measurements: made and hashed piece by piece. All of it blocks."""

import hashlib
import secrets
from pathlib import Path
from typing import Final

PIECE: Final = 4_194_304
"""Bytes made at once."""


def random_file(path: Path, size: int) -> Path:
    """A file of random bytes at `path`, which is returned."""
    with path.open("xb") as file:
        for start in range(0, size, PIECE):
            file.write(secrets.token_bytes(min(PIECE, size - start)))
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
