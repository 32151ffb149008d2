"""Kademlia's questions and answers over channels. What they mean is kad.py's."""

import trio

from node.network.addresses import PeerAddress, Scope
from node.network.channel import Channel
from node.network.channels import Channels
from node.network.connections import Connections
from node.network.errors import PeerUnreachable
from node.network.kad import PROTOCOL, Kademlia
from node.network.kad_wire import (
    Answer,
    Question,
    encode_answer,
    encode_question,
    parse_answer,
    parse_question,
)
from node.network.limits import MAX_KAD_FRAME, MAX_QUESTION, QUERY_TIMEOUT


class KadChannel:
    """Asks one peer, or answers one; how near it is says which addresses are told and believed."""

    def __init__(self, channels: Channels, connections: Connections) -> None:
        self._channels, self._connections = channels, connections

    async def ask(self, peer: PeerAddress, question: Question) -> Answer:
        """One question to one server, within QUERY_TIMEOUT in all. Raises NetworkError,
        RemoteProtocolError.
        """
        try:
            with trio.fail_after(QUERY_TIMEOUT):
                async with self._channels.channel(
                    peer, PROTOCOL, max_frame=MAX_KAD_FRAME, deadline=QUERY_TIMEOUT
                ) as channel:
                    await channel.send(encode_question(question))
                    return parse_answer(await channel.receive(), self._scope(peer.peer_id))
        except trio.TooSlowError:
            self._connections.doubt(peer.peer_id)
            raise PeerUnreachable("the node did not answer in time") from None

    async def answer(self, kad: Kademlia, channel: Channel) -> None:
        """Answer questions on one stream until it ends."""
        while True:
            question = parse_question(await channel.receive(MAX_QUESTION))
            answer = await kad.handle(question, channel.peer_id)
            await channel.send(encode_answer(answer, self._scope(channel.peer_id)))

    def _scope(self, peer_id: bytes) -> Scope:
        remote = self._connections.get(peer_id)
        return remote.scope if remote else Scope.PUBLIC
