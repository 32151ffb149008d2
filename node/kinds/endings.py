"""What a name's ending makes of a file when it is opened, and what it lets people expect.

Systems go by the ending and not by the bytes, so it is looked at however well these are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.kinds.sort import Kind


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


RUNS: Final = (
    # Windows
    _set(
        "exe com scr pif bat cmd msi msp mst msix msixbundle appx appxbundle appinstaller application cpl dll"
    )
    | _set(
        "ocx sys drv vb vbs vbe js jse ws wsf wsc wsh sct hta ps1 psm1 psd1 psc1 ps1xml lnk url scf inf reg"
    )
    | _set(
        "chm hlp gadget jnlp settingcontent-ms appref-ms library-ms search-ms searchconnector-ms diagcab xll"
    )
    | _set("wll xbap rdp msc")
    # macOS
    | _set("command tool terminal workflow action scpt scptd applescript app pkg mpkg inetloc fileloc webloc")
    # Linux
    | _set("sh bash zsh csh ksh fish run appimage desktop deb rpm flatpakref elf so")
    # wherever what runs them is
    | _set("jar class py pyc pyw pyz pyzw pl rb php phar lua tcl apk xapk ipa crx xpi")
)
"""Files with these endings run, or start what runs, when they are opened."""

HOLDERS: Final = _set("iso img vhd vhdx dmg udf one onepkg")
"""Discs and notebooks, which look like folders of documents and hold programs as well."""

PAGES: Final = _set("html htm xhtml xht shtml svg svgz mht mhtml")
"""What a browser opens and runs scripts of."""

MACROS: Final = _set("docm dotm xlsm xltm xlsb xlam xla pptm potm ppsm ppam ppa sldm")
"""Documents that are made to hold programs."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is expected of an ending: it is `called` so in a sentence, and files of these kinds or types are
    it. `sure`: what is not recognised is none, for all files of this sort are.
    """

    called: str
    kinds: frozenset[Kind]
    types: tuple[str, ...] = ()
    sure: bool = True


_PICTURE: Final = Shape("a picture", frozenset(("image",)))
_OTHER_PICTURE: Final = Shape("a picture", frozenset(("image",)), sure=False)
_MEDIA: Final = frozenset[Kind](("audio", "video"))
_FILM: Final = Shape("a film", _MEDIA, sure=False)
_SOUND: Final = Shape("a sound", _MEDIA, sure=False)
_PDF: Final = Shape("a PDF document", frozenset(), ("application/pdf",))
_OFFICE: Final = Shape("a document", frozenset(("document",)))
_OLD_OFFICE: Final = Shape("a document", frozenset(("document", "text", "page", "message")), sure=False)
_ARCHIVE: Final = Shape("an archive", frozenset(("archive", "document")), sure=False)
_TEXT: Final = Shape("a text", frozenset(("text", "page", "message", "program")), ("text/plain",), sure=False)


def _all(shape: Shape, words: str) -> dict[str, Shape]:
    return dict.fromkeys(words.split(), shape)


SHAPES: Final[dict[str, Shape]] = {
    **_all(_PICTURE, "jpg jpeg jpe jfif png gif webp bmp"),
    **_all(_OTHER_PICTURE, "tif tiff heic heif avif ico psd"),
    **_all(_FILM, "mp4 m4v mov avi mkv webm mpg mpeg wmv 3gp ogv"),
    **_all(_SOUND, "mp3 m4a aac wav flac ogg oga opus wma amr aif aiff mid midi"),
    "pdf": _PDF,
    **_all(_OFFICE, "docx dotx xlsx xltx pptx potx ppsx odt ods odp odg epub"),
    **_all(_OLD_OFFICE, "doc dot xls xlt ppt pot pps rtf"),
    **_all(_ARCHIVE, "zip 7z rar gz tgz bz2 tbz xz txz zst tar cab lz4"),
    **_all(_TEXT, "txt log md csv tsv json yaml yml toml ini conf cfg ics vcf eml asc diff patch tex c h"),
}
"""What most people send each other."""


def ending(name: str) -> str:
    """What is behind the last dot, in small letters; "" where there is none."""
    return name.rpartition(".")[2].strip().lower() if "." in name else ""


def stem(name: str) -> str:
    """What is before it, and before what hides it: `a.pdf   .exe` is `a.pdf`."""
    return name.rpartition(".")[0].rstrip(" ._-\u00a0\u2800\u3164")
