"""The messages of libp2p's Kademlia (specs/kad-dht) that we speak: bytes to records and back. No
tables, no network.
"""

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from libp2p.kad_dht.pb.kademlia_pb2 import Message

from node.network.addresses import PeerAddress, Scope, from_bytes, to_bytes
from node.network.limits import MAX_RECORD, K
from protocol.errors import RemoteProtocolError
from protocol.peers import is_peer_id

PUT_VALUE: Final = 0
GET_VALUE: Final = 1
FIND_NODE: Final = 4
PING: Final = 5

MAX_KEY: Final = 128
"""Bytes of a key: ours have 50, a peer id 38."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one peer asks another."""

    type: int
    key: bytes
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What it answers: a value where it has one, and peers that are closer to the key."""

    type: int
    key: bytes
    value: bytes = b""
    closer: tuple[PeerAddress, ...] = ()


def encode_question(question: Question) -> bytes:
    """The bytes of a question."""
    message = Message(type=Message.MessageType.Name(question.type), key=question.key)
    if question.type == PUT_VALUE:
        message.record.key, message.record.value = question.key, question.value
    return message.SerializeToString()


def encode_answer(answer: Answer, scope: Scope) -> bytes:
    """The bytes of an answer to one that is as near as `scope`."""
    message = Message(type=Message.MessageType.Name(answer.type), key=answer.key)
    if answer.value:
        message.record.key, message.record.value = answer.key, answer.value
    for peer in answer.closer:
        addrs = to_bytes(peer.addrs, scope)
        if addrs:
            message.closerPeers.add(id=peer.peer_id, addrs=addrs)
    return message.SerializeToString()


def parse_question(data: bytes) -> Question:
    """A question from a stranger. Raises RemoteProtocolError."""
    message = _parse(data)
    value = message.record.value if message.type == PUT_VALUE else b""
    if message.type == PUT_VALUE and message.record.key != message.key:
        raise RemoteProtocolError("a record whose key is not the message's")
    if len(value) > MAX_RECORD:
        raise RemoteProtocolError("a record over 8 KiB")
    return Question(message.type, message.key, value)


def parse_answer(data: bytes, scope: Scope) -> Answer:
    """An answer of one that is as near as `scope`. Raises RemoteProtocolError."""
    message = _parse(data)
    value = message.record.value if message.HasField("record") else b""
    if len(value) > MAX_RECORD:
        raise RemoteProtocolError("a record over 8 KiB")
    peers = [
        PeerAddress(peer.id, from_bytes(peer.addrs, scope))
        for peer in message.closerPeers[:K]
        if is_peer_id(peer.id)
    ]
    return Answer(message.type, message.key, value, tuple(peers))


def _parse(data: bytes) -> Message:
    message = Message()
    try:
        message.ParseFromString(data)
    except (DecodeError, ValueError) as error:
        raise RemoteProtocolError("malformed Kademlia message") from error
    if len(message.key) > MAX_KEY:
        raise RemoteProtocolError("a Kademlia key over 128 bytes")
    return message
