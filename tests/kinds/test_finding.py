"""What files are found to be, however little of them is looked at, and whatever they are made of."""

import io
import zipfile

import pytest

from node.kinds import Sort, Want
from node.kinds.finding import MAX_ROUNDS, find, find_all, find_whole, first, unread
from node.kinds.sample import HEAD, MAX_ASKED, Missing, Sample
from tests.kit.file_mutations import play, pulled
from tests.kit.samples import compound, listing, nested, packed, samples, zipped

OOXML = "application/vnd.openxmlformats-officedocument."
ODF = "application/vnd.oasis.opendocument."
EXPECTED = {
    "image/jpeg image": "a.jpg",
    "image/png image": "a.png",
    "image/gif image": "a.gif",
    "image/webp image": "a.webp",
    "image/tiff image": "a.tif",
    "image/bmp image": "a.bmp",
    "image/vnd.microsoft.icon image": "a.ico",
    "image/heic image": "a.heic ten.heic",
    "application/pdf document": "a.pdf late.pdf plain.pdf",
    f"{OOXML}wordprocessingml.document document": "a.docx office.docx",
    f"{OOXML}spreadsheetml.sheet document": "a.xlsx sheet.xlsm",
    f"{OOXML}presentationml.presentation document": "a.pptx",
    "application/vnd.ms-word.document.macroenabled.12 document": "a.docm",
    f"{ODF}text document": "a.odt",
    f"{ODF}spreadsheet document": "macros.ods",
    "application/epub+zip document": "a.epub",
    "application/java-archive program": "a.jar",
    "application/vnd.android.package-archive program": "a.apk",
    "application/zip archive": "a.zip bad.zip empty.zip",
    "application/msword document": "a.doc",
    "application/vnd.ms-excel document": "a.xls",
    "application/vnd.ms-outlook message": "a.msg",
    "application/x-msi program": "a.msi",
    "application/x-ole-storage document": "other.doc",
    "application/gzip archive": "a.gz",
    "application/x-bzip2 archive": "a.bz2",
    "application/x-xz archive": "a.xz",
    "application/x-tar archive": "a.tar",
    "application/x-7z-compressed archive": "a.7z",
    "application/vnd.rar archive": "a.rar",
    "application/x-iso9660-image archive": "a.iso",
    "audio/mpeg audio": "a.mp3",
    "audio/x-wav audio": "a.wav",
    "audio/ogg audio": "a.ogg",
    "audio/flac audio": "a.flac",
    "video/mp4 video": "a.mp4 new.mp4",
    "video/webm video": "a.webm",
    "font/sfnt font": "a.ttf",
    "text/plain text": "a.txt utf8.txt latin.txt utf16.txt bmw.txt mz.txt a.csv a.json a.xml a.eml a.ics",
    "application/rtf document": "a.rtf",
    "application/postscript document": "a.ps",
    "text/plain page": "a.html bare.html x.xhtml a.svg old.svg",
    "application/vnd.microsoft.portable-executable program": "a.exe",
    "application/x-dosexec program": "dos.exe",
    "application/x-executable program": "a.elf",
    "application/x-mach-binary program": "a.macho fat.macho",
    "application/java-vm program": "a.class",
    "application/x-dex program": "a.dex",
    "application/x-ms-shortcut program": "a.lnk",
    "application/vnd.debian.binary-package program": "a.deb",
    "application/x-rpm program": "a.rpm",
    "application/vnd.ms-htmlhelp program": "a.chm",
    "application/x-chrome-extension program": "a.crx",
    "application/x-shockwave-flash program": "a.swf",
    "text/plain program": "a.sh a.desktop a.url",
    "application/x-sqlite3 data": "a.sqlite",
    "application/octet-stream data": "noise zeros",
    "application/octet-stream empty": "nothing",
}  # fmt: skip


def test_each_is_found_to_be_what_it_is() -> None:
    found: dict[str, str] = {}
    for name, data in samples().items():
        sort = find_whole(data)
        key = f"{sort.media_type} {sort.kind}"
        found[key] = f"{found[key]} {name}" if key in found else name
    assert EXPECTED == found


def test_what_has_macros_and_what_holds_programs() -> None:
    found = {name: find_whole(data) for name, data in samples().items()}
    macros = {name for name, sort in found.items() if sort.macros}
    assert {"a.docm", "sheet.xlsm", "macros.ods", "a.doc", "a.xls", "other.doc"} == macros
    assert {"bad.zip": "letters/invoice.PDF.exe"} == {
        name: sort.inside for name, sort in found.items() if sort.inside
    }


def test_charsets_of_texts() -> None:
    found = {
        name: find_whole(samples()[name]).charset for name in ("a.txt", "utf8.txt", "latin.txt", "utf16.txt")
    }
    assert {"a.txt": "utf-8", "utf8.txt": "utf-8", "latin.txt": "", "utf16.txt": "utf-16"} == found


@pytest.mark.parametrize("padding", [0, 1_000, HEAD, 400_000])
def test_ranges_suffice(padding: int) -> None:
    """What is found does not depend on how much of a file is at hand."""
    for name, data in samples().items():
        whole = data if padding == 0 or name == "nothing" else _longer(data, padding)
        sort, asked = pulled(whole) if whole else (find_whole(whole), 0)
        assert find_whole(whole) == sort, name
        assert asked <= 4, name


