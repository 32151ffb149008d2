"""HTTPS: whether our listener answers, and whether others find the MTA-STS policy of a domain of ours. It is
fetched as they do (RFC 8461 §3.3).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Final

import trio

from node.doctor.ground import Ask
from node.doctor.ports import place_of
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


FAULTS: Final = (OSError, trio.BrokenResourceError, trio.TooSlowError, RemoteProtocolError)
"""What a fetch can come to."""


class _Failed(Exception):  # noqa: N818 - what came of it
    """In words."""


def https(where: str | None) -> Ask:
    """Whether our own listener answers; `where` is host:port, None where it is not open."""

    async def look() -> Sequence[Check]:
        if where is None:
            text = "nothing is served by HTTPS: it takes a certificate, and http.host"
            return [Check("https", "skip", text, f"see: {GUIDE}")]
        anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # its certificate is looked at elsewhere
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        host, port = place_of(where)
        try:
            with trio.fail_after(FETCH_S):
                await _get(host, port, "localhost", anyone)
        except (_Failed, *FAULTS) as fault:
            text = f"HTTPS is served at {where}, but does not answer: {_reason(fault)}"
            return [Check("https", "fail", text, "start the node anew")]
        return [Check("https", "ok", f"HTTPS is served at {where}")]

    return look


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
    except (_Failed, *FAULTS) as fault:
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
    status, body = await _get(addresses[0], port, host, tls)
    if status != b"200":
        raise _Failed("its server has no policy there")
    return body


async def _get(address: str, port: int, host: str, tls: ssl.SSLContext) -> tuple[bytes, bytes]:
    """Status and content of what is at PATH. Raises _Failed and FAULTS."""
    plain = await trio.open_tcp_stream(address, port)
    async with trio.SSLStream(plain, tls, server_hostname=host, https_compatible=True) as stream:
        request = f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        await stream.send_all(request.encode())
        data = b""
        while more := await stream.receive_some(65_536):
            data += bytes(more)
            if len(data) > MAX_POLICY + MAX_HEAD:
                raise _Failed("it is too large")
    head, _, body = data.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if not words[0].startswith(b"HTTP/") or len(words) < 2:
        raise _Failed("what answers is no web server")
    return words[1], body


def _reason(fault: BaseException) -> str:
    if isinstance(fault.__cause__, ssl.SSLCertVerificationError):
        return f"its certificate: {fault.__cause__.verify_message}"
    if isinstance(fault, trio.TooSlowError):
        return "it does not answer in time"
    if isinstance(fault, OSError):
        return fault.strerror or "it can't be reached"
    return str(fault) or "the connection broke off"
