"""SPF beyond the table: hostile records, work that is bounded, what is remembered."""

from typing import Any

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from node.mailauth import Hop, Spf, spf
from node.mailauth.room import LOOKUPS_S
from node.mailauth.spf_record import MAX_RECORD_BYTES, Question, Sender, evaluate
from node.runtime.dns import DEADLINE_S
from tests.kit.mailauths import Here, mail_auth
from tests.kit.names_server import Fault, Names, open_names

RAW = b"From: joe@example.com\r\n\r\nHi.\r\n"
HOP = Hop("192.0.2.1", "mx.example.net", "joe@example.com")
RESULTS = {"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"}
MAX_QUESTIONS = 1 + 10 * 11 + 11  # the record's, ten terms with ten hosts each, the client's names

TERMS = st.one_of(
    st.sampled_from(["a", "mx", "ptr", "all", "+all", "-all", "~all", "?all", "a:b.example/24//64"]),
    st.sampled_from(["include:example.com", "redirect=b.example", "exp=%{p}.example", "mx:%{h}", "ptr:%{p}"]),
    st.sampled_from(["exists:%{ir}.%{l1r+-}._spf.%{d2}", "ip4:192.0.2.0/24", "ip6:::1", "ip4:1.2.3.4/99"]),
    st.sampled_from(["include:%{s}", "a:%{z}", "=", "a:", "include:.", "%", "exists:%{i}", "include:"]),
    st.text(st.characters(codec="latin-1"), max_size=30),
)
RECORDS = st.lists(TERMS, max_size=12).map(lambda terms: " ".join(["v=spf1", *terms]).encode("latin-1"))
TEXTS = st.lists(st.one_of(RECORDS, st.binary(max_size=40)), max_size=2).map(tuple)
ANSWERS = {
    "TXT": TEXTS,
    "MX": st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["m.example", ".", "m\\032x"])), max_size=12),
    "A": st.lists(st.sampled_from(["192.0.2.1", "192.0.2.9"]), max_size=3),
    "AAAA": st.lists(st.sampled_from(["::1", "2001:db8::1"]), max_size=3),
    "PTR": st.lists(st.sampled_from(["m.example", "example.com", "x\\000y"]), max_size=12),
}


