"""A slice of the search for a birth stamp, as the worker process runs it. When it runs is publish.py's."""

from protocol.stamps import NONCE_BYTES, verify_birth


def search_some_births(public_key: bytes, first: int, tries: int) -> bytes | None:
    """The birth nonce of this key among `tries` numbers from `first` on; about 13 ms a try."""
    nonces = (number.to_bytes(NONCE_BYTES, "big") for number in range(first, first + tries))
    return next((nonce for nonce in nonces if verify_birth(public_key, nonce)), None)
