from tests.kit.on_street import pytest_collection_modifyitems, street

__all__ = ["pytest_collection_modifyitems", "street"]