@given(
    st.data(),
    st.sampled_from(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"]),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_any_records_come_to_a_result(data: st.DataObject, client: str, local: str, helo: str) -> None:
    sender, answers = Sender(client, local, "example.com", helo), dict[Question, tuple[Any, ...] | None]()
    while not isinstance(found := evaluate(sender, answers), Spf):
        assert found not in answers
        records = st.one_of(st.none(), ANSWERS[found[0]].map(tuple)) if answers else TEXTS
        answers[found] = data.draw(records)
    assert found.result in RESULTS
    assert found.text.isprintable()
    assert len(answers) <= MAX_QUESTIONS


async def result(names: Names, worker: Here | None = None) -> Spf:
    return (await mail_auth(names, worker).judge(RAW, HOP, "example.com")).spf


async def test_the_largest_record_is_read_in_a_thread() -> None:
    record = "v=spf1 " + "ip4:192.0.2.9 " * 290
    record += "ip4:192.0.2.1 "
    async with open_names() as names:
        names.txt("example.com", record.ljust(MAX_RECORD_BYTES))
        assert Spf("pass", "example.com") == await result(names)
        names.txt("example.com", record.ljust(MAX_RECORD_BYTES + 1))
        assert "permerror" == (await result(names)).result


async def test_records_that_are_long_to_read_are_given_up() -> None:
    """Each answer lets all records be read anew."""
    async with open_names() as names:
        filler = "ip4:192.0.2.9 " * 200
        for number in range(9):
            names.txt(f"i{number}.example.com", f"v=spf1 {filler}include:i{number + 1}.example.com ?all")
        names.txt("i9.example.com", "v=spf1 +all")
        names.txt("example.com", "v=spf1 include:i5.example.com +all")
        assert Spf("pass", "example.com") == await result(names)
        names.txt("other.example", "v=spf1 include:i0.example.com +all")
        hop = Hop("192.0.2.1", "", "joe@other.example")
        judgement = await mail_auth(names).judge(RAW, hop, "")
        assert Spf("permerror", "other.example", spf.TOO_MUCH) == judgement.spf


async def test_hosts_are_asked_for_together() -> None:
    async with open_names() as names, trio.open_nursery() as nursery:
        names.txt("example.com", "v=spf1 mx ptr -all")
        for number in range(10):
            names.add("example.com", "MX", f"{number} m{number}.example.com.")
            names.fault(f"m{number}.example.com", Fault.SILENCE)
        nursery.start_soon(result, names)
        for number in range(10):
            await names.wait_asked(f"m{number}.example.com")
        nursery.cancel_scope.cancel()


async def test_what_is_kept_follows_the_dns(mock_clock: MockClock) -> None:
    async with open_names() as names:
        names.ttl = 60
        names.txt("example.com", "v=spf1 include:i.example.com -all")
        names.txt("i.example.com", "v=spf1 ip4:192.0.2.1 ?all")
        room = mail_auth(names)
        for _ in range(3):
            assert "pass" == (await room.judge(RAW, HOP, "")).spf.result
        assert 1 == names.asked("example.com") == names.asked("i.example.com")
        names.forget("i.example.com")
        names.txt("i.example.com", "v=spf1 ip4:192.0.2.2 ?all")
        mock_clock.jump(61)
        assert "fail" == (await room.judge(RAW, HOP, "")).spf.result
        assert "pass" == (await room.judge(RAW, Hop("192.0.2.2", "", HOP.sender), "")).spf.result


async def test_what_is_kept_is_of_one_client_and_no_sender() -> None:
    async with open_names() as names:
        names.txt("example.com", "v=spf1 exists:%{l}.example.com -all")
        names.add("joe.example.com", "A", "127.0.0.2")
        room = mail_auth(names)
        senders = ("joe@example.com", "eve@example.com", "joe@example.com")
        results = [(await room.judge(RAW, Hop("192.0.2.1", "", sender), "")).spf.result for sender in senders]
        assert ["pass", "fail", "pass"] == results


async def test_the_look_ups_of_a_mail_have_one_deadline(mock_clock: MockClock) -> None:
    """One after another they would take twice as long."""
    found = []
    async with open_names() as names, trio.open_nursery() as nursery:
        names.txt("example.com", "v=spf1 ptr a:slow.example.com +all")
        names.fault("1.2.0.192.in-addr.arpa", Fault.SILENCE)
        names.fault("slow.example.com", Fault.SILENCE)
        names.fault("_dmarc.example.com", Fault.SILENCE)

        async def judge() -> None:
            found.append(await mail_auth(names).judge(RAW, HOP, "example.com"))

        nursery.start_soon(judge)
        await names.wait_asked("1.2.0.192.in-addr.arpa")
        await wait_all_tasks_blocked(0.05)
        mock_clock.jump(DEADLINE_S)
        await names.wait_asked("slow.example.com")
        mock_clock.jump(LOOKUPS_S - DEADLINE_S)
    (judgement,) = found
    assert Spf("temperror", "example.com", spf.NO_ANSWER) == judgement.spf
    assert ("temperror", "none") == (judgement.dmarc.result, judgement.dmarc.disposition)
    assert ("example.com",) == judgement.later


async def test_silent_servers_of_many_domains_hold_up_no_other(mock_clock: MockClock) -> None:
    """No thread waits for the DNS."""
    found = []
    async with open_names() as names, trio.open_nursery() as nursery:
        names.txt("example.com", "v=spf1 ip4:192.0.2.1 -all")
        room = mail_auth(names)

        async def judge(domain: str) -> None:
            found.append((await room.judge(RAW, Hop("192.0.2.1", "", f"joe@{domain}"), "")).spf)

        for number in range(20):
            names.fault(f"n{number}.example", Fault.SILENCE)
            nursery.start_soon(judge, f"n{number}.example")
        await names.wait_asked("n19.example")
        await judge("example.com")
        assert [Spf("pass", "example.com")] == found
        nursery.cancel_scope.cancel()


async def test_the_word_of_a_hostile_record_is_shown_without_its_claws() -> None:
    async with open_names() as names:
        names.txt("example.com", f"v=spf1 he(llo)\\\x1b[31m{'x' * 200}")
        text = (await result(names)).text
        assert set("()\\\x1b").isdisjoint(text)
        assert len(text) <= 100
