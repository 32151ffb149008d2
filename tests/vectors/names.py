"""Vectors of names: addresses, words and what derives from them, prekeys, e-mail, DNS, links, recipients."""

import base64
import hashlib

from protocol.dns import parse_mailio_txt
from protocol.email import email_hash, email_index, normal_email
from protocol.kdf import blake2b, kdf
from protocol.keys import Secrets, SigningKey, address_of, did_of, mailbox_of, root_of, words_of
from protocol.link import ContactLink
from protocol.prekeys import Chain
from protocol.recipient import LinkRecipient, parse_recipient
from tests.vectors.shape import Computed, Json, Topic, outcome

# Trezor's BIP-39 vectors for 256 bits, so that the words themselves are checked against others' work.
ZERO_WORDS = "abandon " * 23 + "art"
ONES_WORDS = "zoo " * 23 + "vote"
MIXED_WORDS = (
    "hamster diagram private dutch cause delay private meat slide toddler razor book "
    "happy fancy gospel tennis maple dilemma loan word shrug inflict delay length"
)
HOST_PEER = "0024080112207270a358a17eb1e3045ea41f25ef696e365e423ce3d21861b946862722a543c9"


def _address(given: Json) -> Computed:
    public = bytes.fromhex(given["public key"])
    text = base64.b64encode(public)
    address = address_of(public)
    mid = {"base64": text.decode(), "sha256": hashlib.sha256(text).hexdigest()}
    return mid, {"address": address, "did": did_of(address), "mailbox": mailbox_of(address)}


