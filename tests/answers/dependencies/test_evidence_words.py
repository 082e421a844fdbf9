"""Evidence codes as words in tables, graphs and pages."""

import pytest

from answers.dependencies.evidence_words import evidence_in_words
from answers.dependencies.graph import graph_of
from answers.dependencies.records import ObjectRecord, Presence


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ("users:not_in_the_catalog", "users: no collection of the catalog has them"),
        ("groups:failed:graph_throttled", "Groups: failed: graph throttled"),
        (
            "groups:never_read, users:not_in_the_catalog",
            "Groups: never read, users: no collection of the catalog has them",
        ),
        ("listing_is_older", "listing is older"),
        ("", ""),
    ],
)
def test_evidence_code_is_shown_in_words(evidence: str, words: str) -> None:
    assert evidence_in_words(evidence) == words


def test_graph_shows_evidence_in_words() -> None:
    holder = ObjectRecord(
        type_keys=["users"],
        external_id="1",
        display_name=None,
        kind=None,
        presence=Presence.NOT_READ,
        confidence=None,
        evidence="users:not_in_the_catalog",
        last_seen_at=None,
    )
    (node,) = graph_of([], holder).nodes.values()
    assert node.certainty == "not read: users: no collection of the catalog has them"
