"""Puts the routes together into one application, for the socket or for a call in the same process."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

import node
from node.api import (
    attachments,
    contacts,
    doctor,
    domains,
    files,
    folders,
    handshakes,
    hosts,
    letters,
    local,
    outbox,
    providers,
    secret,
    status,
    users,
)
from node.api.desk import Base, Desk
from node.api.problem import (
    Guard,
    on_bad_request,
    on_http_error,
    on_node_error,
    on_protocol_error,
    on_unforeseen,
)
from node.runtime.errors import NodeError
from protocol.errors import ProtocolError

PREFIX: Final = "/api/v1"


def make_api(desk: Desk) -> ASGIApp:
    """The API of an owner's node."""
    app = _application(desk)
    for room in (folders, letters, attachments, handshakes, contacts, outbox, users):
        app.include_router(room.routes(desk), prefix=PREFIX)
    for local_room in (
        local.owner_routes,
        files.routes,
        secret.routes,
        hosts.routes,
        domains.routes,
        providers.routes,
    ):
        app.include_router(local_room(desk), prefix="/local")
    return Guard(app)


def make_public_api(base: Base) -> ASGIApp:
    """The API of a node that serves others and has no owner."""
    return Guard(_application(base))


def _application(base: Base) -> FastAPI:
    handlers: dict[int | type[Exception], Any] = {
        NodeError: on_node_error,
        ProtocolError: on_protocol_error,
        RequestValidationError: on_bad_request,
        HTTPException: on_http_error,
        Exception: on_unforeseen,
    }
    app = FastAPI(
        title="Mailio node",
        version=node.__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # the usual page loads its scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect has no body, and every answer here has our form
        exception_handlers=handlers,
    )
    app.state.public = not isinstance(base, Desk)
    app.include_router(status.routes(base), prefix=PREFIX)
    app.include_router(local.routes(base), prefix="/local")
    app.include_router(doctor.routes(base), prefix="/local")
    app.include_router(hosts.hosting_routes(base), prefix="/local")
    return app
