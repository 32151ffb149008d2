"""Where a node's files are, and how private ones are written and read. What is in them is others' to know."""

import contextlib
import hashlib
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import platformdirs

from node.runtime.errors import NodeError

MAX_SOCKET_PATH: Final = 107 if sys.platform == "linux" else 103
"""Bytes that fit `sockaddr_un.sun_path` before its closing zero (108 on Linux, 104 on macOS)."""

MAX_PRIVATE_FILE: Final = 65_536
"""Bytes; key files are a few hundred, so anything larger isn't one."""

ENVIRONMENT_HOME: Final = "MAILIO_HOME"


class Home:
    """One node's directory. Making it, and writing files into it, raises NodeError with the way out."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    @classmethod
    def locate(cls, option: str | None, environ: Mapping[str, str]) -> "Home":
        """The home that `--home` names, else MAILIO_HOME, else the platform's data directory."""
        named = option or environ.get(ENVIRONMENT_HOME)
        return cls(Path(named) if named else Path(platformdirs.user_data_dir("mailio", appauthor=False)))

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def database(self) -> Path:
        return self.path / "database"

    @property
    def files(self) -> Path:
        """The directory of attachments, encrypted each with a key of its own."""
        return self.path / "files"

    @property
    def key_file(self) -> Path:
        """The database key, bare or locked by a passphrase."""
        return self.path / "database.key"

    @property
    def identity_file(self) -> Path:
        return self.path / "identity.key"

    @property
    def prekey_file(self) -> Path:
        """The oldest prekey link still needed; a file of its own so that a rename destroys the one before."""
        return self.path / "prekey.key"

    @property
    def peer_key_file(self) -> Path:
        return self.path / "peer.key"

    @property
    def socket_path(self) -> Path:
        """The API's Unix socket: in the home, or where that is too long, at a short path that depends
        on the home alone, so that every command finds it whatever its environment.
        """
        path = self.path / "mailio.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            return path
        digest = hashlib.blake2b(os.fsencode(self.path), digest_size=12).hexdigest()
        return Path(f"/tmp/mailio-{os.getuid()}") / f"{digest}.sock"  # noqa: S108 - guarded in socket_dir()

    def socket_dir(self) -> Path:
        """The socket's directory, made if need be, and certainly ours alone: a stranger who made
        the shared path first could otherwise pose as the node, or listen to its owner.
        """
        directory = self.socket_path.parent
        if directory == self.path:
            return directory
        with _faults("make", directory):
            with contextlib.suppress(FileExistsError):
                directory.mkdir(mode=0o700)
            status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise NodeError(
                "socket-directory",
                f"{directory} is not a private directory of yours",
                "remove it, or choose a shorter --home",
            )
        return directory

    def exists(self) -> bool:
        """Whether something of a node is there."""
        return any(path.exists() for path in (self.config, self.database, self.key_file, self.identity_file))

    def create(self) -> None:
        """Make the directory, for its owner alone (0700); an existing home is tightened, and a
        directory with other things in it is left alone.
        """
        with _faults("make", self.path, absent=True):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.path.stat()
            if status.st_uid != os.getuid():
                raise NodeError(
                    "home-not-ours", f"{self.path} belongs to someone else", "choose another --home"
                )
            if not status.st_mode & 0o077:
                return
            if any(self.path.iterdir()) and not self.exists():
                raise NodeError(
                    "home-not-empty",
                    f"{self.path} holds other things and others can read it",
                    "choose another --home, or an empty directory",
                )
            self.path.chmod(0o700)


class _faults(contextlib.AbstractContextManager[None]):  # noqa: N801 - used like a function
    """Turns what the operating system says into a NodeError that names the file."""

    def __init__(self, verb: str, path: Path, *, absent: bool = False) -> None:
        """`absent`: a name that is not there is such a fault too, and nothing for the caller to handle."""
        self._verb = verb
        self._absent = absent
        self._path = path

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and (self._absent or not isinstance(error, FileNotFoundError)):
            reason = error.strerror or "unknown error"
            raise NodeError("file", f"can't {self._verb} {self._path}: {reason}") from error


def write_private(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, readable by its owner alone, wholly or not at all, and on disk
    before this returns. Raises NodeError; the old file then stands untouched.
    """
    temporary = path.with_name(path.name + ".new")
    with _faults("write", path):
        try:
            # What an earlier crash left is replaced, not followed: it might be a link.
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames in this directory durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """The bytes of a private file. Raises FileNotFoundError if there is none, and NodeError if it
    can't be read, is too large, or if others could read it.
    """
    with _faults("read", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_PRIVATE_FILE + 1)
    if mode & 0o077:
        raise NodeError("file-not-private", f"others can read {path}", f"run: chmod 600 {path}")
    if len(data) > MAX_PRIVATE_FILE:
        raise NodeError("file-too-large", f"{path} is too large to be a key file")
    return data
