"""scripts/simulate as a command, and the document that tells of it."""

import json
from pathlib import Path

import pytest

from scripts.simulate import main
from scripts.simulate_assumptions import Assumptions, table

DOCUMENT = Path(__file__).parents[2] / "docs/simulation.md"


def test_json_has_one_object_for_each_number_of_hosts(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--owners", "1000", "--letters", "40", "--days", "7", "--seed", "5", "--json"])
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(1_000, k, 5, 7) for k in range(6)] == [
        (one["owners"], one["k"], one["seed"], one["days"]) for one in objects
    ]
    assert [{}, {"many small", "few large"}] == [objects[0]["loads"], set(objects[3]["loads"])]
    assert 40 == objects[3]["odds"]["owner 1 day"]["of"]


def test_a_table_has_a_row_for_the_hosts_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    always = ["always_on=1", "always_on_up=1", "host_up=1", "lost_a_year=0", "dialable_always_on=1"]
    changes = [word for change in always for word in ("--assume", change)]
    assert 0 == main(["--owners", "10000", "--hosts", "2", "--letters", "40", *changes])
    out = capsys.readouterr().out
    assert "== 10,000 owners; 200 hosts for the odds" in out
    rows = [line.split() for line in out.splitlines() if line.startswith("2 ")]
    assert ["2", "100.00", "±8.76", "100.00", "±8.76", "100.00", "±8.76", "0.00", "±8.76"] == rows[0]
    assert "too much, 2 few large: connections of owners at it 10,000 > limits.peers 200" in out


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--hosts", "6"], "6 is not from 0 to 5"),
        (["--owners", "0"], "0 is not from 1"),
        (["--assume", "frob=1"], "frob is no assumption"),
        (["--assume", "away=x"], "could not convert"),
        (["--assume", "lost_a_year=-1"], "lost_a_year=-1 is not above 0"),
        (["--assume", "outage_hours=0"], "outage_hours=0 is not above 0"),
        (["--assume", "host_up=1.5"], "host_up=1.5 is not a share"),
        (["--assume", "away=nan"], "away=nan is not a share"),
    ],
)
def test_wrong_arguments_are_told(
    arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert 2 == ended.value.code
    assert fault in capsys.readouterr().err


def test_the_document_has_the_assumptions_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--assumptions"])
    assert table() + "\n" == capsys.readouterr().out
    assert table() in DOCUMENT.read_text()


def test_an_assumption_is_changed_by_name() -> None:
    assert 0.5 == Assumptions().but(["away=0.1", "away=0.5"]).away
    assert Assumptions() == Assumptions().but([])
