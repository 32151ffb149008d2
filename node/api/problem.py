"""Every way in which a request can fail, as one JSON shape. No route and no room stands here."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.runtime.errors import NodeError, UsageError
from node.runtime.worker import WorkerError
from node.storage import StoreUnavailable
from protocol.errors import ProtocolError

log = logging.getLogger(__name__)

UPLOAD: Final = "/api/v1/attachment"
"""Whose body is a file: it is taken piece by piece, and bounded where it is kept."""

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of a request: a letter's text of 1 MiB in JSON's longest spelling, six bytes for one, fits."""

NOT_RUNNING: Final = "not-running"
"""Code of what only the running node can do."""

_UNAVAILABLE: Final = (StoreUnavailable, WorkerError)
_ABSENT: Final = {"no-folder", "no-letter", "no-handshake", "no-host", "no-attachment", "no-thumbnail",
            "unknown-recipient"}  # fmt: skip
_WORDS: Final = {400: "bad request", 404: "not found", 405: "not allowed", 409: "refused", 413: "too large",
                 416: "no such range", 422: "not understood", 500: "internal", 503: "not now"}  # fmt: skip


def problem(status: int, code: str, text: str, remedy: str = "") -> JSONResponse:
    """Problem details (RFC 9457) with our own `error` in it, which is what commands print; one line each."""
    error = described(NodeError(code, text, remedy))
    return JSONResponse(
        {
            "title": _WORDS.get(status, "error"),
            "status": status,
            "detail": error["text"],
            "error": error,
        },
        status,
        media_type="application/problem+json",
    )


def described(fault: NodeError) -> dict[str, str]:
    """A fault as commands print it; one line each."""
    text, remedy = (" ".join(said.split()) for said in (fault.text, fault.remedy))
    return {"code": fault.code, "text": text, "remedy": remedy}


def needs_network() -> NodeError:
    """What a closed store can't do."""
    return NodeError(NOT_RUNNING, "this needs the running node", "start the node with: mailio run")


def node_problem(fault: NodeError) -> JSONResponse:
    """A foreseeable fault; the status is what programs go by, the code says which."""
    if isinstance(fault, UsageError):
        status = 400
    elif isinstance(fault, _UNAVAILABLE) or fault.code == NOT_RUNNING:
        status = 503
    elif fault.code in _ABSENT or fault.code.startswith("no-such-"):
        status = 404
    else:
        status = 409
    return problem(status, fault.code, fault.text, fault.remedy)


async def on_node_error(_: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, NodeError)
    return node_problem(fault)


async def on_protocol_error(_: Request, fault: Exception) -> JSONResponse:
    """What was typed is not what it looks like: a link, an address, a word."""
    assert isinstance(fault, ProtocolError)
    return problem(422, "not-understood", str(fault))


async def on_bad_request(_: Request, fault: Exception) -> JSONResponse:
    """Names the field; never repeats what was in it."""
    assert isinstance(fault, RequestValidationError)
    first: dict[str, Any] = next(iter(fault.errors()), {})
    where = [str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path", "header")]
    name = ".".join(where)[:100].encode("ascii", "replace").decode()
    text = str(first.get("msg", "not understood"))[:200].encode("ascii", "replace").decode()
    return problem(400, "bad-request", f"{name or 'request'}: {text[:1].lower()}{text[1:]}")


async def on_http_error(request: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, HTTPException)
    if fault.status_code == 413:
        return _too_large()
    if fault.status_code == 404 and request.app.state.public:
        return problem(404, "public-node", "this is a public node: it has no owner and no mailbox")
    code = {404: "no-such-route", 405: "no-such-method"}.get(fault.status_code, "bad-request")
    return problem(fault.status_code, code, _WORDS.get(fault.status_code, "not understood"))


async def on_unforeseen(request: Request, fault: Exception) -> JSONResponse:
    """Logged by Guard, which sees it too."""
    return problem(500, "internal", "something went wrong inside the node", "its log says more")


class BrokenOff(NodeError):  # noqa: N818 - what happened
    """An answer of which a part was sent and no more comes."""


class Guard:
    """Around the whole application: bounds a request's body, and answers what nobody foresaw. An answer that
    breaks off is raised as BrokenOff: nobody may take it for whole.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = sys.maxsize if scope["path"] == UPLOAD else MAX_BODY
        if _announced(scope) > most:
            await _too_large()(scope, receive, send)
            return
        taken, begun, ended = 0, False, False

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal begun, ended
            begun, ended = True, message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await self._app(scope, bounded, watched)
        except Exception as caught:  # noqa: BLE001 - a task's boundary: logged, and the node goes on
            fault = _alone(caught)
            if isinstance(fault, ClientDisconnect):  # there is nobody left to be answered
                return
            if begun and not ended:
                raise _broken_off(scope, fault) from None
            _log(scope, fault)
            if not begun:
                response = await on_unforeseen(Request(scope), fault)
                await response(scope, receive, send)


def _broken_off(scope: Scope, fault: Exception) -> BrokenOff:
    """What a foreseeable fault says; of another the log."""
    if isinstance(fault, NodeError):
        return BrokenOff(fault.code, fault.text, fault.remedy)
    _log(scope, fault)
    return BrokenOff("answer", "the node's answer broke off", "its log says why")


def _announced(scope: Scope) -> int:
    """How many bytes the request says that it has; 0 where it does not say."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) < 20 else 0


def _too_large() -> JSONResponse:
    return problem(413, "too-large", "the request is too large")


class _TooLarge(HTTPException):
    """More bytes than a request may have."""

    def __init__(self) -> None:
        super().__init__(413)


def _alone(fault: Exception) -> Exception:
    """The one fault in groups that hold no other."""
    while isinstance(fault, ExceptionGroup) and len(fault.exceptions) == 1:
        fault = fault.exceptions[0]
    return fault


def _log(scope: Scope, fault: Exception) -> None:
    # Where it happened, and not what it says: an exception's text may quote a letter.
    places = "".join(traceback.format_tb(fault.__traceback__))
    log.error("%s %s failed: %s at\n%s", scope["method"], scope["path"], type(fault).__name__, places)
