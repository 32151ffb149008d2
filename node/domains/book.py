"""A domain as it is kept, and what becomes of its keys. Each change gives another Domain."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from node.domains.keys import ALGORITHMS, DkimKey, new_selector
from protocol.cbor import Value
from protocol.email import MAX_DOMAIN
from protocol.fields import Fields

MAX_SECRET = 4_096
"""Bytes of a private key; one of RSA with 2,048 bits has 1,220."""


@dataclass(frozen=True, slots=True)
class Domain:
    """`kept` by a command, or made since the settings name it. `host` is the name by which others reach the
    server that takes its mail. `added` in Unix ms; keys in the order in which they were made.
    """

    name: str
    host: str
    kept: bool
    added: int
    keys: tuple[DkimKey, ...] = ()

    @property
    def alive(self) -> tuple[DkimKey, ...]:
        """Keys that sign or may come to it."""
        return tuple(key for key in self.keys if not key.retired)

    @property
    def waiting(self) -> tuple[DkimKey, ...]:
        return tuple(key for key in self.alive if not key.used)

    def with_keys(self, keys: Sequence[DkimKey], now: int) -> "Domain":
        """With new ones, each named by its day, and without those that need not be published any more."""
        kept = [key for key in self.keys if key.state(now) != "remove"]
        for key in keys:
            taken = {one.selector for one in kept}
            kept.append(replace(key, selector=new_selector(key.algorithm, now, taken)))
        return replace(self, keys=tuple(kept))

    def with_used(self, selectors: Collection[str], now: int, *, forced: bool = False) -> "Domain":
        """Signing with these from now on: what they replace is retired, and its secret forgotten."""
        keys = tuple(
            replace(key, used=now, forced=forced)
            if key in self.waiting and key.selector in selectors
            else key
            for key in self.keys
        )
        newest = {key.algorithm: n for n, key in enumerate(keys) if key.used and not key.retired}
        return replace(
            self,
            keys=tuple(
                replace(key, retired=now, secret=b"")
                if not key.retired and n < newest.get(key.algorithm, 0)
                else key
                for n, key in enumerate(keys)
            ),
        )


def write(domain: Domain) -> dict[str, Value]:
    """As the store has it."""
    return {
        "name": domain.name,
        "host": domain.host,
        "kept": domain.kept,
        "added": domain.added,
        "keys": [
            {
                "selector": key.selector,
                "algorithm": key.algorithm,
                "public": key.public,
                "secret": key.secret,
                "made": key.made,
                "used": key.used,
                "retired": key.retired,
                "forced": key.forced,
            }
            for key in domain.keys
        ],
    }


def read(value: Value) -> Domain:
    """What `write` made."""
    fields = Fields(value, "domain")
    keys = fields.value("keys")
    assert isinstance(keys, list)
    return Domain(
        fields.text("name", MAX_DOMAIN),
        fields.text("host", MAX_DOMAIN),
        fields.value("kept") is True,
        fields.int("added"),
        tuple(_read_key(Fields(key, "DKIM key")) for key in keys),
    )


def _read_key(fields: Fields) -> DkimKey:
    algorithm = fields.text("algorithm")
    assert algorithm in ALGORITHMS
    return DkimKey(
        fields.text("selector"),
        algorithm,
        fields.bytes("public", most=MAX_SECRET),
        fields.bytes("secret", most=MAX_SECRET),
        fields.int("made"),
        fields.int("used"),
        fields.int("retired"),
        fields.value("forced") is True,
    )
