"""A message with its parts taken out, and put back: by the code that nodes run, with no store in between."""

from dataclasses import dataclass

from node.letters.cutting import Cut, decoded, find_cuts, places, reduce
from node.letters.parse import Hole
from protocol.cbor import encode
from protocol.place import Encoder, rebuilt_size, spans
from protocol.stream import ContentRef

CID = "ipfs://bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


@dataclass(frozen=True, slots=True)
class Apart:
    """What is left, what was taken out, the bytes that are stored of each, and what a letter says of them."""

    message: bytes
    cuts: tuple[Cut, ...]
    stored: tuple[bytes, ...]
    refs: tuple[ContentRef, ...]

    @property
    def used(self) -> int:
        """Bytes of the letter."""
        return len(self.message) + sum(len(encode(ref.to_value())) for ref in self.refs)

    def whole(self) -> bytes:
        """The message again."""
        stored = {id(ref): data for ref, data in zip(self.refs, self.stored, strict=True)}
        whole = b"".join(
            span if isinstance(span, bytes) else put_back(span, stored[id(span)])
            for span in spans(self.message, self.refs)
        )
        assert rebuilt_size(len(self.message), self.refs) == len(whole)
        return whole

    def holes(self, *, filled: bool = True) -> tuple[Hole, ...]:
        """For a reader; with `filled` the bodies are at hand."""
        return tuple(
            Hole(
                ref.place.offset,
                ref.size,
                ref.filename,
                ref.media_type,
                put_back(ref, data) if filled and not ref.filename else None,
                ref.place.encoding,
            )
            for ref, data in zip(self.refs, self.stored, strict=True)
        )


def take_apart(raw: bytes, room: int) -> Apart:
    """Raises RemoteProtocolError."""
    cuts = find_cuts(raw, room)
    stored = tuple(b"".join(decoded(raw, cut)) for cut in cuts)
    refs = tuple(
        ContentRef(cut.filename, cut.media_type, cut.size, bytes(32), CID, place, bytes(32))
        for cut, place in zip(cuts, places(cuts), strict=True)
    )
    assert [len(data) for data in stored] == [cut.size for cut in cuts]
    return Apart(reduce(raw, cuts), cuts, stored, refs)


def put_back(ref: ContentRef, data: bytes) -> bytes:
    """A part's bytes as they stood in the message."""
    encoder = Encoder(ref.place)
    return encoder.feed(data) + encoder.end()
