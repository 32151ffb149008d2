"""The form of the test vectors: a JSON file a topic; each vector has inputs, intermediate values, outputs.

Bytes are lower-case hexadecimal. How a topic is computed stands beside its inputs, in the other modules.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from protocol.errors import RemoteProtocolError

Json: TypeAlias = dict[str, Any]
Computed: TypeAlias = tuple[Json, Json]

FOLDER = Path(__file__).parent

MAX_JSON_INT = 2**53 - 1  # readers whose numbers are doubles hold integers up to this exactly


@dataclass(frozen=True, slots=True)
class Topic:
    """A file of vectors; `compute` makes intermediate values and outputs from one vector's inputs alone."""

    name: str
    about: str
    inputs: Mapping[str, Json]
    compute: Callable[[Json], Computed]

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.json"

    def vector(self, name: str, given: Json) -> Json:
        mid, out = self.compute(given)
        return {"name": name, "in": given, "mid": mid, "out": out}

    def document(self) -> Json:
        vectors = [self.vector(name, given) for name, given in self.inputs.items()]
        return {"topic": self.name, "about": self.about, "vectors": vectors}

    def load(self) -> Json:
        document: Json = json.loads(self.path.read_text(encoding="utf-8"))
        return document


def write(topics: Iterable[Topic]) -> None:
    """Write every topic's file anew, the same bytes each time."""
    for topic in topics:
        text = json.dumps(topic.document(), indent=1, ensure_ascii=True)
        topic.path.write_text(text + "\n", encoding="utf-8")


def outcome(action: Callable[[], Json]) -> Json:
    """What `action` gives, or the status with which the input is refused."""
    try:
        return action()
    except RemoteProtocolError as fault:
        return {"refused": str(fault.status)}


def jsonable(value: object) -> Any:
    """A decoded CBOR value as JSON: bytes as {"hex": …}, floats as {"float": …}, and integers that most
    readers of JSON would round as {"int": "…"}.
    """
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, int) and abs(value) > MAX_JSON_INT:
        return {"int": str(value)}
    if isinstance(value, Mapping):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return value
