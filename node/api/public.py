"""What everyone may ask of this node by HTTPS: the MTA-STS policy of its owner's domains (RFC 8461 §3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from protocol.email import normal_domain
from protocol.errors import RemoteProtocolError
from protocol.mtasts import PATH, Policy, format_policy, policy_host

PREFIX: Final = policy_host("")

Policies = Callable[[str], Policy | None]
"""The policy of a domain; None where it is not the owner's."""


def make_public_web(policies: Policies) -> Starlette:
    """The application. What it does not know is 404, whoever asks for it."""

    async def policy(request: Request) -> Response:
        found = policies(_domain_of(request.headers.get("host", "")))
        if found is None:
            return _nothing()
        return Response(format_policy(found), media_type="text/plain")

    async def nothing(_: Request, __: Exception) -> Response:
        return _nothing()

    app = Starlette(routes=[Route(PATH, policy)], exception_handlers={404: nothing, 405: nothing})
    app.router.redirect_slashes = False
    return app


def _domain_of(host: str) -> str:
    """Whose policy a Host field asks for; "" for nobody's."""
    name = host.partition(":")[0].lower()
    try:
        return normal_domain(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else ""
    except RemoteProtocolError:
        return ""


def _nothing() -> Response:
    return PlainTextResponse("Not found\n", 404)
