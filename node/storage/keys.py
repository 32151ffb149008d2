"""The database key: made once, kept in a file of its own, locked by a passphrase if the owner wants one.
What is sealed with it is others' business.
"""

import os
import unicodedata
from dataclasses import dataclass
from typing import Final

import trio
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
)
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from node.runtime.errors import NodeError
from node.runtime.home import Home, read_private, write_private
from node.storage.errors import StoreError, StoreUnavailable
from protocol.cbor import Value, decode, encode
from protocol.errors import RemoteProtocolError
from protocol.kdf import kdf

KEY_SIZE: Final = 32
NONCE_SIZE: Final = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

MEMORY: Final = argon2id.MEMLIMIT_INTERACTIVE
"""64 MiB (architecture.md): what a Raspberry Pi with 2 GB can spare while the node starts."""

PASSES: Final = 4
"""Passes over that memory: about 0.2 s a try, twice libsodium's interactive setting."""

MAX_PASSPHRASE: Final = 1024
"""Characters; more is a wrong file, not a passphrase."""


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseKey:
    """Three keys from one secret, so that values, files and index hashes can't stand for each other."""

    values: bytes
    files: bytes
    hashes: bytes

    @classmethod
    def derive(cls, secret: bytes) -> "DatabaseKey":
        return cls(
            kdf(secret, "database-values"), kdf(secret, "database-files"), kdf(secret, "database-index")
        )

    def seal(self, context: bytes, data: bytes) -> bytes:
        """Encrypt what stands in a file beside the database; `context` says which it is."""
        return _seal(self.files, context, data)

    def open(self, context: bytes, data: bytes) -> bytes:
        """What `seal` sealed in that context. Raises NodeError."""
        try:
            return _open(self.files, context, data)
        except CryptoError as error:
            text = f"the {context.decode(errors='replace')} file is damaged or belongs to another key"
            raise NodeError("sealed-file", text, "restore it from a backup") from error

    def seal_value(self, key: bytes, data: bytes) -> bytes:
        """Encrypt a value for its place in the database."""
        return _seal(self.values, key, data)

    def open_value(self, key: bytes, data: bytes) -> bytes:
        """The value at this place. Raises StoreUnavailable if it is not what was put there."""
        try:
            return _open(self.values, key, data)
        except CryptoError as error:
            raise StoreUnavailable(
                "store-damaged", "a record in the database is damaged", "restore a backup"
            ) from error

    def index(self, context: str, data: bytes) -> bytes:
        """16 bytes that stand for `data` in a key and tell nothing of it without this key."""
        return kdf(self.hashes, context, data)[:16]


async def create_key(home: Home, passphrase: str | None) -> DatabaseKey:
    """Make the key of a new home and write its file. Raises NodeError, also when there is one."""
    if home.key_file.exists():
        raise StoreError("key-exists", f"{home.key_file} is there already", "choose another --home")
    secret = os.urandom(KEY_SIZE)
    if passphrase is None:
        write_private(home.key_file, encode({"version": 1, "key": secret}))
    else:
        salt = os.urandom(argon2id.SALTBYTES)
        lock = await _lock_key(passphrase, salt, PASSES, MEMORY)
        sealed = _seal(lock, b"database key", secret)
        fields: dict[str, Value] = {
            "version": 1,
            "salt": salt,
            "passes": PASSES,
            "memory": MEMORY,
            "sealed": sealed,
        }
        write_private(home.key_file, encode(fields))
    return DatabaseKey.derive(secret)


def is_locked(home: Home) -> bool:
    """Whether a passphrase is needed. Raises NodeError if the key file is missing or damaged."""
    return "sealed" in _read_key_file(home)


async def unlock(home: Home, passphrase: str | None) -> DatabaseKey:
    """The key of this home. Raises NodeError: no file, damaged, passphrase missing, wrong or not used."""
    match _read_key_file(home):
        case {"version": 1, "key": bytes(secret)} if len(secret) == KEY_SIZE:
            if passphrase is not None:
                text = "this node's key has no passphrase, but one was given"
                raise StoreError("passphrase-unused", text, "start without --passphrase-file")
            return DatabaseKey.derive(secret)
        case {
            "version": 1,
            "salt": bytes(salt),
            "passes": int(passes),
            "memory": int(memory),
            "sealed": bytes(sealed),
        } if len(salt) == argon2id.SALTBYTES and 0 < passes <= 64 and 8192 <= memory <= 1 << 30:
            if passphrase is None:
                text = "this node's key is locked by a passphrase"
                raise StoreError("passphrase-needed", text, "type it, or use --passphrase-file")
            lock = await _lock_key(passphrase, salt, passes, memory)
            try:
                return DatabaseKey.derive(_open(lock, b"database key", sealed))
            except CryptoError as error:
                raise StoreError("passphrase-wrong", "the passphrase is wrong", "try again") from error
    raise _damaged(home)


def _read_key_file(home: Home) -> dict[str, object]:
    try:
        fields = decode(read_private(home.key_file))
    except FileNotFoundError as error:
        if home.database.exists():
            text = f"{home.key_file} is gone: without it the database can't be read"
            raise StoreError("key-missing", text, "put it back, or restore a backup") from error
        raise StoreError(
            "no-home", f"there is no node in {home.path}", "make one with: mailio init"
        ) from error
    except RemoteProtocolError as error:
        raise _damaged(home) from error
    if not isinstance(fields, dict):
        raise _damaged(home)
    return fields


def _damaged(home: Home) -> StoreError:
    text = f"{home.key_file} is damaged, or of a newer version"
    return StoreError("key-damaged", text, "put the right file back, or restore a backup")


async def _lock_key(passphrase: str, salt: bytes, passes: int, memory: int) -> bytes:
    """The key that a passphrase stands for; the same however its characters were composed."""
    if not 0 < len(passphrase) <= MAX_PASSPHRASE:
        text = f"a passphrase has 1 to {MAX_PASSPHRASE} characters"
        raise StoreError("passphrase-length", text, "choose another")
    password = unicodedata.normalize("NFC", passphrase).encode()
    return await trio.to_thread.run_sync(argon2id.kdf, KEY_SIZE, password, salt, passes, memory)


def _seal(key: bytes, context: bytes, data: bytes) -> bytes:
    nonce = os.urandom(NONCE_SIZE)
    sealed: bytes = crypto_aead_xchacha20poly1305_ietf_encrypt(data, context, nonce, key)
    return nonce + sealed


def _open(key: bytes, context: bytes, data: bytes) -> bytes:
    """Raises CryptoError."""
    nonce = data[:NONCE_SIZE]
    if len(nonce) < NONCE_SIZE:
        raise CryptoError("cut short")
    opened: bytes = crypto_aead_xchacha20poly1305_ietf_decrypt(data[NONCE_SIZE:], context, nonce, key)
    return opened
