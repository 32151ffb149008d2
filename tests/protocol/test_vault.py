"""The pages of the vault (protocol.md §3): the owner alone reads them, and the newest word counts."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.account import MAX_VAULT_BYTES, Item
from protocol.cbor import encode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.vault import FULL_BYTES, MAX_VALUE, Entry, Page, VaultKeys, merged
from tests.kit.hostile import damaged, parses_or_refuses
from tests.kit.owners import NOW, owner

KEYS = VaultKeys(owner("alice").secrets.vault_key)
OTHERS = VaultKeys(owner("eve").secrets.vault_key)
ANN = Entry("contact/1", b"ann", encode({"name": "Ann"}))
BOB = Entry("ours/1", b"bob", encode({"state": "accepted"}))
PAGE = Page(0, 1, NOW, (ANN, BOB))
ITEM = KEYS.seal(PAGE)

names = st.binary(min_size=1, max_size=8)
vaults = st.dictionaries(names, st.binary(max_size=40), max_size=12)


def of(names: dict[bytes, bytes], seq: int, count: int) -> list[Page]:
    """A whole vault in so many pages."""
    entries = [Entry("contact/1", name, value) for name, value in sorted(names.items())]
    return [
        Page(n, count, seq, tuple(e for e in entries if KEYS.place(e.kind, e.name) % count == n))
        for n in range(count)
    ]


def named(entries: Iterable[Entry]) -> dict[bytes, bytes]:
    return {entry.name: entry.value for entry in entries}


def test_what_the_owner_sealed_it_opens() -> None:
    assert PAGE == KEYS.open(ITEM)
    assert (KEYS.page_id(0), NOW) == (ITEM.id, ITEM.seq)


def test_the_same_page_is_the_same_bytes_and_another_is_not() -> None:
    assert ITEM == KEYS.seal(replace(PAGE, entries=(BOB, ANN)))
    others = [replace(PAGE, seq=NOW + 1), replace(PAGE, entries=(ANN,)), replace(PAGE, entries=())]
    nonces = {KEYS.seal(page).data[:24] for page in (PAGE, *others)}
    assert 4 == len(nonces)


def test_small_vaults_look_alike() -> None:
    assert {24 + 4_096 + 16} == {len(KEYS.seal(page).data) for page in (PAGE, replace(PAGE, entries=()))}


def test_nobody_else_reads_or_writes_a_page() -> None:
    with pytest.raises(RemoteProtocolError):
        OTHERS.open(ITEM)
    with pytest.raises(RemoteProtocolError):
        KEYS.open(OTHERS.seal(PAGE))


def test_a_host_can_not_pass_a_page_off_as_another() -> None:
    wrong = [
        replace(ITEM, seq=NOW + 1),
        replace(ITEM, id=KEYS.page_id(1)),
        replace(ITEM, data=KEYS.seal(replace(PAGE, seq=NOW - 1)).data),
        replace(ITEM, data=ITEM.data[:-1]),
        replace(ITEM, data=bytes(MAX_VAULT_BYTES + 1)),
        replace(ITEM, data=b""),
    ]
    for item in wrong:
        with pytest.raises(RemoteProtocolError):
            KEYS.open(item)


def test_a_full_page_fits_a_host_and_more_does_not() -> None:
    entry = Entry("ours/1", b"", bytes(MAX_VALUE))
    full = [replace(entry, name=bytes([n])) for n in range(FULL_BYTES // MAX_VALUE)]
    assert len(KEYS.seal(replace(PAGE, entries=tuple(full))).data) <= MAX_VAULT_BYTES
    with pytest.raises(LocalProtocolError):
        KEYS.seal(replace(PAGE, entries=tuple(replace(entry, name=bytes([n])) for n in range(11))))


@pytest.mark.parametrize("page", [Page(0, 3, 1, ()), Page(1, 1, 1, ()), Page(0, 2_048, 1, ())])
def test_no_page_is_written_that_no_reader_takes(page: Page) -> None:
    with pytest.raises(LocalProtocolError):
        KEYS.seal(page)


def test_an_entry_that_is_too_large_is_not_written() -> None:
    for entry in (Entry("a" * 17, b"", b""), Entry("a", bytes(513), b""), Entry("a", b"", bytes(24_577))):
        with pytest.raises(LocalProtocolError):
            KEYS.seal(replace(PAGE, entries=(entry,)))


@given(st.binary(max_size=200) | damaged(ITEM.data))
def test_any_bytes_open_or_are_refused(data: bytes) -> None:
    parses_or_refuses(lambda data: KEYS.open(Item(ITEM.id, ITEM.seq, data)), data)


@given(vaults, st.sampled_from([1, 2, 4, 8]))
def test_pages_together_are_the_vault_whatever_their_number(vault: dict[bytes, bytes], count: int) -> None:
    pages = [KEYS.open(KEYS.seal(page)) for page in of(vault, 1, count)]
    assert vault == named(merged(pages, KEYS))


@settings(max_examples=50)
@given(vaults, vaults, st.sampled_from([(1, 1), (1, 2), (2, 4), (4, 1), (2, 8)]), st.randoms())
def test_a_newer_vault_is_all_that_counts(
    old: dict[bytes, bytes], new: dict[bytes, bytes], counts: tuple[int, int], chance: object
) -> None:
    pages = [*of(old, 1, counts[0]), *of(new, 2, counts[1])]
    chance.shuffle(pages)  # type: ignore[attr-defined]  # hypothesis' Random
    assert new == named(merged(pages, KEYS))


@given(vaults, vaults, st.integers(0, 3))
def test_where_a_newer_page_is_lost_the_older_one_counts(
    old: dict[bytes, bytes], new: dict[bytes, bytes], lost: int
) -> None:
    def place(name: bytes) -> int:
        return KEYS.place("contact/1", name) % 4

    pages = [*of(old, 1, 1), *(page for page in of(new, 2, 4) if page.number != lost)]
    expected = {n: v for n, v in new.items() if place(n) != lost}
    expected |= {n: v for n, v in old.items() if place(n) == lost}
    assert expected == named(merged(pages, KEYS))


def test_the_order_in_which_hosts_answer_does_not_count() -> None:
    pages = [Page(0, 1, 1, (ANN,)), Page(0, 1, 2, (BOB,)), Page(0, 1, 3, (ANN, BOB))]
    assert {(ANN, BOB)} == {tuple(merged(order, KEYS)) for order in permutations(pages)}
