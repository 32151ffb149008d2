"""What an IPFS daemon says, read."""

import base64
from typing import Any

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.files.kubo_words import (
    MAX_WORDS,
    Health,
    any_cid,
    health,
    is_recursive,
    pinned_in,
    says_lacking,
    says_unpinned,
    shown,
)
from protocol.errors import RemoteProtocolError
from protocol.unixfs import DAG_PB, RAW, cid_text, node_cid, raw_cid

LEAF, NODE = raw_cid(b"x"), node_cid(b"x")

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["Pins", "Keys", "Type", "Version", "ID", "AgentVersion", cid_text(LEAF)])
            | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def spellings(cid: bytes) -> list[str]:
    return [
        cid_text(cid),
        cid_text(cid).upper(),
        "f" + cid.hex(),
        "F" + cid.hex().upper(),
        "u" + base64.urlsafe_b64encode(cid).decode().rstrip("="),
        "z" + base58.b58encode(cid).decode(),
    ]


@given(st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32))
def test_a_cid_is_known_in_each_spelling(prefix: bytes, digest: bytes) -> None:
    cid = prefix + digest
    assert {cid} == {any_cid(text) for text in spellings(cid)}


@given(st.binary(min_size=32, max_size=32))
def test_a_cid_of_the_old_kind_is_a_node(digest: bytes) -> None:
    assert DAG_PB + digest == any_cid(base58.b58encode(b"\x12\x20" + digest).decode())


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        b"Qm",
        "",
        "Qm",
        "b",
        "Q" * 46,
        cid_text(LEAF) + "a",
        cid_text(LEAF)[:-1],
        "k" + cid_text(LEAF)[1:],
        "f" + (b"\x01\x71" + LEAF[2:]).hex(),
        "f" + (b"\x01\x55\x00\x20" + LEAF[4:]).hex(),
        "f" + LEAF.hex()[:-2],
        "f " + LEAF.hex()[1:],
        "/ipfs/" + cid_text(LEAF),
        "ü" * 59,
        "b" + "a" * 10_000_000,
    ],
)
def test_what_is_no_cid_of_ours(text: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        any_cid(text)


@given(anything)
def test_any_answer_is_read_or_refused(answer: Any) -> None:
    for read in (
        lambda: any_cid(answer),
        lambda: pinned_in(answer, LEAF),
        lambda: is_recursive(answer, LEAF),
        lambda: health(answer, answer),
        lambda: health(answer, None),
    ):
        try:
            read()
        except RemoteProtocolError:
            continue


@given(st.text(max_size=2_000))
def test_what_is_shown_is_one_short_line(text: str) -> None:
    line = shown(text)
    assert len(line) <= MAX_WORDS
    assert line.isprintable()
    assert line == line.strip()


@pytest.mark.parametrize("text", [*spellings(NODE), base58.b58encode(b"\x12\x20" + NODE[4:]).decode()])
def test_no_cid_is_shown(text: str) -> None:
    assert "pin: … is away" == shown(f"pin: {text} is away")


def test_pins() -> None:
    old = base58.b58encode(b"\x12\x20" + NODE[4:]).decode()
    pinned_in({"Pins": [cid_text(LEAF), old]}, NODE)
    with pytest.raises(RemoteProtocolError):
        pinned_in({"Pins": [cid_text(LEAF)]}, NODE)
    assert is_recursive({"Keys": {old: {"Type": "recursive", "Name": ""}}}, NODE)
    assert not is_recursive({"Keys": {old: {"Type": "direct"}}}, NODE)
    assert not is_recursive({"Keys": {cid_text(NODE): {"Type": f"indirect through {old}"}}}, NODE)
    assert not is_recursive({"Keys": {cid_text(LEAF): {"Type": "recursive"}}}, NODE)
    assert not is_recursive({"Keys": {}}, NODE)


@pytest.mark.parametrize("version", ["0.5.0", "0.18.1-rc1", "0.35.0", "0.43.1", "0.43.0-dev+abc"])
@pytest.mark.parametrize("agent", ["kubo/x/y", "go-ipfs/0.5.0/"])
def test_known_versions(version: str, agent: str) -> None:
    peer = "12D3KooWMTJPFLfEsXsnYVJ5oSWAYHGEhojNwZ7EtQz8aq1wpRoT"
    assert Health(version, peer) == health({"Version": version}, {"ID": peer, "AgentVersion": agent})
    assert Health(version) == health({"Version": version}, None)


@pytest.mark.parametrize(
    "version", ["0.4.23", "0.44.0", "1.0.0", "", "x", "0", "99999999.1", "0.43\x00", "0.4" * 99]
)
def test_unknown_versions_are_warned_of(version: str) -> None:
    found = health({"Version": version}, {"ID": "no peer id", "AgentVersion": "kubo/x"})
    assert ("", True) == (found.peer, "(0.5 to 0.43); it is used all the same" in found.warning)
    assert found.warning.isprintable()


def test_another_daemon_is_warned_of() -> None:
    found = health({"Version": "0.18.1"}, {"ID": "", "AgentVersion": "js-ipfs/0.18.1"})
    assert "js-ipfs/0.18.1 is not Kubo; it is used all the same" == found.warning


@pytest.mark.parametrize(
    "message",
    [
        f"block was not found locally (offline): ipld: could not find {cid_text(NODE)}",
        f"pin: block was not found locally (offline): ipld: could not find {cid_text(NODE)}",
        "blockservice: key not found",
        "merkledag: not found",
        "Failed to get block: ENOENT: no such file or directory, open '/x'",
    ],
)
def test_what_is_not_there(message: str) -> None:
    assert says_lacking(message)
    assert not says_unpinned(message)


@pytest.mark.parametrize(
    "message",
    ["not pinned or pinned indirectly", f"path '{cid_text(NODE)}' is not pinned", "x is not pinned"],
)
def test_what_is_not_pinned(message: str) -> None:
    assert says_unpinned(message)
    assert not says_lacking(message)


@pytest.mark.parametrize(
    "message", ["context deadline exceeded", "no space left on device", "unfindable", ""]
)
def test_other_faults(message: str) -> None:
    assert not says_lacking(message)
    assert not says_unpinned(message)
