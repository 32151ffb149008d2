"""Jobs for the worker process: it imports them by name, so they stand in a module that imports little."""

import io
import os
import socket

_kept: list[socket.socket] = []


def add(a: int, b: int) -> int:
    return a + b


def fail(text: str) -> None:
    raise ValueError(text)


def report(port: int) -> None:
    """Tell our process id over a connection that lasts as long as this process."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"%d\n" % os.getpid())
    _kept.append(connection)


def spin(port: int) -> None:
    """Say that it runs, then never end."""
    report(port)
    while True:
        pass


def hoard() -> int:
    """Ask for more memory than a worker may have."""
    return len(bytearray(1 << 40))


def die() -> None:
    os._exit(7)


def pid() -> int:
    return os.getpid()


def content(file: io.BytesIO, told: str) -> tuple[bytes, str]:
    return file.read(), told


def fail_on(file: io.BytesIO, text: str) -> None:
    raise ValueError(text)


def spin_on(file: io.BytesIO, port: int) -> None:
    spin(port)


def size_of(file: io.BytesIO) -> int:
    return file.getbuffer().nbytes


def die_on(file: io.BytesIO) -> None:
    die()


def hang_on(file: io.BytesIO) -> None:
    while True:
        pass
