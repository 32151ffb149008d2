"""What a message may have at most before anything looks into it. A legitimate message is far below each."""

from typing import Final

from protocol.errors import RemoteProtocolError

MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
"""Of a whole message. A letter ends at 1 MiB (protocol §6); the rest is room for what the bridge takes in."""

MAX_LINES: Final = 600_000
"""Lines: a mebibyte of empty ones. The standard parser needs about 1 µs for each."""

MAX_HEADER_BYTES: Final = 128 * 1024
"""Of a message's header block: 1,000 recipients and fifty trace fields fit."""

MAX_ALL_HEADER_BYTES: Final = 512 * 1024
"""Of all header blocks of a message, its parts' included."""

MAX_FIELDS: Final = 5_000
"""Header fields in all header blocks together: 1,000 parts with four each, and the message's own."""

MAX_PARTS: Final = 1_000
"""MIME parts. 20,000 held the standard parser for 2.5 s."""

MAX_DEPTH: Final = 10
"""Multiparts within multiparts; the standard parser's cost for each line grows with it (0.7 s at 10 for a
mebibyte of empty lines), and 1,500 end it."""

MAX_AUTHORS: Final = 100
"""Addresses in From that are read. RFC 5322 §3.6.2 allows any number; with more than one none is proven."""

MAX_RECEIVED: Final = 50
"""Servers that a message handed in may have passed; more, and it goes round in a loop (RFC 5321 §6.3 wants at
least 100 of what relays take, but this is where letters begin)."""

MAX_STRUCTURED_BYTES: Final = 4_096
"""Of one Content-Type or Content-Disposition field. 80 KB of parameters cost the standard
library 7.5 s."""

MAX_PARAMETERS: Final = 64
"""Parameters in one such field, the segments of RFC 2231 counted singly."""

MAX_BOUNDARY: Final = 200
"""Characters of a boundary; RFC 2046 §5.1.1 allows 70, some programs take more."""

MAX_SUBJECT: Final = 500
"""Characters of a subject that are shown and kept in the index."""

MAX_NAME: Final = 200
"""Characters of a person's name that are shown."""

MAX_MAILBOX: Final = 320
"""Characters of an e-mail address: 64, the @, 255 (RFC 5321 §4.5.3.1)."""

MAX_SHOWN_RECIPIENTS: Final = 50
"""Recipients that are read and kept in the index; the letter itself has all. 20,000 held the standard parser
for 3.9 s."""

MAX_BODY_CHARS: Final = 2_000_000
"""Characters of text, and of HTML, that are shown: all of any letter between nodes. 25 million would hold
trio's thread for 0.2 s on their way to a command."""

MAX_MESSAGE_ID: Final = 250
"""Characters of a Message-ID: RFC 5536 §3.1.3's limit for news; longer ones are dropped."""

MAX_REFERENCES: Final = 50
"""Message-IDs of References that are kept, the newest."""

MAX_FILENAME_BYTES: Final = 255
"""Of UTF-8 in an attachment's name: what common file systems take."""

MAX_DATE_CHARS: Final = 100
"""Characters of a Date field that are looked at."""

LARGE_PART: Final = 32_768
"""Bytes of a part, as it stands in the message, above which it is always taken out (protocol §6)."""

LEAST_CUT: Final = 1_024
"""Bytes of a part below which nothing is won by taking it out: its ref has up to 830."""

MAX_HOLES: Final = 1_000
"""Parts that lie outside of one message: as many refs as a letter may have."""


def check_bytes(raw: bytes) -> None:
    """Raises RemoteProtocolError for a message too large to be looked at. Costs nothing."""
    if len(raw) > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"the message has more than {MAX_MESSAGE_BYTES} bytes")


def check_size(raw: bytes) -> None:
    """Raises RemoteProtocolError for a message too large, or of too many lines, to be parsed. Counting
    takes 35 ms for 25 MB.
    """
    check_bytes(raw)
    if raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n") > MAX_LINES:
        raise RemoteProtocolError(f"the message has more than {MAX_LINES} lines")
