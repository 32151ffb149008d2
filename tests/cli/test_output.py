"""Tables fit the terminal, and nothing from others gets through as markup or control."""

import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.output import LEAST_COLUMN, folded, pairs, table, widths, write_json, write_raw


class Screen(io.StringIO):
    """A terminal of 60 columns that keeps what is written."""

    def isatty(self) -> bool:
        return True


@contextmanager
def on_screen() -> Iterator[Screen]:
    """Standard output is such a terminal. (No fixture: pytest puts its own there in each phase.)"""
    with pytest.MonkeyPatch.context() as patch:
        screen = Screen()
        patch.setattr(sys, "stdout", screen)
        for name, value in {"COLUMNS": "60", "NO_COLOR": "1", "TERM": "xterm"}.items():
            patch.setenv(name, value)
        yield screen


@given(st.lists(st.integers(0, 300), min_size=3, max_size=6), st.integers(20, 200))
def test_only_flexible_columns_give_way(needs: list[int], width: int) -> None:
    found = widths(needs, [0, 2], width)
    assert [needs[n] for n in range(len(needs)) if n not in (0, 2)] == [
        found[n] for n in range(len(needs)) if n not in (0, 2)
    ]
    assert all(found[n] >= min(needs[n], LEAST_COLUMN) for n in (0, 2))
    fits = sum(found) + 2 * (len(found) - 1) <= width
    assert fits or all(found[n] <= LEAST_COLUMN for n in (0, 2))


def test_a_table_on_a_terminal_fits_and_keeps_its_ids() -> None:
    rows = [["0123456789ab", "[red]" + "long " * 40], ["0123456789ac", "\x1b[2Jx\u202e"]]
    with on_screen() as screen:
        table(["id", "subject"], rows, flexible=[1])
    lines = re.sub(r"\x1b\[\d*m", "", screen.getvalue()).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert lines[1].startswith("0123456789ab  [red]long long")
    assert lines[1].endswith("…")
    assert lines[2].rstrip() == "0123456789ac  \ufffd[2Jx\ufffd"


def test_a_table_for_a_pipe_has_tabs_and_no_head(capsys: pytest.CaptureFixture[str]) -> None:
    table(["id", "subject"], [["1", "a\tb\nc"]])
    assert "1\ta\ufffdb\ufffdc\n" == capsys.readouterr().out


def test_raw_bytes_are_kept_in_a_pipe(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    write_raw(b"a\x1b[2J\r\n\xff")
    assert b"a\x1b[2J\r\n\xff" == capsysbinary.readouterr().out


def test_raw_bytes_are_cleaned_on_a_terminal() -> None:
    with on_screen() as screen:
        write_raw(b"a\x1b[2J\r\n\xff")
    assert "a\ufffd[2J\n\ufffd" == screen.getvalue()


@given(st.text())
def test_json_is_plain_ascii(value: str) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        write_json(value)
    shown = stream.getvalue()
    assert shown.removesuffix("\n").isprintable()
    assert shown.isascii()
    assert value == json.loads(shown)


def test_pairs_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    pairs([("A", "x\x07"), ("Long", ["1", "2"]), ("No", [])])
    assert "A     x\ufffd\nLong  1\n      2\nNo\n" == capsys.readouterr().out


def test_a_column_with_nothing_in_it_is_left_out() -> None:
    with on_screen() as screen:
        table(["id", "note", "who"], [["1", "", "a"], ["2", "", "b"]], flexible=[1])
    assert ["id  who", "1   a", "2   b"] == [line.rstrip() for line in plain(screen).splitlines()]


def test_a_long_word_keeps_both_its_ends() -> None:
    with on_screen() as screen:
        table(["who", "subject"], [["0x" + "12" * 20, "x" * 9 + " " * 20 + "y" * 20]], flexible=[0, 1])
    assert re.search(r"^0x(12)+…(12)+ ", plain(screen).splitlines()[1])


def test_a_wide_table_becomes_lines_where_there_is_no_room() -> None:
    row = ["a" * 30, "b" * 25, "why and " * 12, ""]
    with on_screen() as screen:
        table(["id", "who", "state", "note"], [row, row], flexible=[2], folds=[2])
    lines = [line.rstrip() for line in plain(screen).splitlines()]
    assert all(len(line) <= 60 for line in lines)
    assert lines[:2] == ["id     " + "a" * 30, "who    " + "b" * 25]
    assert lines[2].startswith("state  why and")
    assert " ".join(" ".join(lines[2:4]).split()) == "state " + " ".join(["why and"] * 12)
    assert lines[4] == ""
    assert lines[5:] == lines[:4]


def test_a_sentence_breaks_between_words_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "give it to one person, on a way that you trust: " + "x" * 70
    assert said == folded(said, io.StringIO())
    monkeypatch.setenv("COLUMNS", "40")
    lines = ["give it to one person, on a way that you", "trust:", "x" * 70]
    assert lines == folded(said, Screen()).splitlines()


def plain(screen: Screen) -> str:
    return re.sub(r"\x1b\[\d*m", "", screen.getvalue())


def test_a_column_keeps_what_it_must() -> None:
    assert [8, 15] == widths([8, 15], [0, 1], 30, least={1: 15})
    assert [12, 15] == widths([30, 15], [0, 1], 29, least={1: 15})
    assert [8, 15] == widths([30, 15], [0, 1], 20, least={1: 15})


def test_a_name_that_must_be_whole_makes_lines_of_a_table() -> None:
    whole = "somebody.with.a.long.name@mail.example.org"
    row = ["they ask", whole, "a note that is a sentence"]
    with on_screen() as screen:
        table(["you say", "who", "note"], [row], flexible=[1, 2], folds=[1, 2], least={1: len(whole)})
    assert ["you say  they ask", f"who      {whole}", "note     a note that is a sentence"] == [
        line.rstrip() for line in plain(screen).splitlines()
    ]
