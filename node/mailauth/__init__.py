"""Who a message is from, as DKIM, SPF and DMARC tell; signing. Consent is asked elsewhere.

Names are loaded when first asked for: the worker process needs `verify` alone, without trio and the DNS.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.mailauth.alignment import aligned
    from node.mailauth.judgement import Dmarc, Hop, Judgement, Proof, Spf
    from node.mailauth.provider import provider_results
    from node.mailauth.results import authentication_results, without_results
    from node.mailauth.room import MailAuth, Names
    from node.mailauth.signing import Signer, sign_message

_MODULES = {
    "Dmarc": "judgement",
    "Hop": "judgement",
    "Judgement": "judgement",
    "MailAuth": "room",
    "Names": "room",
    "Proof": "judgement",
    "Signer": "signing",
    "Spf": "judgement",
    "aligned": "alignment",
    "authentication_results": "results",
    "provider_results": "provider",
    "sign_message": "signing",
    "without_results": "results",
}

__all__ = [
    "Dmarc",
    "Hop",
    "Judgement",
    "MailAuth",
    "Names",
    "Proof",
    "Signer",
    "Spf",
    "aligned",
    "authentication_results",
    "provider_results",
    "sign_message",
    "without_results",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
