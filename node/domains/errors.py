"""Faults of the owner's own domains.

NodeError
└── DomainError   a domain that can't be taken, is there already or not there; keys that can't change now
"""

from node.runtime.errors import NodeError


class DomainError(NodeError):
    """What was asked of a domain can't be."""


def bad_domain(text: str) -> DomainError:
    shown = " ".join(text.split())[:100]
    return DomainError("domain-name", f'"{shown}" is no domain of the DNS', "give one such as example.org")


def bad_host(text: str) -> DomainError:
    shown = " ".join(text.split())[:100]
    return DomainError(
        "domain-host", f'"{shown}" is no name of a machine', "give one such as mail.example.org"
    )


def taken(name: str) -> DomainError:
    return DomainError("domain-exists", f"{name} is there already", f"see: mailio domain list {name}")


def unknown(name: str) -> DomainError:
    return DomainError("no-such-domain", f"{name} is no domain of yours", "see: mailio domain list")


def in_settings(name: str) -> DomainError:
    return DomainError(
        "domain-in-settings",
        f"{name} stands in the settings",
        "take it out there: mailio config set smtp.domains (or unset), and start the node anew",
    )


def too_many(most: int) -> DomainError:
    return DomainError(
        "domains-full", f"a node keeps {most} domains at most", "remove one: mailio domain remove NAME"
    )


def which(names: list[str]) -> DomainError:
    if not names:
        return DomainError("no-such-domain", "there is no domain of yours", "mailio domain add NAME")
    return DomainError("domain-which", "there is more than one domain", f"name one: {', '.join(names)}")


def too_many_keys(name: str, until: str) -> DomainError:
    return DomainError(
        "dkim-many",
        f"{name} has had new keys so often that the old ones fill its book",
        f"wait until {until}, when the first of them may leave the DNS",
    )
