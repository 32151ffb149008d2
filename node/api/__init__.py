"""The node's own API: what commands and pages ask of it, over a Unix socket or in the same process.

Translates JSON to the rooms and back, and decides nothing itself.
"""

from node.api.app import make_api, make_public_api
from node.api.desk import Base, Desk
from node.api.serve import serve_api

__all__ = ["Base", "Desk", "make_api", "make_public_api", "serve_api"]
