import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.frames import FrameReader, encode_frame
from protocol.status import MALFORMED, TOO_LARGE

LIMIT = 300
FRAMES = st.lists(st.binary(min_size=1, max_size=LIMIT), max_size=6)


@given(FRAMES, st.lists(st.integers(1, 80), max_size=30))
def test_frames_arrive_whatever_the_pieces(frames: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(map(encode_frame, frames))
    reader, read = FrameReader(LIMIT), []
    for size in [*sizes, len(stream)]:
        read += reader.feed(stream[:size])
        stream = stream[size:]
    reader.end()
    assert read == frames


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def read_all(data: bytes, size: int) -> tuple[list[bytes], str]:
    reader, frames = FrameReader(LIMIT), []
    try:
        for piece in pieces(data, size):
            frames += reader.feed(piece)
        reader.end()
    except RemoteProtocolError as fault:
        return frames, str(fault.status)
    return frames, "end"


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_refused_and_alike_byte_by_byte(data: bytes) -> None:
    whole, ended = read_all(data, max(len(data), 1))
    single, single_ended = read_all(data, 1)
    assert ended == single_ended
    # What came before the fault is handed out where it came in pieces of its own.
    assert single[: len(whole)] == whole
    if ended == "end":
        assert single == whole


@pytest.mark.parametrize(
    "data, status",
    [
        (b"\x00", MALFORMED),
        (b"\x80\x00", MALFORMED),
        (b"\x81\x80\x00", MALFORMED),
        (b"\xad\x02", TOO_LARGE),
        (b"\x80\x80\x80\x80", TOO_LARGE),
        (b"\xff\xff\xff\xff\x0f", TOO_LARGE),
    ],
)
def test_bad_lengths_are_refused_before_any_byte_is_kept(data: bytes, status: object) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        FrameReader(LIMIT).feed(data)
    assert caught.value.status == status


def test_the_limit_itself_is_taken() -> None:
    assert FrameReader(LIMIT).feed(b"\xac\x02" + bytes(LIMIT)) == [bytes(LIMIT)]


@pytest.mark.parametrize("data", [b"\x80", b"\x02a", b"\x01a\x05bc"])
def test_a_stream_that_ends_inside_a_frame_is_refused(data: bytes) -> None:
    reader = FrameReader(LIMIT)
    reader.feed(data)
    with pytest.raises(RemoteProtocolError):
        reader.end()


def test_an_empty_frame_is_not_written() -> None:
    with pytest.raises(LocalProtocolError):
        encode_frame(b"")
