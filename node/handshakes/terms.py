"""Which rules an owner can grant. What they do is node.consent's."""

from node.consent import Rules
from node.consent.gate import LIMITED_TYPES
from node.handshakes.errors import past, pause_needs_type


def check_rules(rules: Rules, now: int) -> None:
    """Raises NodeError for rules that would bind nobody, or end before `now` (Unix ms)."""
    if rules.every_minutes and rules.type not in LIMITED_TYPES:
        raise pause_needs_type()
    if rules.until is not None and rules.until <= now:
        raise past()
