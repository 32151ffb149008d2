import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.addresses import Addresses
from protocol.errors import RemoteProtocolError


def test_an_address_is_ours_in_any_spelling_and_nobody_elses() -> None:
    ours = Addresses.parse(["Anna@Example.org", "*@BÜCHER.example", "anna@example.org", "zoe@example.net"])
    assert ours == Addresses(("anna@example.org", "zoe@example.net"), frozenset({"xn--bcher-kva.example"}))
    asked = {
        "ANNA@example.ORG": True,
        " zoe@example.net ": True,
        "anyone@bücher.example": True,
        "anyone@xn--bcher-kva.example": True,
        "anna@sub.example.org": False,
        "anna+tag@example.org": False,
        "anyone@sub.xn--bcher-kva.example": False,
        "example.org": False,
        "": False,
    }
    assert {one: one in ours for one in asked} == asked
    assert ours.main == "anna@example.org"


def test_mail_to_a_tag_is_for_who_made_it_up_and_proves_nothing() -> None:
    ours = Addresses.parse(["anna@example.org", "*@all.example"])
    asked = {
        "ANNA@example.ORG": "anna@example.org",
        "Anna+Shop@Example.org": "anna@example.org",
        "anna+a+b@example.org": "anna@example.org",
        "anna+@example.org": "anna@example.org",
        "any+thing@all.example": "any+thing@all.example",
        "+anna@example.org": None,
        "bob+anna@example.org": None,
        "anna+x@sub.example.org": None,
        '"anna+x"@example.org': None,
        "anna+x": None,
        "": None,
    }
    assert {one: ours.taken_for(one) for one in asked} == asked
    assert "anna+shop@example.org" not in ours


def test_without_a_whole_address_there_is_none_to_write_from() -> None:
    assert (Addresses().main, bool(Addresses())) == (None, False)
    assert (Addresses.parse(["*@example.org"]).main, bool(Addresses.parse(["*@example.org"]))) == (None, True)


@pytest.mark.parametrize("text", ["", "*", "*@", "*@*", "anna", "an na@example.org", "*x@example.org@"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Addresses.parse([text])


@given(st.text(max_size=40))
def test_any_text_is_ours_or_not(text: str) -> None:
    ours = Addresses.parse(["*@example.org", "anna@example.net"])
    assert (text in ours) in (True, False)
    assert ours.taken_for(text) in (None, "anna@example.net") or text in ours
