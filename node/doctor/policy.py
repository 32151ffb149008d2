"""Whether others find the MTA-STS policy of a domain of ours: it is fetched as they do (RFC 8461 §3.3)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Final

import trio

from node.doctor.ground import Ask
from node.doctor.zone import Names, addresses_of
from node.runtime.rooms import Check
from protocol.errors import RemoteProtocolError
from protocol.mtasts import MAX_POLICY, PATH, Policy, parse_policy, policy_host

FETCH_S: Final = 8.0
"""Seconds for all of it: within a look's."""

MAX_HEAD: Final = 16_384
"""Bytes before the policy."""

PORT: Final = 443

GUIDE: Final = "docs/operating.md, MTA-STS"


class _Failed(Exception):  # noqa: N818 - what came of it
    """In words."""


def policy(
    names: Names,
    domain: str,
    wanted: Callable[[], Policy | None],
    *,
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    port: int = PORT,
) -> Ask:
    """`wanted` is what this node serves, None where it serves none. `tls` says whom to trust."""

    async def look() -> Sequence[Check]:
        if (ours := wanted()) is None:
            text = "no policy is served: others bring mail unencrypted if somebody between wants it"
            return [Check("mta-sts-policy", "skip", text, f"see: {GUIDE}")]
        return [await _compared(names, domain, ours, await trio.to_thread.run_sync(tls), port)]

    return look


async def _compared(names: Names, domain: str, ours: Policy, tls: ssl.SSLContext, port: int) -> Check:
    host = policy_host(domain)
    remedy = f"send port {port} of {host} on to http.port, with a certificate that names it ({GUIDE})"
    try:
        with trio.fail_after(FETCH_S):
            found = parse_policy(await _fetch(names, host, tls, port))
    except (_Failed, OSError, trio.BrokenResourceError, trio.TooSlowError, RemoteProtocolError) as fault:
        text = f"https://{host}{PATH} can't be fetched from here: {_reason(fault)}"
        return Check("mta-sts-policy", "warn", text, remedy)
    if found != ours:
        text = f"https://{host}{PATH} is another policy: {found.mode}, {', '.join(found.mx)}"
        return Check("mta-sts-policy", "warn", text, remedy)
    if ours.mode == "testing":
        text = "others find it, but only report while smtp.sts is testing"
        return Check("mta-sts-policy", "ok", text, "once all here is ok: mailio config set smtp.sts enforce")
    return Check("mta-sts-policy", "ok", "others find it, and insist on TLS")


async def _fetch(names: Names, host: str, tls: ssl.SSLContext, port: int) -> bytes:
    addresses = await addresses_of(names, host)
    if not addresses:
        raise _Failed("it has no address")
    plain = await trio.open_tcp_stream(addresses[0], port)
    async with trio.SSLStream(plain, tls, server_hostname=host, https_compatible=True) as stream:
        request = f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        await stream.send_all(request.encode())
        data = b""
        while more := await stream.receive_some(65_536):
            data += bytes(more)
            if len(data) > MAX_POLICY + MAX_HEAD:
                raise _Failed("it is too large")
    head, _, body = data.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        raise _Failed("its server has no policy there")
    return body


def _reason(fault: BaseException) -> str:
    if isinstance(fault.__cause__, ssl.SSLCertVerificationError):
        return f"its certificate: {fault.__cause__.verify_message}"
    if isinstance(fault, trio.TooSlowError):
        return "it does not answer in time"
    if isinstance(fault, OSError):
        return fault.strerror or "it can't be reached"
    return str(fault) or "the connection broke off"
