"""A carrier that only notes what it is given: where letters go in tests of what leads there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from node.outbox import Consignment, Recipient, Result
from protocol.status import NO_ANSWER, OK


@dataclass
class Road:
    """A carrier that notes what it is given; `asleep` ones are not reached."""

    route: str
    went: list[tuple[tuple[str, ...], bytes, str]] = field(default_factory=list)
    asleep: bool = False

    def lane(self, recipient: Recipient) -> str:
        return recipient.address if self.route == "mailio" else "smarthost"

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        raw = await consignment.load(self.route)
        if self.asleep:
            return dict.fromkeys(recipients, Result("later", NO_ANSWER, way=True))
        assert raw is not None
        self.went.append((tuple(one.address for one in recipients), raw, consignment.letter.sender))
        return dict.fromkeys(recipients, Result("delivered", OK))
