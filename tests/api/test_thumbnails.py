"""Pictures in small through the API: which files have one, and that it is gone with its letter."""

import base64
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from PIL import Image

from node.api import Desk, make_api
from node.app import open_desk
from node.kinds import MAX_BYTES
from node.letters import thumbnails
from node.runtime.config import Config
from node.storage import Batch
from protocol.folder import HANDSHAKE
from tests.kit import jobs
from tests.kit.homes import caller, new_home
from tests.kit.letters import arrival
from tests.kit.owners import owner
from tests.kit.processes import until
from tests.kit.samples import PICTURE_BOMBS, picture, samples, saved

BOB = owner("bob").address


class Pictures:
    """An owner's letters with files, and who asks for them."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.call = desk, caller(desk)
        transport = httpx.ASGITransport(make_api(desk))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://mailio/api/v1")

    async def sent(self, **files: bytes) -> str:
        """The id of a letter with these."""
        ids = []
        for name, data in files.items():
            answer = await self._http.post("/attachment", content=data, params={"filename": name})
            ids.append(answer.json()["id"])
        await self.call("POST", "/api/v1/message", {"to": [BOB], "attachments": ids})
        _, rows = await self.call("GET", "/api/v1/message", folder="sent")
        return str(rows[0]["id"])

    async def shown(self, letter: str) -> list[dict[str, Any]]:
        _, found = await self.call("GET", f"/api/v1/message/{letter}")
        return list(found["attachments"])

    async def small(self, letter: str, n: int = 1, **params: Any) -> httpx.Response:
        return await self._http.get(f"/message/{letter}/attachment/{n}/thumbnail", params=params)

    async def code(self, letter: str, n: int = 1, **params: Any) -> tuple[int, str]:
        """Status and code of a refusal."""
        answer = await self.small(letter, n, **params)
        return answer.status_code, answer.json()["error"]["code"]

    def kept(self) -> int:
        return len(self.desk.mailbox._thumbnails._kept)


@pytest.fixture
async def pictures(tmp_path: Path) -> AsyncIterator[Pictures]:
    async with open_desk(await new_home(tmp_path / "home"), Config(), None) as desk:
        yield Pictures(desk)


def large(form: str = "PNG") -> bytes:
    """A picture that does not go into a letter."""
    return saved(Image.frombytes("RGB", (300, 200), random.Random(1).randbytes(180_000)), form)


async def test_a_picture_has_one_wherever_it_lies(pictures: Pictures) -> None:
    letter = await pictures.sent(inside=picture("PNG"), outside=large(), long=large("WEBP"))
    shown = await pictures.shown(letter)
    assert [(True, "image"), (True, "image"), (True, "image")] == [
        (one["thumbnail"], one["kind"]) for one in shown
    ]
    assert [False, True, True] == [bool(one["reference"]) for one in shown]
    for n, size in ((1, (60, 40)), (2, (256, 171)), (3, (256, 171))):
        answer = await pictures.small(letter, n)
        assert (200, "image/webp") == (answer.status_code, answer.headers["content-type"])
        assert ("nosniff", "sandbox", "inline", "no-store") == tuple(
            answer.headers[name]
            for name in (
                "x-content-type-options", "content-security-policy", "content-disposition", "cache-control",
            )
        )  # fmt: skip
        file = pictures.desk.home.path / "small.webp"
        file.write_bytes(answer.content)
        with Image.open(file) as image:
            assert size == image.size


async def test_what_has_none(pictures: Pictures) -> None:
    names = ("a.pdf", "a.svg", "a.tif", "a.exe", "nothing", "a.txt")
    letter = await pictures.sent(
        **{name: samples()[name] for name in names}, bomb=PICTURE_BOMBS["png 50,000 x 50,000"]()
    )
    assert [False] * 6 + [True] == [one["thumbnail"] for one in await pictures.shown(letter)]
    for n in range(1, 8):
        assert (404, "no-thumbnail") == await pictures.code(letter, n)
    assert (404, "no-attachment") == await pictures.code(letter, 9)
    assert (404, "no-letter") == await pictures.code("0" * 24)


async def test_a_file_that_is_too_large_has_none(pictures: Pictures) -> None:
    data = picture("PNG") + bytes(MAX_BYTES)
    letter = await pictures.sent(least=data[:MAX_BYTES], most=data)
    assert [True, False] == [one["thumbnail"] for one in await pictures.shown(letter)]
    assert 200 == (await pictures.small(letter, 1)).status_code
    assert (404, "no-thumbnail") == await pictures.code(letter, 2)


async def test_it_is_made_when_asked_for_and_once(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    async def counted(*args: Any, **more: Any) -> Any:
        made.append(args[1].__name__)
        return await run_on(*args, **more)

    viewer = pictures.desk.mailbox._thumbnails._viewer
    run_on = viewer.run_on
    monkeypatch.setattr(viewer, "run_on", counted)
    letter = await pictures.sent(a=large(), b=PICTURE_BOMBS["png without rows"]())
    await pictures.shown(letter)
    assert [] == made
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(pictures.small, letter, 1)
            nursery.start_soon(pictures.small, letter, 2)
    assert ["small_picture"] * 2 == made


async def test_it_is_gone_with_its_letter(pictures: Pictures) -> None:
    letter, other = await pictures.sent(a=large()), await pictures.sent(b=large())
    for one in (letter, other):
        assert 200 == (await pictures.small(one)).status_code
    assert 2 == pictures.kept()
    for erased in (False, True):
        _, found = await pictures.call("DELETE", f"/api/v1/message/{letter}")
        assert erased == found["erased"]
        assert (1 if erased else 2) == pictures.kept()
    assert (404, "no-letter") == await pictures.code(letter)
    assert 200 == (await pictures.small(other)).status_code


async def test_of_a_letter_that_is_erased_meanwhile_nothing_is_kept(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = await pictures.sent(a=large())
    viewer = pictures.desk.mailbox._thumbnails._viewer
    run_on = viewer.run_on

    async def slow(*args: Any, **more: Any) -> Any:
        made = await run_on(*args, **more)
        for _ in range(2):
            await pictures.call("DELETE", f"/api/v1/message/{letter}")
        return made

    monkeypatch.setattr(viewer, "run_on", slow)
    await pictures.small(letter)
    assert 0 == pictures.kept()
    assert (404, "no-letter") == await pictures.code(letter)


async def test_of_a_stranger_s_letter_nothing_is_decoded_unasked(pictures: Pictures) -> None:
    lines = ["Content-Type: image/png; name=a.png", "Content-Transfer-Encoding: base64", "", ""]
    raw = "\r\n".join(lines).encode() + base64.b64encode(picture("PNG"))
    for folder in (HANDSHAKE, "spam"):
        batch = Batch()
        letter = pictures.desk.mailbox.take_in(batch, arrival(raw=raw, folder=folder)).hex()
        await pictures.desk.store.write(batch)
        assert (409, "stranger") == await pictures.code(letter)
        assert 0 == pictures.kept()
        assert 200 == (await pictures.small(letter, anyway=True)).status_code
        assert (409, "stranger") == await pictures.code(letter)
        assert (1, True) == (pictures.kept(), (await pictures.shown(letter))[0]["thumbnail"])
        pictures.desk.mailbox._thumbnails.forget(bytes.fromhex(letter))


async def test_what_takes_the_worker_down_or_too_long_has_none(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = await pictures.sent(a=large(), b=large("WEBP"))
    monkeypatch.setattr(thumbnails, "small_picture", jobs.die_on)
    assert (404, "no-thumbnail") == await pictures.code(letter, 1)
    monkeypatch.undo()
    assert (404, "no-thumbnail") == await pictures.code(
        letter, 1
    )  # remembered: it is not tried time and again
    assert 200 == (await pictures.small(letter, 2)).status_code


async def test_nothing_waits_for_a_picture_and_who_goes_ends_it(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = await pictures.sent(a=large(), b=samples()["a.pdf"])
    slots = pictures.desk.mailbox._thumbnails._viewer._slots

    async def busy() -> bool | None:
        return slots.borrowed_tokens == 1 or None

    with monkeypatch.context() as patched:
        patched.setattr(thumbnails, "small_picture", jobs.hang_on)
        patched.setattr(thumbnails, "DEADLINE_S", 600.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pictures.small, letter)
            await until("a picture being made", busy)
            with trio.fail_after(60):
                assert ["image", "document"] == [one["kind"] for one in await pictures.shown(letter)]
            assert 1 == slots.borrowed_tokens
            nursery.cancel_scope.cancel()
    assert (0, 0) == (slots.borrowed_tokens, pictures.kept())
    assert 200 == (await pictures.small(letter)).status_code


async def test_what_is_kept_is_bounded(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = await pictures.sent(**{f"{n}.png": picture("PNG", (9, 9 + n)) for n in range(6)})
    size = len((await pictures.small(letter, 1)).content)
    monkeypatch.setattr(thumbnails, "MAX_KEPT", 3 * size + 20)
    for n in range(1, 7):
        assert 200 == (await pictures.small(letter, n)).status_code
    assert {4, 5, 6} == {n for _, n in pictures.desk.mailbox._thumbnails._kept}
    monkeypatch.setattr(thumbnails, "MAX_KNOWN", 2)
    assert 200 == (await pictures.small(letter, 1)).status_code
    assert {6, 1} == {n for _, n in pictures.desk.mailbox._thumbnails._kept}


@pytest.mark.parametrize(
    ("name", "expected", "how"),
    [
        ("a.jpg", "image/jpeg", "inline"),
        ("a.txt", "text/plain; charset=utf-8", "inline"),
        ("latin.txt", "text/plain", "inline"),
        ("a.mp4", "video/mp4", "inline"),
        ("a.html", "text/plain; charset=utf-8", "inline"),
        ("a.svg", "text/plain; charset=utf-8", "inline"),
        ("a.pdf", "application/pdf", "attachment"),
        ("a.exe", "application/vnd.microsoft.portable-executable", "attachment"),
        ("noise", "application/octet-stream", "attachment"),
    ],
)
@pytest.mark.parametrize("claim", ["text/html", "image/svg+xml", "text/javascript"])
async def test_a_browser_is_told_what_was_found(
    pictures: Pictures, name: str, expected: str, how: str, claim: str
) -> None:
    http = pictures._http
    upload = await http.post(
        "/attachment", content=samples()[name], params={"filename": name, "mediaType": claim}
    )
    await pictures.call("POST", "/api/v1/message", {"to": [BOB], "attachments": [upload.json()["id"]]})
    _, rows = await pictures.call("GET", "/api/v1/message", folder="sent")
    answer = await http.get(f"/message/{rows[0]['id']}/attachment/1")
    assert (200, expected, "nosniff", "sandbox") == (
        answer.status_code, answer.headers["content-type"], answer.headers["x-content-type-options"],
        answer.headers["content-security-policy"],
    )  # fmt: skip
    assert f"{how}; filename*=utf-8''{name}" == answer.headers["content-disposition"]
    assert samples()[name] == answer.content
