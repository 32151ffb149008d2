"""The node's own API: what commands and pages ask of it, over a Unix socket or in the same process.

Translates JSON to the rooms and back, and decides nothing itself.
"""

from node.api.app import make_api, make_public_api
from node.api.desk import Base, Desk, Examine, Tell
from node.api.https import Https, open_https
from node.api.public import make_public_web
from node.api.serve import serve_api

__all__ = [
    "Base",
    "Desk",
    "Examine",
    "Https",
    "Tell",
    "make_api",
    "make_public_api",
    "make_public_web",
    "open_https",
    "serve_api",
]
