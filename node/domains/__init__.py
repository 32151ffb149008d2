"""The owner's own domains: which they are, their DKIM keys, what signs in their name, what to publish in the
DNS.
"""

from node.domains.errors import DomainError
from node.domains.records import DnsRecord
from node.domains.room import Domains

__all__ = ["DnsRecord", "DomainError", "Domains"]
