"""Who a message was signed by (DKIM), and whether that proves its author; signing. Consent is asked
elsewhere.

Names are loaded when first asked for: the worker process needs `verify` alone, without trio and the DNS.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.mailauth.alignment import aligned
    from node.mailauth.room import MailAuth, Names, Proof
    from node.mailauth.signing import Signer, sign_message

_MODULES = {
    "MailAuth": "room",
    "Names": "room",
    "Proof": "room",
    "Signer": "signing",
    "aligned": "alignment",
    "sign_message": "signing",
}

__all__ = ["MailAuth", "Names", "Proof", "Signer", "aligned", "sign_message"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
