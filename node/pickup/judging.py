"""Who a fetched letter is from: what its provider found out when the letter came, else what its signatures
prove now. Who sent it to the provider can't be seen here, so SPF is the provider's to check.
"""

from __future__ import annotations

from node.mailauth import Dmarc, Judgement, MailAuth, Spf, provider_results


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
        proof = await self._mailauth.prove(raw)
        return Judgement(proof, Spf("none", ""), Dmarc("none", "", "none"))
