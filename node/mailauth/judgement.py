"""What is found out of a message's author, as records. How it is found out is the other modules' business."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hop:
    """How a message came: who brought it, how that greeted, and what stood in MAIL FROM ("" for <>).

    `client` is an address as text; "" where it is not known, as behind somebody's mail server: nothing is
    said then of whether it may send, and no letter is refused for that.
    """

    client: str
    helo: str
    sender: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What the signatures of a message come to. All domains are in their normal form."""

    domains: tuple[str, ...]  # d= of those that hold
    later: tuple[str, ...]  # d= of those whose key could not be looked up now
    results: tuple[str, ...]  # of each, to show: "example.org: pass", "example.net: fail (body changed)"


@dataclass(frozen=True, slots=True)
class Spf:
    """Whether the client may send for a domain (RFC 7208 §2.6). `domain` is in its normal form, "" where
    there was none to ask; `text` says why, to show.
    """

    result: str  # pass, fail, softfail, neutral, none, temperror, permerror
    domain: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Dmarc:
    """Whether a domain stands behind a message with it in From, and what it asks for (RFC 7489)."""

    result: str  # pass, fail, none, temperror
    domain: str
    disposition: str  # none, quarantine, reject: never more than none unless the result is fail


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that is known of who a message is from."""

    proof: Proof
    spf: Spf
    dmarc: Dmarc

    @property
    def domains(self) -> tuple[str, ...]:
        """Those that are proven to have sent it: of signatures that hold, and of an envelope that passed."""
        passed = (self.spf.domain,) if self.spf.result == "pass" else ()
        return tuple(dict.fromkeys(self.proof.domains + passed))

    @property
    def later(self) -> tuple[str, ...]:
        """Those of which it could not be found out now, as the DNS did not answer."""
        unsure = (self.spf.domain,) if self.spf.result == "temperror" else ()
        found = self.domains
        return tuple(name for name in dict.fromkeys(self.proof.later + unsure) if name not in found)

    @property
    def results(self) -> tuple[str, ...]:
        """Every outcome in words, to show."""
        shown = [f"DKIM {result}" for result in self.proof.results]
        if self.spf.domain:
            shown.append(
                f"SPF {self.spf.domain}: {self.spf.result}" + f" ({self.spf.text})" * bool(self.spf.text)
            )
        if self.dmarc.domain:
            asked = f" ({self.dmarc.disposition})" if self.dmarc.disposition != "none" else ""
            shown.append(f"DMARC {self.dmarc.domain}: {self.dmarc.result}{asked}")
        return tuple(shown)
