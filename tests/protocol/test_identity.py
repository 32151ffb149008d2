from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cbor import Value, encode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.identity import (
    IDENTITY_KIND,
    IDENTITY_LIFE_MS,
    MAX_HOSTS,
    MAX_IDENTITY,
    Capabilities,
    Host,
    IdentityRecord,
    build_identity,
    check_pin,
    dht_key,
    parse_dht_value,
)
from protocol.keys import Secrets
from protocol.nodes import NodesRecord, build_nodes
from protocol.peers import (
    MAX_ADDR,
    MAX_ADDRS,
    MAX_NODES,
    Peer,
    check_multiaddr,
    is_peer_id,
    is_private_multiaddr,
)
from protocol.prekeys import WEEK_MS, Chain, week_of
from protocol.record import MAX_AHEAD_MS, Record, sign_record
from protocol.status import HELD_KEY, MALFORMED, TIME, TOO_LARGE

ROOT = bytes(range(32))
SECRETS, CHAIN = Secrets.derive(ROOT), Chain.start(ROOT)
NOW = 1_795_392_000_000
PEER_ID = b"\x12\x20" + bytes(32)
OTHER_ID = b"\x00\x24\x08\x01\x12\x20" + bytes(32)
ADDR, ADDR_6, PRIVATE = "/ip4/203.0.113.1/tcp/4101", "/ip6/2001:db8::1/tcp/4101", "/ip4/10.0.0.1/tcp/4101"
HOSTS = (
    Host(PEER_ID, (ADDR,), b"a" * 32, ("records", "letters")),
    Host(OTHER_ID, (PRIVATE, ADDR_6), b"b" * 32),
)
NODES = (Peer(PEER_ID, (PRIVATE, ADDR_6, ADDR)), Peer(OTHER_ID))


def build(created: int = NOW, chain: Chain = CHAIN) -> IdentityRecord:
    return build_identity(
        SECRETS, chain, hosts=HOSTS, nodes=NODES, price=6, birth=b"12345678", created=created
    )


IDENTITY = build()
PAYLOAD = dict(Fields.decode(Record.decode(IDENTITY.record, MAX_IDENTITY).payload).raw)


def signed(payload: dict[str, Value]) -> bytes:
    return sign_record(IDENTITY_KIND, payload, SECRETS.signing_key).encode()


def peer_map(**change: Value) -> dict[str, Value]:
    return {"peerId": PEER_ID, "addrs": [ADDR], **change}


def host_map(**change: Value) -> dict[str, Value]:
    return {**peer_map(account=bytes(32), roles=["letters"]), **change}


def test_what_is_built_is_read_whole() -> None:
    assert IdentityRecord.parse(IDENTITY.record, NOW) == IDENTITY
    assert replace(IDENTITY, prekeys=(), record=b"") == IdentityRecord(
        public_key=SECRETS.signing_key.public,
        address=SECRETS.address,
        next=SECRETS.next,
        pair_key=SECRETS.pair_public,
        first_week=week_of(NOW),
        prekeys=(),
        hosts=(
            Host(OTHER_ID, (ADDR_6,), b"b" * 32),
            Host(PEER_ID, (ADDR,), b"a" * 32, ("letters", "records")),
        ),
        nodes=(Peer(OTHER_ID), Peer(PEER_ID, (ADDR, ADDR_6))),
        capabilities=Capabilities(),
        price=6,
        birth=b"12345678",
        seq=NOW,
        created=NOW,
        expires=NOW + IDENTITY_LIFE_MS,
        record=b"",
    )


def test_own_nodes_write_the_same_bytes() -> None:
    turned = build_identity(
        SECRETS,
        CHAIN.advance(week_of(NOW) - 6),
        hosts=reversed(HOSTS),
        nodes=reversed(NODES),
        price=6,
        birth=b"12345678",
        created=NOW,
    )
    assert turned == IDENTITY


@given(st.integers(NOW, NOW + 2 * WEEK_MS))
def test_prekeys_cover_every_week_of_the_record(created: int) -> None:
    identity = build(created)
    weeks = range(week_of(identity.created), week_of(identity.expires) + 1)
    assert identity.prekeys == tuple(map(CHAIN.public, weeks))
    assert identity.prekey_for(created) == (weeks[0], CHAIN.public(weeks[0]))
    assert identity.prekey_for(created - 5 * WEEK_MS) == (weeks[0], CHAIN.public(weeks[0]))
    assert identity.prekey_for(created + 3 * WEEK_MS) == (weeks[3], CHAIN.public(weeks[3]))
    assert identity.prekey_for(identity.expires) == (weeks[-1], CHAIN.public(weeks[-1]))
    assert identity.prekey_for(identity.expires + 5 * WEEK_MS) == (weeks[-1], CHAIN.public(weeks[-1]))


