"""What is said on /mailio/host/1 (protocol.md §6, §8): read as it was made, and nothing else gets through."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.account import MAX_BYTES, MAX_VAULT_BYTES, Entry, Item, Space
from protocol.cbor import MAX_INT, Value, decode, encode
from protocol.errors import RemoteProtocolError
from protocol.host import (
    MAX_FRAME,
    MAX_IDS,
    MAX_ITEMS,
    MAX_ITEMS_BYTES,
    MAX_PARTS,
    MAX_WAIT_S,
    Acknowledge,
    Answer,
    Cancel,
    Deposit,
    Digest,
    Fetch,
    Find,
    Get,
    Hello,
    List,
    Open,
    Page,
    Prove,
    Put,
    Request,
    Wait,
    Waiting,
    parse_request,
)
from protocol.letter import MAX_ENVELOPE
from protocol.offer import MAX_OFFER_BYTES, KeyProof, Stamp
from protocol.peers import MAX_NODES
from protocol.status import FULL, NO_ANSWER, OK, Status
from tests.kit.hostile import changed, damaged, parses_or_refuses
from tests.kit.owners import NOW, PEER_ID

ID, KEY = bytes(range(32)), b"\x09" * 32
ITEM = Item(ID, NOW, b"data")
LARGE: dict[str, Value] = {"id": ID, "seq": NOW, "data": bytes(MAX_VAULT_BYTES + 1)}
REQUESTS: list[Request] = [
    Hello(),
    Prove(KEY, ID, bytes(64)),
    Open(b"identity", (PEER_ID, b"\x12\x20" + KEY), 2_968),
    Open(b"identity", (), 0, KeyProof(KEY, bytes(64)), bytes(16)),
    Open(b"identity", (), 0, Stamp(bytes(16), bytes(8))),
    Put(Space.VAULT, (ITEM, Item(KEY, 0, b"")), (ID,)),
    Put(Space.KEY),
    Get(Space.HELD, (ID, KEY)),
    Digest(),
    Page(Space.FILE),
    Page(Space.FILE, KEY),
    List(),
    List(MAX_INT),
    Wait(3, MAX_WAIT_S),
    Fetch(ID),
    Acknowledge((ID, KEY)),
    Find(KEY, ID),
    Deposit(bytes(MAX_OFFER_BYTES)),
    Cancel(KEY, ID, bytes(32)),
]
ANSWERS = [
    Answer(),
    Answer(FULL, "full"),
    Answer(nonce=ID),
    Answer(opened=True),
    Answer(refused={ID: FULL, KEY: NO_ANSWER}),
    Answer(items=(ITEM,), more=True),
    Answer(digests=dict.fromkeys(Space, KEY), used=5, quota=MAX_INT, last=7),
    Answer(entries=(ITEM.entry, Entry(KEY, 1, ID, whole=True)), more=True),
    Answer(
        letters=(
            Waiting(1, ID, 5_000, NOW),
            Waiting(2, KEY, MAX_ENVELOPE, NOW, KEY, service=True, signature=bytes(64)),
        )
    ),
    Answer(record=b"record"),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_is_read_as_it_was_made(request_: Request) -> None:
    assert request_ == parse_request(request_.encode())


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_read_as_it_was_given(answer: Answer) -> None:
    assert answer == Answer.parse(answer.encode())


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"verb": "register"},
        {"verb": 1},
        {"verb": "prove", "account": KEY, "nonce": ID},
        {"verb": "prove", "account": KEY, "nonce": ID, "signature": bytes(63)},
        {"verb": "open", "identity": bytes(8_193), "nodes": [], "firstWeek": 0},
        {"verb": "open", "identity": b"", "nodes": [b"no peer"], "firstWeek": 0},
        {"verb": "open", "identity": b"", "nodes": [PEER_ID] * (MAX_NODES + 1), "firstWeek": 0},
        {"verb": "open", "identity": b"", "nodes": [], "firstWeek": 2**32},
        {"verb": "open", "identity": b"", "nodes": [], "firstWeek": 0, "proof": {}},
        {"verb": "open", "identity": b"", "nodes": [], "firstWeek": 0, "voucher": bytes(15)},
        {"verb": "put", "space": "mail", "items": [], "drop": []},
        {"verb": "put", "space": "key", "items": [{"id": ID, "seq": 1, "data": bytes(129)}], "drop": []},
        {"verb": "put", "space": "vault", "items": [{"id": ID, "seq": -1, "data": b""}], "drop": []},
        {"verb": "put", "space": "vault", "items": [{"id": b"", "seq": 1, "data": b""}], "drop": []},
        {"verb": "put", "space": "vault", "items": []},
        {"verb": "get", "space": "vault", "ids": [ID] * (MAX_IDS + 1)},
        {"verb": "page", "space": "vault", "after": b""},
        {"verb": "list", "after": -1},
        {"verb": "wait", "after": 0, "seconds": MAX_WAIT_S + 1},
        {"verb": "fetch", "envelopeId": bytes(31)},
        {"verb": "acknowledge", "envelopeIds": ID},
        {"verb": "deposit", "offer": bytes(MAX_OFFER_BYTES + 1)},
        {"verb": "cancel", "account": KEY, "envelopeId": ID, "secret": bytes(31)},
    ],
)
def test_a_request_that_is_refused(value: Value) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_request(encode(value))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"answer": "go"},
        {"answer": "host"},
        {"answer": "host", "status": "1.0.0"},
        {"answer": "host", "status": "2.0.0", "nonce": bytes(31)},
        {"answer": "host", "status": "2.0.0", "opened": 1},
        {"answer": "host", "status": "2.0.0", "refused": [{"id": ID}]},
        {
            "answer": "host",
            "status": "2.0.0",
            "items": [ITEM.to_map() | {"data": bytes(MAX_VAULT_BYTES + 1)}],
        },
        {"answer": "host", "status": "2.0.0", "digests": {"vault": bytes(31)}},
        {"answer": "host", "status": "2.0.0", "entries": [ITEM.entry.to_map()] * (MAX_IDS + 1)},
        {"answer": "host", "status": "2.0.0", "letters": [{"n": 1}]},
        {"answer": "host", "status": "2.0.0", "last": -1},
    ],
)
def test_an_answer_that_is_refused(value: Value) -> None:
    with pytest.raises(RemoteProtocolError):
        Answer.parse(encode(value))


def test_what_is_allowed_at_most_fits_a_frame() -> None:
    data = bytes(MAX_ITEMS_BYTES // MAX_ITEMS)
    put = Put(Space.VAULT, (Item(ID, MAX_INT, data),) * MAX_ITEMS, (ID,) * MAX_IDS)
    assert MAX_FRAME > len(put.encode())
    waiting = Waiting(MAX_INT, ID, MAX_ENVELOPE, MAX_INT, KEY, service=True, signature=bytes(64))
    for answer in (
        Answer(letters=(waiting,) * MAX_IDS),
        Answer(entries=(Entry(ID, MAX_INT, ID, whole=True),) * MAX_IDS),
        Answer(items=(Item(ID, MAX_INT, bytes(MAX_VAULT_BYTES)),) * (MAX_ITEMS_BYTES // MAX_VAULT_BYTES)),
    ):
        assert answer == Answer.parse(answer.encode())
        assert MAX_FRAME > len(answer.encode())
    assert max(MAX_BYTES.values()) == MAX_VAULT_BYTES


def test_unknown_fields_are_ignored() -> None:
    assert Hello() == parse_request(encode({"verb": "hello", "mood": "good"}))
    assert Answer(OK) == Answer.parse(encode({"answer": "host", "status": "2.0.0", "mood": "good"}))
    assert Answer(Status("4.99.1")) == Answer.parse(encode({"answer": "host", "status": "4.99.1"}))


# ---- whatever comes


def _ids() -> st.SearchStrategy[bytes]:
    return st.binary(min_size=32, max_size=32)


def _whole() -> st.SearchStrategy[int]:
    return st.integers(0, MAX_INT)


def _items() -> st.SearchStrategy[Item]:
    return st.builds(Item, _ids(), _whole(), st.binary(max_size=128))


def _requests() -> st.SearchStrategy[Request]:
    spaces, several = st.sampled_from(Space), st.lists(_ids(), max_size=3).map(tuple)
    proofs: st.SearchStrategy[Any] = st.none() | st.builds(Stamp, st.just(bytes(16)), st.just(bytes(8)))
    nodes = st.lists(_ids().map(PEER_ID[:6].__add__), max_size=3).map(tuple)
    return st.one_of(
        st.builds(Prove, _ids(), _ids(), st.binary(min_size=64, max_size=64)),
        st.builds(Open, st.binary(max_size=99), nodes, st.integers(0, 2**32 - 1), proofs),
        st.builds(Put, spaces, st.lists(_items(), max_size=3).map(tuple), several),
        st.builds(Get, spaces, several),
        st.builds(Page, spaces, st.none() | _ids()),
        st.builds(List, _whole()),
        st.builds(Wait, _whole(), st.integers(0, MAX_WAIT_S)),
        st.builds(Acknowledge, several),
        st.builds(Find, _ids(), _ids()),
        st.builds(Deposit, st.binary(max_size=99)),
        st.builds(Cancel, _ids(), _ids(), _ids()),
    )


def _answers() -> st.SearchStrategy[Answer]:
    entries = st.builds(Entry, _ids(), _whole(), _ids(), st.booleans())
    size = st.integers(0, MAX_ENVELOPE)
    letters = st.builds(Waiting, _whole(), _ids(), size, _whole(), st.none() | _ids(), st.booleans())
    return st.builds(
        Answer,
        status=st.sampled_from([OK, FULL, NO_ANSWER]),
        text=st.none() | st.text(max_size=99),
        nonce=st.none() | _ids(),
        opened=st.booleans(),
        refused=st.dictionaries(_ids(), st.sampled_from([FULL, NO_ANSWER]), max_size=3),
        items=st.lists(_items(), max_size=3).map(tuple),
        digests=st.dictionaries(st.sampled_from(Space), _ids()),
        used=_whole(),
        quota=_whole(),
        last=_whole(),
        entries=st.lists(entries, max_size=3).map(tuple),
        letters=st.lists(letters, max_size=3).map(tuple),
        more=st.booleans(),
        record=st.none() | st.binary(max_size=99),
    )


def _reads_alike(data: bytes, read: Any) -> None:
    """What is read is written so that the same is read again."""
    value = read(data)
    again = value.encode()
    assert value == read(again)
    assert again == read(again).encode()


@given(_requests())
def test_any_request_is_read_as_it_was_made(request_: Request) -> None:
    data = request_.encode()
    assert request_ == parse_request(data)
    assert data == parse_request(data).encode()


@given(_answers())
def test_any_answer_is_read_as_it_was_given(answer: Answer) -> None:
    data = answer.encode()
    assert answer == Answer.parse(data)
    assert data == Answer.parse(data).encode()


@given(st.binary(max_size=200) | st.sampled_from(REQUESTS).flatmap(lambda r: damaged(r.encode())))
def test_any_bytes_as_a_request(data: bytes) -> None:
    parses_or_refuses(lambda data: _reads_alike(data, parse_request), data)


@given(st.sampled_from(REQUESTS).flatmap(lambda r: changed(_map(r.encode()))))
def test_any_map_as_a_request(value: dict[str, Value]) -> None:
    parses_or_refuses(lambda data: _reads_alike(data, parse_request), encode(value))


@given(st.binary(max_size=200) | st.sampled_from(ANSWERS).flatmap(lambda a: damaged(a.encode())))
def test_any_bytes_as_an_answer(data: bytes) -> None:
    parses_or_refuses(lambda data: _reads_alike(data, Answer.parse), data)


@given(st.sampled_from(ANSWERS).flatmap(lambda a: changed(_map(a.encode()))))
def test_any_map_as_an_answer(value: dict[str, Value]) -> None:
    parses_or_refuses(lambda data: _reads_alike(data, Answer.parse), encode(value))


def _map(data: bytes) -> dict[str, Value]:
    value = decode(data)
    assert isinstance(value, dict)
    return value


def test_a_frame_of_more_parts_than_any_honest_one_has_is_not_read() -> None:
    many: dict[str, Value] = {"verb": "list", "after": 0, "x": [0] * MAX_PARTS}
    with pytest.raises(RemoteProtocolError, match="more than 20000 items"):
        parse_request(encode(many))
    with pytest.raises(RemoteProtocolError, match="more than 20000 items"):
        Answer.parse(encode({"answer": "host", "status": "2.0.0", "x": [0] * MAX_PARTS}))
    waiting = Waiting(MAX_INT, ID, MAX_ENVELOPE, MAX_INT, KEY, service=True, signature=bytes(64))
    full = Answer(letters=(waiting,) * MAX_IDS, more=True)
    assert Answer.parse(full.encode()) == full
