"""Noise's packets, cut from what the socket has. What is in them is Noise's and Yamux's.

Upstream (0.8.1) asks the socket for the two bytes of a length, then for the packet, and each time waits for
trio's scheduler twice: a sixth of what receiving a file cost.
"""

from typing import Final, cast

import trio
from libp2p.abc import ISecureConn
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import IncompleteReadError
from libp2p.security.noise.io import SIZE_NOISE_MESSAGE_LEN, BaseNoiseMsgReadWriter, NoisePacketReadWriter

READ_AHEAD: Final = 131_072
"""Bytes asked of a socket at once: two packets of the largest kind."""


class Packets(NoisePacketReadWriter):
    """Packets of one connection, of which one task reads."""

    def __init__(self, socket: ReadWriteCloser) -> None:
        super().__init__(socket)
        self._held = bytearray()

    async def read_msg(self) -> bytes:
        """The next packet. Raises IncompleteReadError where the connection ends before it is complete."""
        if self._complete:
            await trio.lowlevel.checkpoint()  # who sends many small ones must not keep others from working
        while not self._complete:
            data = await self.read_write_closer.read(READ_AHEAD)
            if not data:
                raise IncompleteReadError("the connection ended", received_bytes=len(self._held))
            self._held += data
        end = self._end
        with memoryview(self._held) as held:  # a slice of the buffer itself would be one more copy
            packet = bytes(held[SIZE_NOISE_MESSAGE_LEN:end])
        del self._held[:end]
        return packet

    @property
    def _end(self) -> int:
        """Where the first packet ends, once its length is here."""
        return SIZE_NOISE_MESSAGE_LEN + int.from_bytes(self._held[:SIZE_NOISE_MESSAGE_LEN])

    @property
    def _complete(self) -> bool:
        return len(self._held) >= SIZE_NOISE_MESSAGE_LEN and len(self._held) >= self._end


def read_ahead(secured: ISecureConn) -> None:
    """Have what arrives on this connection read so."""
    noise = cast(BaseNoiseMsgReadWriter, getattr(secured, "conn"))  # noqa: B009 - no part of the interface
    noise.read_writer = Packets(noise.read_writer.read_write_closer)
