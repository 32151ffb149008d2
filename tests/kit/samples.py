"""Small files of every sort that people send each other, and some that they should not. All are made here."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

from PIL import Image

PROGRAM: Final = (
    b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00".ljust(60, b"\x00")
    + struct.pack("<I", 128)
    + bytes(64)
    + b"PE\x00\x00\x64\x86"
    + bytes(300)
)


@cache
def samples() -> dict[str, bytes]:
    """A file by its name, which fits it."""
    return {
        "a.jpg": picture("JPEG"),
        "a.png": picture("PNG"),
        "a.gif": picture("GIF"),
        "a.webp": picture("WEBP"),
        "a.tif": picture("TIFF"),
        "a.bmp": picture("BMP"),
        "a.ico": picture("ICO"),
        "a.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n" + bytes(200),
        "late.pdf": b"\x00junk" * 20 + b"%PDF-1.4\n" + bytes(100),
        "plain.pdf": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
        "a.docx": zipped(["[Content_Types].xml", "_rels/.rels", "word/document.xml"]),
        "office.docx": zipped(["_rels/.rels", "docProps/core.xml", "word/a.xml", "[Content_Types].xml"]),
        "a.docm": zipped(["[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"]),
        "a.xlsx": zipped(["[Content_Types].xml", "xl/workbook.xml"]),
        "sheet.xlsm": zipped(["[Content_Types].xml", "xl/workbook.xml", "xl/macrosheets/sheet1.xml"]),
        "a.pptx": zipped(["[Content_Types].xml", "ppt/presentation.xml"]),
        "a.odt": zipped(["content.xml"], stated="application/vnd.oasis.opendocument.text"),
        "macros.ods": zipped(
            ["content.xml", "Basic/a.xml"], stated="application/vnd.oasis.opendocument.spreadsheet"
        ),
        "a.epub": zipped(["META-INF/container.xml"], stated="application/epub+zip"),
        "a.jar": zipped(["META-INF/MANIFEST.MF", "a/B.class"]),
        "a.apk": zipped(["AndroidManifest.xml", "classes.dex", "META-INF/MANIFEST.MF"]),
        "a.zip": zipped(["letters/a.txt", "b.jpg"]),
        "bad.zip": zipped(["letters/a.txt", "letters/invoice.PDF.exe", "x.js"]),
        "empty.zip": zipped([]),
        "a.doc": compound("WordDocument"),
        "a.xls": compound("Workbook"),
        "a.msg": compound("__properties_version1.0"),
        "a.msi": compound("x", root=bytes.fromhex("84100c0000000000c000000000000046")),
        "other.doc": compound("Something"),
        "a.gz": gzip.compress(b"x" * 1_000, mtime=0),
        "a.bz2": bz2.compress(b"x" * 1_000),
        "a.xz": lzma.compress(b"x" * 1_000),
        "a.tar": tar({"x": b"abc"}),
        "a.7z": b"7z\xbc\xaf\x27\x1c\x00\x04" + b"\x01" * 50,
        "a.rar": b"Rar!\x1a\x07\x01\x00" + b"\x01" * 50,
        "a.iso": bytes(32_768) + b"\x01CD001\x01\x00" + bytes(2_000),
        "a.mp3": b"ID3\x04\x00\x00\x00\x00\x00\x0f" + bytes(100),
        "a.mp4": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + bytes(100),
        "new.mp4": b"\x00\x00\x00\x14ftypdash\x00\x00\x00\x00iso6" + bytes(100),
        "a.heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100),
        "ten.heic": b"\x00\x00\x00\x14ftypheix\x00\x00\x00\x00mif1" + bytes(100),
        "a.webm": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + bytes(50),
        "a.wav": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(30),
        "a.ogg": b"OggS\x00\x02" + bytes(22) + b"\x01\x1e\x01vorbis" + bytes(50),
        "a.flac": b"fLaC\x00\x00\x00\x22" + bytes(50),
        "a.ttf": b"\x00\x01\x00\x00\x00\x10\x01\x00\x00\x04\x00\x00" + bytes(50),
        "a.txt": b"Hello, this is a text.\n" * 20,
        "utf8.txt": "Grüße aus Köln, 你好\n".encode() * 20,
        "latin.txt": "Grüße aus Köln\n".encode("latin-1") * 20,
        "utf16.txt": "\ufeffGrüße\n".encode("utf-16-le") * 2,
        "bmw.txt": b"BMW is a maker of cars.\n" * 20,
        "mz.txt": b"MZ is not a program here.\n" * 20,
        "a.csv": b"a,b,c\n1,2,3\n" * 20,
        "a.json": b'{"a": [1, 2]}\n',
        "a.xml": b'<?xml version="1.0"?>\n<a/>\n',
        "a.eml": b"From: a@example.org\r\nSubject: x\r\n\r\nhi\r\n",
        "a.ics": b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n",
        "a.rtf": b"{\\rtf1\\ansi x}",
        "a.ps": b"%!PS-Adobe-3.0\nshowpage\n",
        "a.html": b"\n <!-- x -->\n<!DOCTYPE html>\n<title>x</title><script>alert(1)</script>",
        "bare.html": b"<SCRIPT>alert(1)</SCRIPT>",
        "x.xhtml": b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"/>',
        "a.svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "old.svg": b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x" [<!ENTITY a "b">]>\n<svg:svg/>',
        "a.exe": PROGRAM,
        "dos.exe": b"MZ" + bytes(100),
        "a.elf": b"\x7fELF\x02\x01\x01" + bytes(100),
        "a.macho": b"\xcf\xfa\xed\xfe\x07\x00\x00\x01" + bytes(100),
        "fat.macho": b"\xca\xfe\xba\xbe\x00\x00\x00\x02\x01\x00\x00\x07" + bytes(100),
        "a.class": b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + bytes(100),
        "a.dex": b"dex\n035\x00" + bytes(100),
        "a.lnk": b"L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0" + bytes(80),
        "a.deb": b"!<arch>\ndebian-binary   1410122664  0     0     100644  4         `\n2.0\n",
        "a.rpm": b"\xed\xab\xee\xdb\x03\x00" + bytes(100),
        "a.chm": b"ITSF\x03\x00\x00\x00" + bytes(100),
        "a.crx": b"Cr24\x03\x00\x00\x00" + bytes(100),
        "a.swf": b"CWS\x0a" + bytes(100),
        "a.sh": b"#!/bin/sh\nrm -rf /\n",
        "a.desktop": b"# a comment\n[Desktop Entry]\nExec=sh -c x\n",
        "a.url": b"[InternetShortcut]\r\nURL=file://x\r\n",
        "a.sqlite": b"SQLite format 3\x00" + bytes(100),
        "noise": bytes(range(256)) * 20,
        "zeros": bytes(5_000),
        "nothing": b"",
    }  # fmt: skip


def picture(form: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: Any) -> bytes:
    """A picture with a red corner in this format."""
    image = Image.new(mode, size, options.pop("colour", 0))
    if mode == "RGB":
        image.paste((255, 0, 0), (0, 0, max(1, size[0] // 4), max(1, size[1] // 4)))
    return saved(image, form, **options)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """An image as a file in this format."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def zipped(names: Iterable[str], *, stated: str = "", content: str = "<x/>" * 30) -> bytes:
    """An archive with files of these names; `stated` is what its first one says that it is."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if stated:
            archive.writestr(zipfile.ZipInfo("mimetype"), stated)
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def compound(stream: str, root: bytes = bytes(16)) -> bytes:
    """A compound file (MS-CFB) whose directory lies behind its header: a root of this class, and a stream."""
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(22) + struct.pack("<HH", 9, 6)
    return (
        header.ljust(48, b"\x00")
        + struct.pack("<I", 1)
        + bytes(972)
        + _entry("Root Entry", root)
        + _entry(stream)
    )


def _entry(name: str, kind: bytes = bytes(16)) -> bytes:
    text = name.encode("utf-16-le")
    return (text.ljust(64, b"\x00") + struct.pack("<H", len(text) + 2)).ljust(80, b"\x00") + kind + bytes(32)


def tar(files: dict[str, bytes]) -> bytes:
    """An archive for tapes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


