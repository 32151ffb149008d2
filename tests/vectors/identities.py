"""Vectors of identity/1 and nodes/1, and of the multiaddrs that they may hold."""

from functools import partial
from typing import Any

from protocol.errors import RemoteProtocolError
from protocol.identity import Capabilities, Host, IdentityRecord, build_identity, dht_key, parse_dht_value
from protocol.keys import Secrets, root_of
from protocol.nodes import build_nodes
from protocol.peers import Peer, check_multiaddr, is_private_multiaddr
from protocol.prekeys import Chain
from protocol.record import Record
from tests.vectors.names import HOST_PEER, ZERO_WORDS
from tests.vectors.shape import Computed, Json, Topic, outcome

DAY_MS = 86_400_000
CREATED = 1_795_392_000_000  # the start of a UTC day in November 2026
PUBLIC_ADDR = "/ip4/203.0.113.7/tcp/4101"
PUBLIC_ADDR_6 = "/ip6/2001:db8::7/tcp/4101"
PRIVATE_ADDR = "/ip4/192.168.1.7/tcp/4101"
OTHER_PEER = "1220" + "42" * 32


def _peers(items: list[Json]) -> list[Peer]:
    return [Peer(bytes.fromhex(item["peer id"]), tuple(item["addrs"])) for item in items]


def _hosts(items: list[Json]) -> list[Host]:
    return [
        Host(
            bytes.fromhex(item["peer id"]),
            tuple(item["addrs"]),
            bytes.fromhex(item["account"]),
            tuple(item["roles"]),
        )
        for item in items
    ]


def _identity(given: Json) -> Computed:
    root = root_of(given["words"].split())
    capabilities: dict[str, Any] = given["capabilities"]
    identity = build_identity(
        Secrets.derive(root, given["generation"]),
        Chain.start(root, given["generation"]),
        hosts=_hosts(given["hosts"]),
        nodes=_peers(given["nodes"]),
        capabilities=Capabilities(
            capabilities["letter"], capabilities["attachment"], tuple(capabilities["protocols"])
        ),
        price=given["price"],
        birth=bytes.fromhex(given["birth"]) if "birth" in given else None,
        created=given["created"],
    )
    record = Record.decode(identity.record, len(identity.record))
    mid = {
        "public key": identity.public_key.hex(),
        "first week": identity.first_week,
        "prekeys": [key.hex() for key in identity.prekeys],
        "payload": record.payload.hex(),
        "signature": record.signature.hex(),
    }
    out: Json = {
        "address": identity.address,
        "DHT key": dht_key(identity.address).hex(),
        "record": identity.record.hex(),
    }
    for name, now in given["read at"].items():
        out[name] = outcome(partial(_read, identity.record, now))
    return mid, out


def _read(record: bytes, now: int) -> Json:
    return {"seq": IdentityRecord.parse(record, now).seq}


_HOSTS = [
    {"peer id": HOST_PEER, "addrs": [PUBLIC_ADDR], "account": "05" * 32, "roles": ["letters", "records"]},
    {"peer id": OTHER_PEER, "addrs": [], "account": "06" * 32, "roles": []},
]
_NODES = [{"peer id": OTHER_PEER, "addrs": [PUBLIC_ADDR_6, PRIVATE_ADDR, PUBLIC_ADDR]}]
_READ_AT = {
    "at created": CREATED,
    "10 minutes before": CREATED - 600_000,
    "1 ms earlier": CREATED - 600_001,
    "just before expiry": CREATED + 90 * DAY_MS - 1,
    "at expiry": CREATED + 90 * DAY_MS,
}

IDENTITIES = Topic(
    "identities",
    "IdentityRecord (§3). Private addresses are left out, peers, addresses and roles are sorted.",
    {
        "smallest": {
            "words": ZERO_WORDS,
            "generation": 0,
            "created": CREATED,
            "hosts": [],
            "nodes": [],
            "capabilities": {"letter": 1_032_192, "attachment": 2**31, "protocols": []},
            "price": 6,
            "read at": _READ_AT,
        },
        "full": {
            "words": ZERO_WORDS,
            "generation": 0,
            "created": CREATED,
            "hosts": _HOSTS,
            "nodes": _NODES,
            "capabilities": {
                "letter": 1_032_192,
                "attachment": 2**31,
                "protocols": ["/mailio/identity/1", "/mailio/letter/1"],
            },
            "price": 6,
            "birth": "00000000000015a1",
            "read at": _READ_AT,
        },
        "generation 1": {
            "words": ZERO_WORDS,
            "generation": 1,
            "created": CREATED + DAY_MS,
            "hosts": [],
            "nodes": _NODES,
            "capabilities": {"letter": 1, "attachment": 0, "protocols": []},
            "price": 0,
            "read at": {},
        },
    },
    _identity,
)