ADDRESSES = Topic(
    "addresses",
    "Mailio address of an identity key (§2): 0x and the last 40 hex digits of SHA-256 of its base64",
    {
        "zeros": {"public key": "00" * 32},
        "RFC 8032 test 1": {"public key": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
    },
    _address,
)


def _secrets(given: Json) -> Computed:
    root = root_of(given["words"].split())
    generation = given["generation"]
    secrets = Secrets.derive(root, generation)
    following = SigningKey.from_seed(kdf(root, "identity", generation + 1))
    account_seed = secrets.account_seed(bytes.fromhex(given["host peer id"]))
    mid = {
        "root": root.hex(),
        "words again": " ".join(words_of(root)),
        "identity seed": secrets.identity_seed.hex(),
        "account master": secrets.account_master.hex(),
        "next public key": following.public.hex(),
    }
    out = {
        "identity key": secrets.signing_key.public.hex(),
        "address": secrets.address,
        "pair key": secrets.pair_key.hex(),
        "pair public key": secrets.pair_public.hex(),
        "vault key": secrets.vault_key.hex(),
        "next": secrets.next.hex(),
        "account seed": account_seed.hex(),
        "account": SigningKey.from_seed(account_seed).public.hex(),
    }
    return mid, out


SECRETS = Topic(
    "secrets",
    "From 24 words to every long-lived secret (§2, §11)",
    {
        f"{name}, generation {generation}": {
            "words": words,
            "generation": generation,
            "host peer id": HOST_PEER,
        }
        for name, words in (("zeros", ZERO_WORDS), ("ones", ONES_WORDS), ("mixed", MIXED_WORDS))
        for generation in (0, 1)
    },
    _secrets,
)


def _prekey(given: Json) -> Computed:
    chain = Chain.start(root_of(given["words"].split()), given["generation"])
    first = chain.link
    link = chain.advance(given["week"]).link
    return (
        {"link of week 2900": first.hex(), "link": link.hex()},
        {"private": chain.private(given["week"]).hex(), "public": chain.public(given["week"]).hex()},
    )


PREKEYS = Topic(
    "prekeys",
    "The one-way chain of weekly prekeys (§2, §11)",
    {
        f"week {week}, generation {generation}": {
            "words": ZERO_WORDS,
            "generation": generation,
            "week": week,
        }
        for generation in (0, 1)
        for week in (2_900, 2_901, 2_968, 2_981, 5_900)
    },
    _prekey,
)


def _email(given: Json) -> Computed:
    vault_key = bytes.fromhex(given["vault key"])
    mid: Json = {"index key": kdf(vault_key, "email-index").hex()}

    def names() -> Json:
        mid["normal"] = normal_email(given["email"])
        return {
            "hash": email_hash(given["email"]),
            "index": email_index(vault_key, given["email"]).hex(),
        }

    return mid, outcome(names)


EMAILS = Topic(
    "emails",
    "E-mail addresses (§2): normal form, hash SC_N32768_R8_P1_L32_B64, the owner's own index",
    {
        name: {"email": email, "vault key": "07" * 32}
        for name, email in {
            "plain": "alice@example.com",
            "case and space": "  Alice@EXAMPLE.Com\t",
            "IDN": "jörg@bücher.example",
            "IDN, its A-label": "jörg@XN--BCHER-KVA.example",
            "IDN, decomposed": "jo\u0308rg@bu\u0308cher.example",
            "non-transitional": "a@faß.example",
            "ideographic full stop": "a@例え。テスト",
            "emoji": "a@💩.example",
            "Greek": "ΑΣ@example.com",
            "dotted I": "İ@example.com",
            "hyphens in third place": "a@r3---x.example",
            "quoted": '"a b"@example.com',
            "no at": "alice.example.com",
            "no local part": "@example.com",
            "space inside": "a b@example.com",
            "two dots": "a..b@example.com",
            "underscore in domain": "a@b_c.example",
            "domain ends in a dot": "a@example.com.",
            "address literal": "a@[192.0.2.1]",
            "local part over 64 bytes": "a" * 65 + "@example.com",
            "no-break space": "a\u00a0b@example.com",
        }.items()
    },
    _email,
)

_KEY = "5uW7anEGF1nIjGfp5pS2kiN0cn2mGYkuSa+TCBoFIbQ="


def _txt(given: Json) -> Computed:
    strings = [text.encode() for text in given["strings"]]

    def key() -> Json:
        public = parse_mailio_txt(strings)
        return {"public key": public.hex(), "address": address_of(public)}

    return {"text": "".join(given["strings"])}, outcome(key)


TXT = Topic(
    "txt",
    "The TXT record of MIR-5 (§4), given as its character-strings",
    {
        name: {"strings": strings}
        for name, strings in {
            "MIR-5": [f"v=MAILIO1; k=ed25519; p={_KEY}"],
            "no spaces, ends in a semicolon": [f"v=MAILIO1;k=ed25519;p={_KEY};"],
            "two strings": ["v=MAILIO1; k=ed25519; p=5uW7anEGF1nIjGfp", f"{_KEY[16:]}"],
            "unknown tag": [f"v=MAILIO1; k=ed25519; n=note; p={_KEY}"],
            "other order": [f"v=MAILIO1; p={_KEY}; k=ed25519"],
            "version not first": [f"k=ed25519; v=MAILIO1; p={_KEY}"],
            "other version": [f"v=MAILIO2; k=ed25519; p={_KEY}"],
            "other key type": [f"v=MAILIO1; k=rsa; p={_KEY}"],
            "key twice": [f"v=MAILIO1; k=ed25519; p={_KEY}; p={_KEY}"],
            "key short": ["v=MAILIO1; k=ed25519; p=AAAA"],
            "key not base64": ["v=MAILIO1; k=ed25519; p=*"],
            "no key": ["v=MAILIO1; k=ed25519"],
            "SPF": ["v=spf1 -all"],
            "empty": [],
        }.items()
    },
    _txt,
)

_LINK_KEY = SigningKey.from_seed(bytes(range(32))).public
_ADDR = "/ip4/203.0.113.7/tcp/4101/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


def _link(given: Json) -> Computed:
    public = bytes.fromhex(given["public key"])
    secret = given.get("invitation")
    link = ContactLink(
        address_of(public),
        public,
        tuple(given["addrs"]),
        None if secret is None else bytes.fromhex(secret),
    )
    text = link.encode()
    return {"address": link.address}, {"link": text, "read back": ContactLink.parse(text) == link}


LINKS = Topic(
    "links",
    "Contact links and invitations (§5)",
    {
        "bare": {"public key": _LINK_KEY.hex(), "addrs": []},
        "two addresses": {
            "public key": _LINK_KEY.hex(),
            "addrs": [_ADDR, _ADDR.replace("ip4/203.0.113.7", "ip6/2001:db8::1")],
        },
        "invitation": {"public key": _LINK_KEY.hex(), "addrs": [_ADDR], "invitation": "08" * 32},
    },
    _link,
)


def _recipient(given: Json) -> Computed:
    def parsed() -> Json:
        recipient = parse_recipient(given["typed"])
        value = recipient.link if isinstance(recipient, LinkRecipient) else recipient
        field = next(name for name in ("email", "address", "name") if hasattr(value, name))
        return {
            "is": type(recipient).__name__.removesuffix("Recipient").lower(),
            field: getattr(value, field),
        }

    return {}, outcome(parsed)


_ADDRESS = address_of(_LINK_KEY)
RECIPIENTS = Topic(
    "recipients",
    "What a person types as a recipient, told apart by its form",
    {
        name: {"typed": typed}
        for name, typed in {
            "e-mail": " Alice@Example.COM ",
            "Mailio address": _ADDRESS,
            "Mailio address in capitals": _ADDRESS.upper(),
            "mailbox": mailbox_of(_ADDRESS),
            "DID": did_of(_ADDRESS),
            "did:web": f"did:web:mail.example#{_ADDRESS}",
            "link": ContactLink(_ADDRESS, _LINK_KEY).encode(),
            "name": "Alice Müller",
            "address cut short": _ADDRESS[:-1],
            "other DID": "did:key:z6Mk",
            "link with another's key": ContactLink(_ADDRESS, _LINK_KEY)
            .encode()
            .replace(_ADDRESS, "0x" + "0" * 40),
            "link without a key": f"mailio:{_ADDRESS}",
            "nothing": "  ",
            "bad e-mail": "alice@",
        }.items()
    },
    _recipient,
)

DERIVED = Topic(
    "hash",
    "Hashes where nothing else is named (§11): BLAKE2b-256",
    {"empty": {"data": ""}, "abc": {"data": "616263"}},
    lambda given: ({}, {"hash": blake2b(bytes.fromhex(given["data"])).hex()}),
)

TOPICS = (DERIVED, ADDRESSES, SECRETS, PREKEYS, EMAILS, TXT, LINKS, RECIPIENTS)
