"""Programs by their first bytes: whatever runs when it is opened. The library of signatures knows some of
them, but not a class from a Mach-O, and takes two letters at the start of a text for one.
"""

from __future__ import annotations

from typing import Final

from node.kinds.sort import Sort
from node.kinds.texts import is_binary

WINDOWS: Final = "a program for Windows"
LINUX: Final = "a program for Linux"
MAC: Final = "a program for macOS"
JAVA: Final = "a program for Java"
ANDROID: Final = "an app for Android"
PACKAGE: Final = "a package that installs programs"
SHORTCUT: Final = "a shortcut, which can start any program"

_SIGNATURES: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"\x7fELF", "application/x-executable", LINUX),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary", MAC),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary", MAC),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary", MAC),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary", MAC),
    (b"\xca\xfe\xba\xbf", "application/x-mach-binary", MAC),
    (b"dex\n", "application/x-dex", ANDROID),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut", SHORTCUT),
    (b"ITSF\x03\x00", "application/vnd.ms-htmlhelp", "a help file, which can start any program"),
    (b"!<arch>\ndebian-binary", "application/vnd.debian.binary-package", PACKAGE),
    (b"\xed\xab\xee\xdb", "application/x-rpm", PACKAGE),
    (b"xar!\x00", "application/x-xar", PACKAGE),
    (b"Cr24", "application/x-chrome-extension", "a program for a browser"),
)
_PORTABLE: Final = b"MZ"
_FAT: Final = b"\xca\xfe\xba\xbe"
_LEAST_JAVA: Final = 45
"""Version of a class; behind the same four bytes a Mach-O has the number of machines that it is for."""


def program(head: bytes) -> Sort | None:
    """The program that a file which begins so is; None for all else, scripts among it."""
    for signature, media_type, what in _SIGNATURES:
        if head.startswith(signature):
            return Sort(media_type, "program", what)
    if head.startswith(_FAT) and len(head) >= 8:
        java = int.from_bytes(head[4:8], "big") >= _LEAST_JAVA
        media_type = "application/java-vm" if java else "application/x-mach-binary"
        return Sort(media_type, "program", JAVA if java else MAC)
    if head.startswith(_PORTABLE) and is_binary(head):
        at = int.from_bytes(head[60:64], "little")
        if head[at : at + 4] == b"PE\x00\x00":
            return Sort("application/vnd.microsoft.portable-executable", "program", WINDOWS)
        return Sort("application/x-dosexec", "program", "a program for DOS or Windows")
    return None