# ---- files made to break whoever looks into them


def png(
    width: int, height: int, *, bits: int = 8, colour: int = 2, rows: int | None = None, extra: bytes = b""
) -> bytes:
    """A PNG that says these measures, with `rows` black ones of them (all), and `extra` chunks."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row, squeeze = bytes((width * channels * bits + 7) // 8 + 1), zlib.compressobj(1)
    data = b"".join(squeeze.compress(row) for _ in range(height if rows is None else rows)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + palette
        + extra
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def listing(count: int, name: bytes = b"a", *, stated: int | None = None) -> bytes:
    """An archive of `count` names without any file; `stated` is the length that its end gives to the list."""
    entry = b"PK\x01\x02" + struct.pack(
        "<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0
    )
    names = (entry + name) * count
    end = struct.pack("<HHHHIIH", 0, 0, count & 0xFFFF, count & 0xFFFF, stated or len(names), 64, 0)
    return b"PK\x03\x04" + bytes(60) + names + b"PK\x05\x06" + end


def nested(depth: int) -> bytes:
    """An archive in an archive in an archive."""
    data = b"deep"
    for _ in range(depth):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(zipfile.ZipInfo("inner.zip"), data)
        data = file.getvalue()
    return data


def packed(size: int) -> bytes:
    """An archive whose one file becomes `size` bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("zeros"), bytes(size), zipfile.ZIP_DEFLATED)
    return file.getvalue()


