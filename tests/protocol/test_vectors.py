"""Every vector is computed again from its inputs alone, and compared whole."""

import json

import pytest

from tests.vectors.make import TOPICS
from tests.vectors.shape import FOLDER, MAX_JSON_INT, Json, Topic


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_vectors_hold(topic: Topic) -> None:
    document = topic.load()
    again = [topic.vector(vector["name"], vector["in"]) for vector in document["vectors"]]
    assert document["vectors"] == json.loads(json.dumps(again))


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_file_holds_every_input(topic: Topic) -> None:
    written: dict[str, Json] = {vector["name"]: vector["in"] for vector in topic.load()["vectors"]}
    assert written == json.loads(json.dumps(topic.inputs))


def test_names_of_topics_are_unique_and_written() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(set(names)) == len(names)
    assert {f"{name}.json" for name in names} <= {path.name for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_no_number_needs_more_than_a_double(topic: Topic) -> None:
    """JavaScript rounds those without a word."""
    numbers: list[int] = []

    def read(text: str) -> int:
        numbers.append(int(text))
        return int(text)

    json.loads(topic.path.read_text(encoding="utf-8"), parse_int=read)
    assert [number for number in numbers if abs(number) > MAX_JSON_INT] == []
