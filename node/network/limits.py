"""Every bound of the network room with its unit and its reason. No code lives here."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# Connections

MAX_CONNECTIONS: Final = 512
"""Connections in all: each costs about 60 KB and a file descriptor (1,024 is a common limit)."""
MAX_CONNECTIONS_PER_BLOCK: Final = 32
"""Inbound connections from one /24 or /48: a household or an office, not a farm."""
MAX_CONNECTIONS_PER_PEER: Final = 3
"""Two when both dial at once, and one that replaces a dead one."""
MAX_HANDSHAKES: Final = 64
"""Inbound connections that have not proved who they are yet; a handshake costs 5 ms of CPU."""
MAX_HANDSHAKES_PER_BLOCK: Final = 16
"""So that one block cannot take all the handshakes there are."""
HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for Noise and Yamux together; a slow mobile link needs three."""
DIAL_TIMEOUT: Final = 5.0
"""Seconds for one address, from SYN to a working connection."""
CONNECT_TIMEOUT: Final = 10.0
"""Seconds for all addresses of a peer together."""
IDENTIFY_WAIT: Final = 2.0
"""Seconds that `connect` waits for a peer to say who it is; the connection stands without it."""
DIAL_STAGGER: Final = 0.25
"""Seconds between the starts of dials to the addresses of one peer (RFC 8305 §5)."""
MAX_ADDRS: Final = 8
"""Addresses believed of one peer; more is noise, or a way to make us dial strangers."""
CLOSE_TIMEOUT: Final = 2.0
"""Seconds for closing politely before it is done anyway."""

# Streams and channels

WINDOW: Final = 256 * KIB
"""Bytes in flight on one stream: Yamux's initial window, grown for blocks that we asked for alone. A peer
that sends more is disconnected, so what it can make us hold is bounded."""
MAX_BUFFERED_PER_CONNECTION: Final = 8 * MIB
"""Unread bytes on one connection, all streams together; 32 full windows."""
MAX_BUFFERED: Final = 32 * MIB
"""Unread bytes over all connections: four times what 32 letters that arrive at once need."""
MAX_STREAMS_PER_PEER: Final = 64
"""Inbound streams open at once from one peer. A busy one of ours keeps some ten."""
MAX_STREAMS_PER_BLOCK: Final = 256
"""The same from one /24 or /48: peer ids are free, so sixteen of them must not take all streams."""
MAX_STREAMS: Final = 1_024
"""Inbound streams open at once in all; each is a task of a few KB."""
NEGOTIATION_TIMEOUT: Final = 5
"""Seconds to agree on a stream's protocol."""
WRITE_TIMEOUT: Final = 15.0
"""Seconds that a peer may leave our bytes unread before the connection ends."""
SERVED_IDLE: Final = 300.0
"""Seconds that a stream may rest between two requests. Longer than POOL_IDLE, so that the asker,
who knows, closes first."""
POOL_IDLE: Final = 120.0
"""Seconds after which an unused stream to a peer is closed."""
ONE_WAY_IDLE: Final = 5.0
"""The same where nothing is answered: Helia resets a stream on which it hears nothing for ten seconds, and
who writes on it at that moment does not learn that nobody reads."""
POOL_STREAMS: Final = 8
"""Streams kept open for one peer and protocol."""
READ_CHUNK: Final = 64 * KIB
"""Bytes asked of a stream at once: one Yamux frame."""
FIRST_USE_BYTES: Final = 64 * KIB
"""What is remembered of a request on a pooled stream, to send it again when that stream was dead."""
SWEEP: Final = 30.0
"""Seconds between two looks for streams that rest for too long."""

# A peer that does not answer

PROBE_AFTER: Final = 5.0
"""Seconds without a sign of life after which a connection is pinged before it is used."""
PROBE_TIMEOUT: Final = 1.5
"""Seconds for that ping; a satellite link takes 0.8."""
KEEPALIVE: Final = 60.0
"""Seconds between pings on an idle connection: 30 bytes a minute, below any NAT's forgetting."""
KEEPALIVE_TIMEOUT: Final = 10.0
"""Seconds for the answer to one of those."""

# Faults

FAULTS_PER_PEER: Final = 10
"""Faults in FAULT_WINDOW after which a peer is sent away."""
FAULTS_PER_BLOCK: Final = 100
"""The same for an address block: identities are free, addresses less so."""
FAULT_WINDOW: Final = 600.0
"""Seconds in which faults add up."""
REFUSAL: Final = 600.0
"""Seconds for which a peer or block that was sent away is refused."""
MAX_REMEMBERED: Final = 4_096
"""Peers, and blocks, whose faults are remembered; the oldest is forgotten first."""

MAX_COUNTERS: Final = 128
"""Names of counters; there are some thirty. What comes after them is counted as `fault:other`."""

# Bodies (protocol §8)

MAX_BODIES: Final = 32
"""Letter bodies arriving at once: 32 MiB at most."""
RESERVED_BODIES: Final = 4
"""Of those, kept for accepted senders."""
MAX_BODIES_PER_BLOCK: Final = 8
"""Of those, for senders not accepted from one address block."""
MAX_BODIES_PER_SENDER: Final = 12
"""Of those, for one accepted sender, who sends up to eight side by side from each of its nodes."""

# Kademlia (libp2p kad-dht, on a protocol id of our own)