def frames(count: int) -> bytes:
    """A GIF of so many pictures, each of which changes a corner."""
    first = saved(Image.new("P", (2_000, 2_000)), "GIF")
    frame = b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    return first[:-1] + frame * count + b";"


def wide_webp() -> bytes:
    """A moving WebP of 16,384 x 16,384, whose only frame is one point."""
    point = picture("WEBP", (1, 1))[12:]
    frame = bytes(6) + bytes(6) + b"\x64\x00\x00\x00" + point
    canvas = b"\x02\x00\x00\x00" + b"\xff\x3f\x00" * 2
    return _riff(_part(b"VP8X", canvas) + _part(b"ANIM", bytes(6)) + _part(b"ANMF", frame))


def tall_gif() -> bytes:
    """A GIF that says 65,535 x 65,535, and so of its one frame, which is to be taken away again."""
    screen = b"GIF89a" + b"\xff" * 4 + b"\x80\x00\x00" + bytes(6)
    return (
        screen
        + b"\x21\xf9\x04\x08\x00\x00\x00\x00\x2c"
        + bytes(4)
        + b"\xff" * 4
        + b"\x00\x02\x02\x44\x01\x00;"
    )


@cache
def _zeros() -> bytes:
    return zlib.compress(bytes(50_000_000), 9)


PICTURE_BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "png 50,000 x 50,000": lambda: png(50_000, 50_000, bits=1, colour=0, rows=1_000),
    "png of no width": lambda: png(0, 5),
    "png with a profile of 50 MB": lambda: png(9, 9, extra=chunk(b"iCCP", b"x\x00\x00" + _zeros())),
    "png with a comment of 50 MB": lambda: png(9, 9, extra=chunk(b"zTXt", b"x\x00\x00" + _zeros())),
    "png without rows": lambda: png(4_000, 4_000, rows=0),
    "gif 65,535 x 65,535": tall_gif,
    "webp 16,384 x 16,384": wide_webp,
    "jpeg 65,500 x 65,500": lambda: picture("JPEG", (8, 8)).replace(
        b"\x00\x08\x00\x08\x03", b"\xff\xdc\xff\xdc\x03"
    ),
}
"""Pictures of which there is no small one."""


def _part(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
