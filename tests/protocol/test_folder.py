"""The folder rule, row by row of protocol.md §6."""

import pytest

from protocol.folder import REFUSED, RULES, SYSTEM_FOLDERS, Arrival, Relation, folder_for

ACCEPTED = Relation.ACCEPTED


@pytest.mark.parametrize(
    ("arrival", "folder"),
    [
        (Arrival(Relation.ONESELF), "inbox"),
        (Arrival(Relation.ONESELF, sent_copy=True), "sent"),
        (Arrival(Relation.ONESELF, quarantined=True), "inbox"),
        (Arrival(Relation.REVOKED), REFUSED),
        (Arrival(Relation.REVOKED, quarantined=True), REFUSED),
        (Arrival(ACCEPTED, quarantined=True), "spam"),
        (Arrival(Relation.NONE, quarantined=True), "spam"),
        (Arrival(ACCEPTED), "inbox"),
        (Arrival(ACCEPTED, recent=30, recent_read=0, bulk=True), "inbox"),
        (Arrival(ACCEPTED, subscription=True), "inbox"),
        (Arrival(ACCEPTED, subscription=True, bulk=True), "goodreads"),
        (Arrival(ACCEPTED, subscription=True, recent=8, recent_read=0), "inbox"),
        (Arrival(ACCEPTED, subscription=True, recent=9, recent_read=0), "other"),
        (Arrival(ACCEPTED, subscription=True, recent=9, recent_read=0, bulk=True), "other"),
        (Arrival(ACCEPTED, subscription=True, recent=30, recent_read=8), "other"),
        (Arrival(ACCEPTED, subscription=True, recent=30, recent_read=9), "inbox"),
        (Arrival(ACCEPTED, subscription=True, recent=30, recent_read=9, bulk=True), "goodreads"),
        (Arrival(Relation.NONE), "handshake"),
        (Arrival(Relation.NONE, subscription=True, recent=30, bulk=True), "handshake"),
    ],
)
def test_first_rule_that_fits(arrival: Arrival, folder: str) -> None:
    assert folder == folder_for(arrival)


def test_every_rule_leads_to_a_system_folder_or_refuses() -> None:
    assert {rule.folder for rule in RULES} <= {*SYSTEM_FOLDERS, REFUSED}
