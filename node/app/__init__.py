"""Opens a list of rooms in one nursery in order, fits them to each other, closes them in reverse.

Imports its parts when they are asked for: a command on a closed store must not load libp2p.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.app.desk import open_desk
    from node.app.node import run_node

__all__ = ["open_desk", "run_node"]


def __getattr__(name: str) -> Any:
    if name == "open_desk":
        from node.app.desk import open_desk

        return open_desk
    if name == "run_node":
        from node.app.node import run_node

        return run_node
    raise AttributeError(name)
