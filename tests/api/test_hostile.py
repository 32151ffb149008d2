"""Whatever is sent to the API, the answer is ours: 2xx, or an error of our shape; never 500."""

import itertools
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from node.api import Desk, make_api
from node.api.problem import MAX_BODY, Guard
from tests.kit.homes import Caller, caller, open_closed
from tests.kit.owners import owner

ROUTES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/api/v1/message", {"to": [owner("bob").address], "subject": "s", "text": "t"}),
    ("PATCH", "/api/v1/message/{}", {"folder": "trash", "read": True}),
    ("DELETE", "/api/v1/message/{}", None),
    ("GET", "/api/v1/message/{}", None),
    ("GET", "/api/v1/message/{}/mime", None),
    ("POST", "/api/v1/folder", {"name": "x"}),
    ("PUT", "/api/v1/folder/{}", {"name": "x"}),
    ("DELETE", "/api/v1/folder/{}", None),
    ("POST", "/api/v1/contact", {"name": "x", "who": [owner("bob").address]}),
    ("PUT", "/api/v1/contact/{}", {"name": "x", "who": []}),
    ("DELETE", "/api/v1/contact/{}", None),
    ("POST", "/api/v1/handshake/request", {"who": "x", "note": ""}),
    ("POST", "/api/v1/handshake/accept", {"who": "x", "type": "signup", "everyMinutes": 1, "until": 1}),
    ("POST", "/api/v1/handshake/revoke", {"who": "x"}),
    ("POST", "/api/v1/handshake/open", {"link": "mailio:x"}),
    ("POST", "/api/v1/user", {"name": "x"}),
    ("DELETE", "/api/v1/user/{}", None),
    ("POST", "/local/domains", {"name": "x", "host": "y"}),
    ("GET", "/local/domains/{}", None),
    ("DELETE", "/local/domains/{}", None),
    ("POST", "/local/domains/keys", {"name": "x", "now": True}),
    ("POST", "/local/secret", {"key": "smtp.smarthost", "value": "x"}),
    ("DELETE", "/local/secret/{}", None),
    ("POST", "/local/words", {"words": ["zoo"] * 24}),
    ("GET", "/api/v1/outbox/{}", None),
    ("POST", "/api/v1/outbox/{}/cancel", None),
]

texts = st.text(st.characters(codec="utf-8"), max_size=50)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**301)
    | st.floats()
    | texts
    | st.sampled_from(
        [owner("bob").address, "0x", "mailio:0x", "did:mailio:", "a@b", "trash", "\ud800", "x" * 3000]
    )
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """A known route, with a name in its path and a body that is right, nearly right, or anything."""
    method, path, body = draw(st.sampled_from(ROUTES))
    name = draw(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=70) | texts)
    content: Any = body
    if body is not None:
        content = draw(
            st.just(body) | values | st.builds(lambda new, base=body: {**base, **new}, _fields(body))
        )
    raw = draw(st.binary(max_size=60)) if draw(st.integers(0, 9)) == 0 else json.dumps(content).encode()
    quoted = "".join(f"%{byte:02x}" for byte in name.encode())
    return method, path.format(quoted or "%20"), raw


def _fields(body: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(sorted(body)) | texts, values, min_size=1, max_size=2)


def test_any_request_is_answered_in_our_form(tmp_path: Path) -> None:
    async def ask(batch: list[tuple[str, str, bytes]], path: Path) -> None:
        async with open_closed(path) as desk:
            call = caller(desk)
            for method, target, content in batch:
                if target.endswith("/mime"):
                    continue
                status, _ = await call.raw(method, target, content)
                assert 200 <= status < 500 or status == 503

    homes = itertools.count()

    @settings(max_examples=15)
    @given(st.lists(requests(), min_size=10, max_size=20))
    def hold(batch: list[tuple[str, str, bytes]]) -> None:
        trio.run(ask, batch, tmp_path / str(next(homes)))

    hold()


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"1" * 10_000, b'{"name":' * 5_000, b'"\xff"', b"nul", b""], ids=range(6)
)
async def test_bodies_that_are_no_json(call: Caller, content: bytes) -> None:
    status, found = await call.raw("POST", "/api/v1/folder", content)
    assert (status, found["error"]["code"]) == (400, "bad-request")


async def test_a_slash_as_an_id_is_answered_and_not_redirected(call: Caller) -> None:
    status, found = await call("PATCH", "/api/v1/message/%2f", {"read": True})
    assert (404, "no-such-route") == (status, found["error"]["code"])


async def test_a_path_with_a_slash_too_many_is_nowhere(call: Caller) -> None:
    for path in ("/api/v1/message/%2f", "/api/v1/message/", "/api/v1/outbox//"):
        status, found = await call("GET", path)
        assert (404, "no-such-route") == (status, found["error"]["code"])


async def test_a_body_is_bounded(call: Caller) -> None:
    status, found = await call.raw("POST", "/api/v1/folder", b" " * (MAX_BODY + 1))
    assert (status, found["error"]["code"]) == (413, "too-large")


async def test_a_body_is_bounded_that_does_not_say_its_length(desk: Desk) -> None:
    async def receive() -> Message:
        await trio.lowlevel.checkpoint()
        return {"type": "http.request", "body": b" " * 1_000_000, "more_body": True}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/api/v1/folder",
        "query_string": b"", "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    await make_api(desk)(scope, receive, send)
    assert sent[0]["status"] == 413


async def test_a_bad_field_is_named_and_its_value_not_repeated(call: Caller) -> None:
    status, found = await call("POST", "/local/words", {"words": ["secretword", 7]})
    assert (status, found["error"]["code"]) == (400, "bad-request")
    assert found["error"]["text"].startswith("words.1: ")
    assert "secretword" not in json.dumps(found)


async def test_what_nobody_foresaw_is_told_without_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    said = "".join(["the letter's", " text"])

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError(said)

    with caplog.at_level(logging.ERROR):
        status, found = await Caller(Guard(broken))("GET", "/x")
    assert (status, found["error"]["code"]) == (500, "internal")
    assert "ZeroDivisionError" in caplog.text
    assert "test_hostile.py" in caplog.text
    assert said not in caplog.text + json.dumps(found)