def test_records_fit_their_room_at_their_largest() -> None:
    addrs = tuple(f"/dns4/host-number-{n}.example/tcp/4101" for n in range(3))
    largest = build_identity(
        SECRETS,
        CHAIN,
        hosts=[Host(PEER_ID, addrs, bytes(32), ("letters", "records"))] * MAX_HOSTS,
        nodes=[Peer(PEER_ID, addrs)] * MAX_NODES,
        price=6,
        created=NOW,
    )
    assert len(largest.record) < MAX_IDENTITY
    assert len(build_nodes(SECRETS.signing_key, [Peer(PEER_ID, addrs)] * MAX_NODES, NOW).nodes) == MAX_NODES


@pytest.mark.parametrize(
    "now, taken",
    [
        (NOW - MAX_AHEAD_MS, True),
        (NOW - MAX_AHEAD_MS - 1, False),
        (NOW + IDENTITY_LIFE_MS - 1, True),
        (NOW + IDENTITY_LIFE_MS, False),
        (None, True),
    ],
)
def test_times_are_judged_as_class_4(now: int | None, taken: bool) -> None:
    if taken:
        assert IdentityRecord.parse(IDENTITY.record, now) == IDENTITY
    else:
        with pytest.raises(RemoteProtocolError) as caught:
            IdentityRecord.parse(IDENTITY.record, now)
        assert caught.value.status == TIME


def test_a_seq_ahead_is_refused_even_where_created_is_not() -> None:
    ahead = signed({**PAYLOAD, "seq": NOW + MAX_AHEAD_MS + 1})
    with pytest.raises(RemoteProtocolError) as caught:
        IdentityRecord.parse(ahead, NOW)
    assert caught.value.status == TIME