def _nodes(given: Json) -> Computed:
    secrets = Secrets.derive(root_of(given["words"].split()))
    nodes = build_nodes(secrets.signing_key, _peers(given["nodes"]), given["seq"])
    payload = Record.decode(nodes.record, len(nodes.record)).payload
    return {"payload": payload.hex()}, {"record": nodes.record.hex()}


NODES = Topic(
    "nodes",
    "nodes/1 (§3), which rides in letters to accepted senders",
    {"one": {"words": ZERO_WORDS, "nodes": _NODES, "seq": CREATED}},
    _nodes,
)


def _validate(given: Json) -> Computed:
    def accepted() -> Json:
        identity = parse_dht_value(bytes.fromhex(given["key"]), bytes.fromhex(given["value"]), given["now"])
        return {"seq": identity.seq}

    return {}, outcome(accepted)


def _changed(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]


def _validator_inputs() -> dict[str, Json]:
    root = bytes(32)
    identity = build_identity(Secrets.derive(root), Chain.start(root), price=6, created=CREATED)
    key, value = dht_key(identity.address), identity.record
    cases = {
        "good": (key, value),
        "another's name": (dht_key("0x" + "0" * 40), value),
        "no namespace": (identity.address.encode(), value),
        "payload changed": (key, _changed(value, 100)),
        "signature changed": (key, _changed(value, len(value) - 1)),
        "cut short": (key, value[:-1]),
        "trailing byte": (key, value + b"\0"),
        "over 8 KiB": (key, value + bytes(8_192)),
        "empty": (key, b""),
    }
    return {name: {"key": k.hex(), "value": v.hex(), "now": CREATED} for name, (k, v) in cases.items()}


VALIDATOR = Topic(
    "dht",
    "What the validator of DHT values takes (§3)",
    _validator_inputs(),
    _validate,
)


def _multiaddr(given: Json) -> Computed:
    try:
        check_multiaddr(given["multiaddr"])
    except RemoteProtocolError:
        return {}, {"is": "malformed"}
    return {}, {"is": "private" if is_private_multiaddr(given["multiaddr"]) else "public"}


MULTIADDRS = Topic(
    "multiaddrs",
    "Which multiaddrs a record may hold (§3): public ones",
    {
        text: {"multiaddr": text}
        for text in (
            PUBLIC_ADDR,
            PUBLIC_ADDR_6,
            PRIVATE_ADDR,
            "/ip4/0.0.0.0/tcp/4101",
            "/ip4/10.1.2.3/tcp/4101",
            "/ip4/100.64.0.1/tcp/4101",
            "/ip4/100.128.0.1/tcp/4101",
            "/ip4/127.0.0.1/tcp/4101",
            "/ip4/169.254.1.1/tcp/4101",
            "/ip4/172.15.255.255/tcp/4101",
            "/ip4/172.16.0.1/tcp/4101",
            "/ip4/172.32.0.1/tcp/4101",
            "/ip4/192.0.0.8/tcp/4101",
            "/ip4/198.18.0.1/tcp/4101",
            "/ip4/224.0.0.1/udp/4101/quic-v1",
            "/ip4/255.255.255.255/tcp/1",
            "/ip4/8.8.8.8/udp/4101/quic-v1",
            "/ip4/08.8.8.8/tcp/1",
            "/ip4/8.8.8/tcp/1",
            "/ip4/8.8.8.8/tcp/4101/p2p/12D3KooW/p2p-circuit/p2p/12D3KooX",
            "/ip4/8.8.8.8/tcp/1/p2p/12D3KooW/p2p-circuit/ip4/10.0.0.1/tcp/1",
            "/ip6/::/tcp/1",
            "/ip6/::1/tcp/1",
            "/ip6/::ffff:8.8.8.8/tcp/1",
            "/ip6/64:ff9b::a00:1/tcp/1",
            "/ip6/fd00::1/tcp/1",
            "/ip6/fe80::1/tcp/1",
            "/ip6/fe80::1%eth0/tcp/1",
            "/ip6/ff02::1/tcp/1",
            "/ip6/2001:0:1::1/tcp/1",
            "/ip6/2002:a00:1::1/tcp/1",
            "/ip6/2a00:1450:4001::1/tcp/1",
            "/dns4/mail.example/tcp/4101",
            "/dnsaddr/Mail.Example./p2p/12D3KooW",
            "/dns4/localhost/tcp/4101",
            "/dns6/nas.local/tcp/4101",
            "/dns/host.home.arpa/tcp/4101",
            "/dns4/intranet/tcp/1",
            "/dns4/10.0.0.1/tcp/1",
            "/dns4/-x.example/tcp/1",
            "/dns4/tcp/1",
            "/p2p/12D3KooW",
            "/unix/tmp/socket",
            "/tcp/4101",
            "ip4/8.8.8.8",
            "/ip4/8.8.8.8/tcp/1/",
            "/ip4",
            "/",
            "",
            "/ip4/8.8.8.8/tcp/1/future/thing",
        )
    },
    _multiaddr,
)

TOPICS = (IDENTITIES, NODES, VALIDATOR, MULTIADDRS)
