"""Presence and confidence of objects: an object of an unread collection is never called gone."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.dependencies.records import KnownObject, ObjectState, Presence
from answers.dependencies.rules import item_presence, unseen_presence
from inventory.coverage import Coverage
from inventory.error_codes import ErrorCode
from inventory.missing import Confidence
from inventory.outcomes import Outcome

BEFORE = datetime(2026, 11, 1, tzinfo=UTC)
STARTED = BEFORE + timedelta(days=1)
AFTER = STARTED + timedelta(days=1)
KNOWN = frozenset({"groups", "apps"})


def covered(
    type_key: str = "groups",
    outcome: Outcome = Outcome.COMPLETE,
    error_code: ErrorCode | None = None,
    *,
    listed: bool = True,
    cleanly: bool = True,
) -> Coverage:
    return Coverage(
        type_key=type_key,
        run_id=UUID(int=1),
        run_started_at=STARTED,
        outcome=outcome,
        error_code=error_code,
        first_listed_at=STARTED if listed else None,
        listed_run_id=UUID(int=1) if listed else None,
        listed_from=STARTED if listed else None,
        listed_at=STARTED if listed else None,
        listed_cleanly=cleanly if listed else None,
    )


THROTTLED = covered(outcome=Outcome.FAILED, error_code=ErrorCode.GRAPH_THROTTLED, listed=False)
THROTTLED_LATER = covered(outcome=Outcome.FAILED, error_code=ErrorCode.GRAPH_THROTTLED)
SKIPPED = covered(outcome=Outcome.SKIPPED, error_code=ErrorCode.GRAPH_NOT_LICENSED, listed=False)


def unseen(referred_at: datetime, *coverage: Coverage, types: tuple[str, ...] = ("groups",)) -> ObjectState:
    return unseen_presence(types, referred_at, {collection.type_key: collection for collection in coverage}, KNOWN)


@pytest.mark.parametrize(
    ("state", "presence", "confidence", "evidence"),
    [
        (unseen(BEFORE, covered()), Presence.NEVER_SEEN, Confidence.HIGH, "never_listed"),
        (unseen(BEFORE, covered(cleanly=False)), Presence.NEVER_SEEN, Confidence.LOW, "never_listed"),
        (unseen(AFTER, covered()), Presence.NEVER_SEEN, Confidence.LOW, "listing_is_older"),
        (unseen(BEFORE, THROTTLED_LATER), Presence.NEVER_SEEN, Confidence.LOW, "never_listed"),
        (unseen(BEFORE, SKIPPED), Presence.NEVER_SEEN, Confidence.LOW, "never_listed"),
        (unseen(BEFORE, THROTTLED), Presence.NOT_READ, None, "groups:failed:graph_throttled"),
        (unseen(BEFORE), Presence.NOT_READ, None, "groups:never_read"),
        (unseen(BEFORE, types=("users",)), Presence.NOT_READ, None, "users:not_in_the_catalog"),
        (unseen(BEFORE, covered(), types=("groups", "apps")), Presence.NOT_READ, None, "apps:never_read"),
        (
            unseen(BEFORE, covered(), covered("apps"), types=("groups", "apps")),
            Presence.NEVER_SEEN,
            Confidence.HIGH,
            "never_listed",
        ),
    ],
)
def test_presence_of_an_unseen_object(
    state: ObjectState, presence: Presence, confidence: Confidence | None, evidence: str
) -> None:
    assert state == (presence, confidence, evidence)


def known(evidence: str | None = None, confidence: str | None = None) -> KnownObject:
    return KnownObject("groups", "Pilot", {}, BEFORE, evidence, confidence)


@pytest.mark.parametrize(
    ("known_object", "coverage", "expected"),
    [
        (known(), covered(), (Presence.PRESENT, Confidence.HIGH, "listed")),
        (known(), covered(cleanly=False), (Presence.PRESENT, Confidence.LOW, "listed")),
        (known(), THROTTLED_LATER, (Presence.PRESENT, Confidence.LOW, "groups:failed:graph_throttled")),
        (known(), None, (Presence.PRESENT, Confidence.LOW, "groups:never_read")),
        (known("confirmed", "high"), covered(), (Presence.ABSENT, Confidence.HIGH, "confirmed")),
        (known("not_listed", "low"), covered(), (Presence.ABSENT, Confidence.LOW, "not_listed")),
        (known("confirmed", "high"), THROTTLED_LATER, (Presence.ABSENT, Confidence.LOW, "confirmed")),
    ],
)
def test_presence_of_a_known_item(known_object: KnownObject, coverage: Coverage | None, expected: ObjectState) -> None:
    assert item_presence(known_object, coverage) == expected


@given(
    st.lists(st.sampled_from(["groups", "apps", "users"]), min_size=1, max_size=3, unique=True),
    st.dictionaries(
        st.sampled_from(["groups", "apps"]),
        st.builds(covered, outcome=st.sampled_from(Outcome), listed=st.booleans(), cleanly=st.booleans()),
    ),
    st.sampled_from([BEFORE, AFTER]),
)
def test_high_confidence_needs_a_clean_complete_listing_of_every_collection(
    types: list[str], coverage: dict[str, Coverage], referred_at: datetime
) -> None:
    state = unseen_presence(types, referred_at, coverage, KNOWN)
    if state.confidence is Confidence.HIGH:
        assert all(coverage[key].is_current and coverage[key].listed_cleanly for key in types)
        assert referred_at == BEFORE
    assert (state.presence is Presence.NOT_READ) == (state.confidence is None)