@pytest.mark.parametrize(
    "change",
    [
        {"next": bytes(31)},
        {"pairKey": "text"},
        {"firstWeek": week_of(NOW) - 1},
        {"firstWeek": week_of(NOW) + 1},
        {"prekeys": list(IDENTITY.prekeys[:-1])},
        {"prekeys": [*IDENTITY.prekeys, bytes(32)]},
        {"prekeys": [*IDENTITY.prekeys[:-1], bytes(31)]},
        {"prekeys": []},
        {"created": NOW - WEEK_MS},
        {"expires": NOW + IDENTITY_LIFE_MS + 1},
        {"expires": NOW},
        {"expires": NOW - 1, "prekeys": []},
        {"seq": -1},
        {"price": 33},
        {"price": True},
        {"birth": bytes(7)},
        {"capabilities": {}},
        {"capabilities": {**Capabilities().to_map(), "supportedProtocols": ["x" * 65]}},
        {"hosts": [host_map()] * (MAX_HOSTS + 1)},
        {"hosts": [host_map(account=bytes(31))]},
        {"hosts": [host_map(roles=["r"] * 9)]},
        {"hosts": [host_map(roles=["r" * 17])]},
        {"hosts": [host_map(addrs=[PRIVATE])]},
        {"nodes": [peer_map()] * (MAX_NODES + 1)},
        {"nodes": [peer_map(addrs=[ADDR] * (MAX_ADDRS + 1))]},
        {"nodes": [peer_map(addrs=["/dns4/" + "x" * MAX_ADDR])]},
        {"nodes": [peer_map(addrs=["/ip4/127.0.0.1/tcp/1"])]},
        {"nodes": [peer_map(addrs=["nonsense"])]},
        {"nodes": [peer_map(peerId=b"")]},
        {"nodes": [peer_map(peerId=PEER_ID + b"x")]},
        {"nodes": [peer_map(peerId=b"\x13\x20" + bytes(32))]},
    ],
)
def test_a_well_signed_record_that_breaks_the_rules_is_refused(change: dict[str, Value]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        IdentityRecord.parse(signed({**PAYLOAD, **change}), NOW)
    assert caught.value.status == MALFORMED


@pytest.mark.parametrize("name", sorted(PAYLOAD))
def test_every_field_but_the_birth_stamp_is_needed(name: str) -> None:
    data = signed({key: value for key, value in PAYLOAD.items() if key != name})
    if name == "birth":
        assert IdentityRecord.parse(data, NOW).birth is None
    else:
        with pytest.raises(RemoteProtocolError, match=name):
            IdentityRecord.parse(data, NOW)


def test_unknown_fields_live_on() -> None:
    data = signed({**PAYLOAD, "later": [1, {"x": b"y"}]})
    assert IdentityRecord.parse(data, NOW) == replace(IDENTITY, record=data)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    for parse in (IdentityRecord.parse, NodesRecord.parse):
        with pytest.raises(RemoteProtocolError):
            parse(data, NOW)


@given(st.integers(0, len(IDENTITY.record) - 1), st.integers(1, 255))
def test_every_changed_byte_is_refused(place: int, change: int) -> None:
    data = bytearray(IDENTITY.record)
    data[place] ^= change
    with pytest.raises(RemoteProtocolError):
        IdentityRecord.parse(bytes(data), NOW)


VALUES = st.recursive(
    st.booleans() | st.integers(0, 2**53 - 1) | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["peerId", "addrs", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(PAYLOAD)), VALUES)
def test_any_signed_value_parses_or_is_refused(name: str, value: Value) -> None:
    data = signed({**PAYLOAD, name: value})
    try:
        identity = IdentityRecord.parse(data, NOW)
    except RemoteProtocolError:
        return
    assert identity.record == data


def test_a_record_over_8_kib_is_refused_unread() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        IdentityRecord.parse(signed({**PAYLOAD, "x": bytes(MAX_IDENTITY)}), NOW)
    assert caught.value.status == TOO_LARGE


@pytest.mark.parametrize(
    "action",
    [
        lambda: build_identity(SECRETS, CHAIN.advance(week_of(NOW) + 1), price=6, created=NOW),
        lambda: build_identity(SECRETS, CHAIN, price=33, created=NOW),
        lambda: build_identity(SECRETS, CHAIN, nodes=[Peer(b"x")], price=6, created=NOW),
        lambda: build_nodes(SECRETS.signing_key, [Peer(PEER_ID)] * (MAX_NODES + 1), NOW),
    ],
)
def test_we_publish_nothing_that_others_would_refuse(action: Callable[[], object]) -> None:
    with pytest.raises(LocalProtocolError):
        action()


def test_the_newer_of_two_records_is_the_same_for_everyone() -> None:
    later = build(NOW + 1)
    tied = IdentityRecord.parse(signed({**PAYLOAD, "price": 7}), NOW)
    assert (later.replaces(IDENTITY), IDENTITY.replaces(later)) == (True, False)
    assert IDENTITY.replaces(tied) != tied.replaces(IDENTITY)
    assert not IDENTITY.replaces(IDENTITY)


def test_nodes_travel_without_private_addresses() -> None:
    record = build_nodes(SECRETS.signing_key, NODES, NOW)
    assert record == NodesRecord.parse(record.record, NOW)
    assert (record.address, record.nodes, record.seq) == (SECRETS.address, IDENTITY.nodes, NOW)
    with pytest.raises(RemoteProtocolError) as caught:
        NodesRecord.parse(record.record, NOW - MAX_AHEAD_MS - 1)
    assert caught.value.status == TIME


def test_the_newer_nodes_replace_the_older_ones() -> None:
    first, later = (build_nodes(SECRETS.signing_key, NODES, seq) for seq in (NOW, NOW + 1))
    tied = build_nodes(SECRETS.signing_key, (), NOW)
    assert (later.replaces(first), first.replaces(later)) == (True, False)
    assert first.replaces(tied) != tied.replaces(first)
    assert not first.replaces(first)


def test_another_kind_is_no_identity() -> None:
    for data in (
        sign_record("identity/2", PAYLOAD, SECRETS.signing_key).encode(),
        build_nodes(SECRETS.signing_key, (), NOW).record,
    ):
        with pytest.raises(RemoteProtocolError, match="instead of identity/1"):
            IdentityRecord.parse(data, NOW)


def test_pins_refuse_every_change() -> None:
    check_pin(IDENTITY.public_key, IDENTITY.next, IDENTITY)
    following = build_identity(Secrets.derive(ROOT, 1), Chain.start(ROOT, 1), price=6, created=NOW)
    for key, commitment, text in (
        (bytes(32), IDENTITY.next, "not the one"),
        (IDENTITY.public_key, bytes(32), "next key"),
    ):
        with pytest.raises(RemoteProtocolError, match=text) as caught:
            check_pin(key, commitment, IDENTITY)
        assert caught.value.status == HELD_KEY
    with pytest.raises(RemoteProtocolError, match="no succession"):
        check_pin(IDENTITY.public_key, IDENTITY.next, following)


def test_the_dht_takes_a_record_under_its_own_name_only() -> None:
    key = dht_key(IDENTITY.address)
    assert (len(key), key) == (50, b"/mailio/" + SECRETS.address.encode())
    assert parse_dht_value(key, IDENTITY.record, NOW) == IDENTITY
    for other in (b"", key + b"x", key.upper(), dht_key("0x" + "1" * 40), IDENTITY.address.encode()):
        with pytest.raises(RemoteProtocolError):
            parse_dht_value(other, IDENTITY.record, NOW)


@given(
    st.text(max_size=80) | st.from_regex(r"(/(ip4|ip6|dns4|tcp|p2p|[a-z0-9.:]{0,9})){1,6}", fullmatch=True)
)
def test_any_text_is_a_multiaddr_or_refused(text: str) -> None:
    try:
        check_multiaddr(text)
    except RemoteProtocolError:
        assert is_private_multiaddr(text)


@given(st.binary(max_size=70))
def test_peer_ids_are_multihashes(data: bytes) -> None:
    if is_peer_id(data):
        assert data[1] == len(data) - 2


def test_encoded_maps_are_their_own_kind_s() -> None:
    assert Capabilities.from_fields(Fields.decode(encode(Capabilities().to_map()))) == Capabilities()