def _longer(data: bytes, padding: int) -> bytes:
    """The same with much in it: in an archive a long comment or file before its list, else zeros behind."""
    if not data.startswith(b"PK"):
        return data + (b"\n" if data.isascii() and b"\x00" not in data else b"\x00") * padding
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for one in old.infolist():
            new.writestr(one, old.read(one))
        new.writestr("padding", bytes(padding))
        new.comment = b"c" * min(padding, 65_535)
    return file.getvalue()


def test_a_letter_cut_in_two_by_what_is_looked_at_is_no_fault() -> None:
    data = ("x" + "ü" * HEAD).encode()
    assert Sort("text/plain", "text", "", "utf-8") == find_whole(data)
    assert Sort("text/plain", "text", "", "") == find_whole(data[: HEAD // 2] + b"\xff" + data)


@pytest.mark.parametrize("count", [3_000, 200_000])
def test_a_long_list_of_names_is_not_read(count: int) -> None:
    """Nor is a part of it: nobody knows whether the rest is harmless."""
    data = listing(count, b"x.exe")
    assert (Sort("application/zip", "archive"), 2) == pulled(data)
    assert Sort("application/zip", "archive") == find_whole(data)


@pytest.mark.parametrize("stated", [1, 10**6, 2**32 - 1])
def test_a_list_of_another_length_than_is_said(stated: int) -> None:
    sort, _ = pulled(listing(100, b"word/a.xml", stated=stated))
    assert ("application/zip", "archive", "") == (sort.media_type, sort.kind, sort.inside)


def test_nothing_is_unpacked() -> None:
    for data in (packed(50_000_000), nested(200)):
        assert ("application/zip", "archive") == (pulled(data)[0].media_type, pulled(data)[0].kind)
    assert "x.exe" == find_whole(zipped(["a.txt", "x.exe"], content="x" * 9_000_000)).inside


def test_a_name_in_an_archive_is_safe_to_show() -> None:
    found = find_whole(zipped(["x" * 200 + "/a\u202efdp\x1b[2J\n.exe"])).inside
    assert "x" * 65 + "/a\ufffdfdp\ufffd[2J\ufffd.exe" == found


def test_what_an_archive_states_is_no_line_of_ours() -> None:
    for stated, media_type in (
        ("application/epub+zip\r\nX-Y: z", "application/epub+zip"),
        ("application/vnd.oasis.opendocument.text; charset=x", "application/vnd.oasis.opendocument.text"),
        ("application/vnd.oasis.opendocument.\r\n", "application/zip"),
        ("text/html", "application/zip"),
    ):
        assert media_type == find_whole(zipped(["x"], stated=stated)).media_type


def test_a_directory_that_is_elsewhere() -> None:
    """Of a compound file: beyond its end, in sectors of a size that there is not, amid megabytes."""
    good = compound("WordDocument")
    for at, value in ((48, b"\xff\xff\xff\xff"), (48, b"\x00\x00\x00\x10"), (30, b"\x40\x00")):
        bad = good[:at] + value + good[at + len(value) :]
        assert Sort("application/x-ole-storage", "document", macros=True) == find_whole(bad)
    far = good[:48] + (5_000).to_bytes(4, "little") + bytes(5_001 * 512 - 52) + good[1_024:] + bytes(300_000)
    assert (Sort("application/msword", "document", macros=True), 2) == pulled(far)


def test_what_can_t_be_had_is_said_of_the_beginning() -> None:
    for name, media_type in (("a.docm", "application/zip"), ("a.doc", "application/x-ole-storage")):
        assert media_type == unread(samples()[name]).media_type
    assert {"image/png", "text/plain", "application/octet-stream"} == {
        unread(samples()[name]).media_type for name in ("a.png", "a.html", "noise")
    }


def test_no_file_is_asked_for_without_end() -> None:
    """Though each range that is read leads to another."""
    head = samples()["a.doc"][:600].ljust(HEAD, b"\x00")
    pieces = [(0, head)] + [(10**6 + n, b"x") for n in range(MAX_ROUNDS)]
    assert Sort("application/x-ole-storage", "document", macros=True) == find(10**9, pieces)


def test_all_at_once() -> None:
    files = [(3, ((0, b"abc"),)), (0, ()), (200_000, ())]
    assert [Sort("text/plain", "text", "", "utf-8"), Sort(kind="empty"), first(200_000)] == find_all(files)
    assert Want(0, HEAD) == first(200_000)


def test_a_sample_is_a_file_with_holes() -> None:
    sample = Sample(100, ((0, b"abcdef"), (90, b"0123456789")))
    assert (b"ab", b"cd", 4) == (sample.read(2), sample.read(2), sample.tell())
    assert 95 == sample.seek(-5, io.SEEK_END)
    assert (b"56789", b"") == (sample.read(), sample.read())
    with pytest.raises(OSError, match="before"):
        sample.seek(-101, io.SEEK_END)
    with pytest.raises(Missing) as missing:
        sample.part(5, 7)
    assert (5, 7) == (missing.value.start, missing.value.stop)
    with pytest.raises(Missing):
        Sample(10**6, ((0, bytes(10**6)),)).part(0, MAX_ASKED + 1)


async def test_two_thousand_bent_files_do_no_harm() -> None:
    """With more: python -m tests.kit.file_mutations COUNT."""
    tally = await play(2_000, seed=7)
    assert [] == tally.broken
    assert min(tally.outcomes[each] for each in ("small picture", "image", "archive", "text", "program")) > 20
    assert tally.slowest_s < 1.0
    assert tally.memory < 300_000_000
