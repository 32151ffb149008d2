import pickle

from node.runtime.errors import NodeError, UsageError


def test_an_error_shows_the_way_out() -> None:
    assert (
        str(NodeError("disk", "the disk is full", "free some space")) == "the disk is full (free some space)"
    )
    assert str(NodeError("disk", "the disk is full")) == "the disk is full"


def test_exit_codes() -> None:
    assert (NodeError("a", "b").exit_code, UsageError("a", "b").exit_code) == (1, 2)


def test_survives_the_way_back_from_the_worker() -> None:
    error = pickle.loads(pickle.dumps(UsageError("code", "text", "remedy")))
    assert (type(error), error.code, error.text, error.remedy) == (UsageError, "code", "text", "remedy")
