"""Who a fetched letter is from: what its provider found out when the letter came, else what its signatures
prove now. Who sent it to the provider can't be seen here, so SPF is the provider's to check.
"""

from __future__ import annotations

from typing import Final

from node.mailauth import Hop, Judgement, MailAuth, provider_results

UNKNOWN: Final = Hop("", "", "")
"""Who brought it there."""


class Judge:
    """Asked for each letter."""

    def __init__(self, mailauth: MailAuth) -> None:
        self._mailauth = mailauth

    async def __call__(self, raw: bytes, authserv_ids: frozenset[str]) -> Judgement:
        """`authserv_ids`: whose Authentication-Results are believed, nobody's where it is empty."""
        if authserv_ids:
            found = provider_results(raw, authserv_ids)
            if found.results:
                return found
        return await self._mailauth.judge(raw, UNKNOWN, "")