K: Final = 20
"""Peers in a bucket, and that a record is put at (Kademlia's k)."""
ALPHA: Final = 4
"""Questions in flight during a look-up."""
QUERY_TIMEOUT: Final = 2.5
"""Seconds for one question; a suspended laptop costs no more than this once."""
LOOKUP_TIMEOUT: Final = 12.0
"""Seconds for a whole look-up."""
ANSWERS: Final = 3
"""Peers that must give a value before a look-up is content."""
GRACE: Final = 0.5
"""Seconds for stragglers once a value is at hand."""
MAX_KAD_FRAME: Final = 64 * KIB
"""Bytes of one message: twenty peers with eight addresses, or a record of 8 KiB and those."""
MAX_QUESTION: Final = 16 * KIB
"""Bytes of a question: a record of 8 KiB and its key. A begun one is held until it is complete."""
MAX_RECORD: Final = 8 * KIB
"""Bytes of a value (protocol §3)."""
MAX_RECORDS: Final = 20_000
"""Records held for others."""
MAX_RECORD_BYTES: Final = 32 * MIB
"""Bytes of them all, which lie in memory: 20,000 of 1.6 KB, as they are, and not of the 8 KiB that anybody
may fill them up to."""
SHED: Final = 100
"""One of so many goes when there are too many: to find the worst all are sorted, 20 ms, so not each time."""
MAX_RECORDS_PER_PEER: Final = 500
"""Records that one peer may put in RECORDS_WINDOW: a host speaks for many owners."""
RECORDS_WINDOW: Final = 3_600.0
"""Seconds in which those are counted."""
RECORD_LIFE_MS: Final = 86_400_000
"""Milliseconds that a record is held after it was last put; owners and hosts put every 6 hours."""
SUSPECT_FOR: Final = 60.0
"""Seconds during which a peer that did not answer is not asked again, unless it speaks."""
REFRESH: Final = 600.0
"""Seconds between look-ups of our own id, which keep the table alive."""

LOOK_AGAIN: Final = 5.0
"""Seconds for which our interfaces are not looked at again: it costs 0.2 ms, and each letter asks."""

# Bitswap (/ipfs/bitswap/1.2.0)

MAX_WANTS_FRAME: Final = 64 * KIB
"""Bytes of a message from a peer that we asked for nothing: 1,024 wants of some 55 bytes."""
MAX_BLOCKS_FRAME: Final = 4 * MIB
"""Bytes of one from a peer that we asked, as the specification has it: Helia puts several blocks in one."""
MAX_BLOCK: Final = 2 * MIB
"""Bytes of a block, as the specification has it; those of our own files have 256 KiB."""
MAX_PARTS: Final = 2_048
"""Blocks and presences in a message: 64 KiB of presences are 1,600 of them."""
MAX_CID: Final = 160
"""Bytes of any CID: Kubo takes digests of up to 128 bytes, ours have 36 in all."""
MAX_WANTS: Final = 32
"""Blocks that one session may have asked for and not taken: 8 MiB of ours, twice what keeps a link busy."""
MAX_LATE: Final = 64
"""Blocks of one peer that we wanted and want no longer, and that may be on their way: two sessions' worth."""
MAX_WANTS_PER_PEER: Final = 1_024
"""Wants of one peer that wait for an answer, as in Kubo."""
MAX_WANTS_HELD: Final = 16_384
"""The same of all peers; each takes some 300 bytes."""
MAX_ANSWERED: Final = 32
"""Peers that are sent blocks at once: one block each, held a few times on its way out, is 32 MiB."""
MAX_ANSWERED_PER_BLOCK: Final = 8
"""Of those, from one /24 or /48, so that sixteen peer ids that don't read can't take all the places."""
MAX_PRESENCES: Final = 256
"""Answers "have" and "don't have" in one message; it has 11 KB."""
BLOCKS_WINDOW: Final = 2 * MIB
"""Bytes in flight on a stream of a peer that we asked for blocks: 20 MB/s at a round trip of 100 ms."""
MAX_BITSWAP_STREAMS: Final = 3
"""Streams on which one peer speaks Bitswap at once. Kubo has one, ours one or two; each may hold a window,
and a begun message of 4 MiB if we asked."""
ANSWER_TIMEOUT: Final = 30.0
"""Seconds for a message that we send: 256 KiB at 9 KB/s."""
MESSAGE_TIMEOUT: Final = 60.0
"""Seconds for a message that a peer sends, from its first byte: 4 MiB at 70 KB/s."""
STALLED: Final = 15.0
"""Seconds without any byte of an answer after which a session is over."""
LINGER: Final = 60.0
"""Seconds after a session in which blocks that were on their way may still come in large messages."""
CANCEL_TIMEOUT: Final = 2.0
"""Seconds for saying that what is outstanding is wanted no longer."""

# Masks

MAX_MASKS: Final = 64
"""Hosts that we are connected to under throwaway keys at once: 32 letters are sent side by side."""
MASK_IDLE: Final = 120.0
"""Seconds after which a mask that is not used is closed, as the streams of the pool are."""
MAX_FACES: Final = 1_024
"""Hosts whose key of today is remembered, some 2 KB each; more get a new one when they are met again."""

# Joining

JOIN_FIRST: Final = 1.0
"""Seconds before a failed first try to join is repeated; doubles up to JOIN_LAST."""
JOIN_LAST: Final = 120.0
"""Seconds between tries when nobody answers."""
MAX_BOOK: Final = 64
"""Peers remembered from earlier runs."""
JOIN_DIALS: Final = 8
"""Peers from the book that are dialled at start."""
