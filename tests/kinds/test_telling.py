"""What a person is told of a file: by its bytes, by its name, by its sender, and where these do not agree."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.kinds import Sort, told
from node.kinds.claims import believed
from node.kinds.endings import HOLDERS, MACROS, PAGES, RUNS, SHAPES, ending, stem
from node.kinds.finding import find_whole
from tests.kit.samples import samples

OFTEN = (
    *("a.jpg", "a.png", "a.heic", "a.pdf", "plain.pdf", "a.docx", "a.xlsx", "a.pptx", "a.odt", "a.epub"),
    *("a.zip", "a.gz", "a.mp3", "a.mp4", "a.txt", "latin.txt", "a.csv", "a.ics"),
)
RUN = "opening it runs it"
MACRO = ("macros", "it may hold macros, which are programs that run when it is opened")
PAGE = ("page", "it is a page for a browser, which may pose as another and run scripts")


def cautions(name: str, sort: Sort | None, claim: str = "") -> list[tuple[str, str]]:
    return [(one.code, one.text) for one in told(name, claim, sort).cautions]


def of(sample: str, name: str, claim: str = "") -> list[tuple[str, str]]:
    """What is said of this file under another name."""
    return cautions(name, find_whole(samples()[sample]), claim)


def test_of_most_files_there_is_nothing_to_mind() -> None:
    assert {} == {name: found for name in OFTEN if (found := of(name, name))}
    assert [] == cautions("anything", None, "application/pdf")


@pytest.mark.parametrize(
    ("sample", "name", "expected"),
    [
        ("a.exe", "invoice.pdf", [
            ("name", "by its name it is a PDF document, but it is a program for Windows"),
            ("program", f"it is a program for Windows: {RUN}"),
        ]),
        ("a.exe", "setup.exe", [("program", f"it is a program for Windows: {RUN}")]),
        ("a.exe", "setup", [("program", f"it is a program for Windows: {RUN}")]),
        ("a.exe", "invoice.pdf.exe", [
            ("name", 'its name looks like that of a PDF document, but it ends in ".exe"'),
            ("program", f"it is a program for Windows: {RUN}"),
        ]),
        ("a.txt", "photo.jpg   .SCR", [
            ("name", 'its name looks like that of a picture, but it ends in ".scr"'),
            ("program", 'its ending, ".scr", makes it run as a program when it is opened'),
        ]),
        ("a.html", "invoice.pdf.html", [
            ("name", 'its name looks like that of a PDF document, but it ends in ".html"'),
            PAGE,
        ]),
        ("a.html", "invoice.pdf", [
            ("name", "by its name it is a PDF document, but it is a web page"),
        ]),
        ("noise", "invoice.pdf", [
            ("name", "by its name it is a PDF document, but it is none, or a broken one"),
        ]),
        ("a.zip", "a.docx", [("name", "by its name it is a document, but it is an archive")]),
        ("a.txt", "a.jpg", [("name", "by its name it is a picture, but it is a text")]),
        ("a.docm", "a.docx", [MACRO]),
        ("a.doc", "a.doc", [MACRO]),
        ("a.docx", "a.docm", [MACRO]),
        ("bad.zip", "a.zip", [("inside", 'it holds programs, such as "letters/invoice.PDF.exe"')]),
        ("a.iso", "a.iso", [("inside", "it may hold programs")]),
        ("a.iso", "a.zip", [("inside", "it may hold programs")]),
        ("a.jar", "a.zip", [
            ("name", "by its name it is an archive, but it is a program for Java"),
            ("program", f"it is a program for Java: {RUN}"),
        ]),
        ("a.sh", "notes.txt", []),  # an editor opens it
        ("a.sh", "notes", [("program", f"it is a script: {RUN}")]),
        ("a.html", "README.md", []),
        ("a.svg", "x", [PAGE]),
        ("a.png", "a.jpg", []),  # a picture all the same
        ("a.csv", "report.xls", []),  # half of all such files are
        ("a.xls", "secret.xlsx", [  # encrypted ones are compound files
            MACRO
        ]),
        ("noise", "a.mp3", []),  # not every sound is recognised
        ("nothing", "a.pdf", []),
        ("a.lnk", "a.lnk", [("program", f"it is a shortcut, which can start any program: {RUN}")]),
        ("a.txt", "a.js", [("program", 'its ending, ".js", makes it run as a program when it is opened')]),
    ],
)  # fmt: skip
def test_what_is_said_of(sample: str, name: str, expected: list[tuple[str, str]]) -> None:
    assert expected == of(sample, name)


def test_a_name_is_looked_at_before_its_file_is_here() -> None:
    assert ["name", "program"] == [code for code, _ in cautions("a.pdf.exe", None)]
    assert [["macros"], ["page"], ["inside"]] == [
        [code for code, _ in cautions(name, None)] for name in ("a.docm", "a.svg", "a.iso")
    ]
    assert "application/x-msdownload" == told("a.exe", "application/x-msdownload", None).media_type
    assert told("a.exe", "", None).kind is None


def test_no_ending_is_in_two_tables() -> None:
    tables = [RUNS, HOLDERS, PAGES, MACROS, frozenset(SHAPES)]
    assert sum(map(len, tables)) == len(frozenset().union(*tables))
    assert all(one == one.lower().strip(". ") for table in tables for one in table)


def test_endings() -> None:
    assert ["pdf", "", "", "gz", "x"] == [ending(name) for name in ("a.PDF", "a", "a.", "a.tar.gz", ".x")]
    assert ["a.pdf", "a.pdf", "", "a"] == [
        stem(name) for name in ("a.pdf  .exe", "a.pdf\u2800_.exe", ".x", "a.b")
    ]


@pytest.mark.parametrize(
    ("found", "claim", "expected"),
    [
        ("text/plain", "text/csv", "text/csv"),
        ("text/plain", " Text/CSV", "text/csv"),
        ("text/plain", "application/json", "application/json"),
        ("text/plain", "application/geo+json", "application/geo+json"),
        ("text/plain", "message/rfc822", "message/rfc822"),
        ("text/plain", "text/html", "text/plain"),
        ("text/plain", "text/xml", "text/plain"),
        ("text/plain", "text/javascript", "text/plain"),
        ("text/plain", "text/x-shellscript", "text/plain"),
        ("text/plain", "image/svg+xml", "text/plain"),
        ("text/plain", "application/xhtml+xml", "text/plain"),
        ("text/plain", "multipart/related", "text/plain"),
        ("text/plain", "message/partial", "text/plain"),
        ("text/plain", "image/png", "text/plain"),
        ("text/plain", "text/csv\r\nx: y", "text/plain"),
        ("text/plain", "text/csv; charset=x", "text/plain"),
        ("text/plain", "", "text/plain"),
        ("application/zip", "application/vnd.sketchup.skp", "application/vnd.sketchup.skp"),
        ("application/zip", "application/vnd.android.package-archive", "application/zip"),
        ("application/zip", "application/pdf", "application/zip"),
        ("application/x-ole-storage", "application/msword", "application/msword"),
        ("application/x-ole-storage", "application/x-msi", "application/x-ole-storage"),
        ("video/mp4", "audio/mp4", "audio/mp4"),
        ("video/mp4", "image/png", "video/mp4"),
        ("image/png", "image/jpeg", "image/png"),
        ("image/png", "text/html", "image/png"),
        ("application/octet-stream", "application/x-blend", "application/octet-stream"),
        ("application/octet-stream", "text/html", "application/octet-stream"),
    ],
)
def test_what_a_sender_says_is_believed_where_it_says_more(found: str, claim: str, expected: str) -> None:
    assert expected == believed(Sort(found), claim)


def test_a_message_is_one() -> None:
    sort = find_whole(samples()["a.eml"])
    assert ("message/rfc822", "message") == (
        told("x.eml", "message/rfc822", sort).media_type, told("x.eml", "message/rfc822", sort).kind
    )  # fmt: skip
    assert [PAGE] == cautions("x.mht", sort, "message/rfc822")


RUN_BY_BROWSERS = re.compile(
    r"text/html|application/xhtml\+xml|image/svg.*|(text|application)/(x-)?(xml|(java|ecma|live|j)script.*)"
)


@given(
    st.text(max_size=60)
    | st.from_regex(r"[a-z]{1,9}\.(pdf|jpg|exe|html|docx|zip)(\s*\.(exe|js|svg))?", fullmatch=True),
    st.text(max_size=40) | st.sampled_from(["text/html", "text/csv", "image/png", "application/vnd.x"]),
    st.sampled_from([None, *(find_whole(data) for data in samples().values())]),
)
def test_of_any_file_something_is_told(name: str, claim: str, sort: Sort | None) -> None:
    """In one line each, and never a type that a browser runs."""
    found = told(name, claim, sort)
    if sort is not None:
        assert re.fullmatch(r"[a-z0-9.+-]+/[!-~]+", found.media_type)
        assert not RUN_BY_BROWSERS.fullmatch(found.media_type)
        assert found.kind in (sort.kind, "message")
    assert len({one.code for one in found.cautions}) == len(found.cautions)
    assert all(one.text.strip("\r\n") == one.text != "" for one in found.cautions)
