"""A node that brings its mail to a real Postfix itself, found through the DNS, and takes Postfix's mail: TLS
by MTA-STS, DKIM that another verifier accepts, none lost while one of them is down.
"""

from pathlib import Path

from node.smtp.direct import AT_ONE
from tests.kit.exchange import FRIEND, FROM_PROGRAMS, both_ways, neighbours, node_down, postfix_down, verify
from tests.kit.mailnode import OWNER
from tests.kit.perl_dkim import needs_perl_dkim
from tests.kit.postfix import MAILBOXES, needs_postfix

LETTERS = 100
"""Each way; `python -m tests.kit.exchange 1000` does it with more."""

SOME = 10

pytestmark = needs_postfix


@needs_perl_dkim
async def test_letters_go_both_ways_and_none_is_lost(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as world:
        mails = await both_ways(world, LETTERS)
        await verify(world, mails[:SOME])
        assert [("/.well-known/mta-sts.txt", f"mta-sts.{MAILBOXES}")] == world.policies.asked
        # Postfix takes nothing without TLS (its smtpd_tls_security_level), and the connections were reused.
        assert FROM_PROGRAMS + AT_ONE >= world.postfix.log().count("TLS connection established from")
        one = world.node.listing("inbox")[0]["id"]
        read = world.node.read(one)
        assert (True, FRIEND) == (read["smtp"]["tls"], read["smtp"]["sender"])
        assert FRIEND == read["author"]
        await postfix_down(world, LETTERS, SOME)
        await node_down(world, LETTERS, SOME)

        told = await world.node.process.try_mailio(
            "send", f"x@nowhere.{MAILBOXES}", "--subject", "refused", "--body", "x"
        )
        (where,) = told.value["recipients"]
        assert (1, "refused", "5.1.2") == (told.code, where["state"], where["code"])
        assert OWNER == world.node.process.ask("GET", "/api/v1/status")["smtp"]["addresses"][0]
