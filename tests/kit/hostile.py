"""Hostile input for parsers: damaged valid bytes, and valid forms with a wrong value in them."""

import contextlib
from collections.abc import Callable, Mapping
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.cbor import Value
from protocol.errors import RemoteProtocolError

T = TypeVar("T")


def damaged(valid: bytes) -> st.SearchStrategy[bytes]:
    """Valid bytes cut, lengthened, or with a stretch of them replaced."""

    def damage(start: int, cut: int, extra: bytes) -> bytes:
        return valid[:start] + extra + valid[start + cut :]

    places = st.integers(0, len(valid))
    return st.builds(damage, places, st.integers(0, 40), st.binary(max_size=40))


def values() -> st.SearchStrategy[Value]:
    """Whatever our own kinds may hold."""
    leaves = st.one_of(
        st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.binary(max_size=70), st.text(max_size=70)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    )


def changed(valid: Mapping[str, Value]) -> st.SearchStrategy[dict[str, Value]]:
    """A map with some of its fields missing, replaced, or nonsense added."""

    def change(gone: list[str], new: dict[str, Value]) -> dict[str, Value]:
        return {name: value for name, value in valid.items() if name not in gone} | new

    names = st.sampled_from(sorted(valid))
    new = st.dictionaries(names | st.text(max_size=8), values(), max_size=2)
    return st.builds(change, st.lists(names, max_size=2), new)


def parses_or_refuses(parse: Callable[[bytes], object], data: bytes) -> None:
    """The invariant of every parser: it returns, or raises RemoteProtocolError and nothing else."""
    with contextlib.suppress(RemoteProtocolError):
        parse(data)


def examples(strategy: st.SearchStrategy[T], count: int = 60) -> list[T]:
    """What hypothesis makes of it. A house for each example would be slow, so they share one."""
    found: list[T] = []

    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(data: T) -> None:
        found.append(data)

    collect()
    return found
