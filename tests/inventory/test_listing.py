"""The completeness of a listing by its pages, and the claims of a run record about it."""

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.claims import Claims, Evidence, proven
from inventory.error_codes import ErrorCode
from inventory.listing import BEGINNING, PageLinks, is_listed_to_its_end, position_of
from inventory.outcomes import CollectionResult, Outcome, RunStatus, run_status

Tree = dict[int, list[int]]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A listing: the pages to which each page links. Page 0 is the first; an earlier page links to each other page."""
    size = draw(st.integers(1, 12))
    links: Tree = {number: [] for number in range(size)}
    for number in range(1, size):
        links[draw(st.integers(0, number - 1))].append(number)
    return links


def code_of(number: int, answer: int = 0) -> UUID:
    return position_of(f"page {number}, by answer {answer}")


def read(tree: Tree) -> list[PageLinks]:
    beginning = PageLinks(BEGINNING, [code_of(0)], is_merged=True)
    return [
        beginning,
        *(PageLinks(code_of(page), [code_of(link) for link in links], True) for page, links in tree.items()),
    ]


@given(trees(), st.randoms())
def test_a_listing_is_complete_if_all_pages_are_read_and_merged(tree: Tree, random: object) -> None:
    pages = read(tree)
    random.shuffle(pages)  # type: ignore[attr-defined]
    assert is_listed_to_its_end(pages)


@given(trees(), st.data())
def test_an_unread_or_unmerged_page_leaves_the_listing_incomplete(tree: Tree, data: st.DataObject) -> None:
    pages = read(tree)
    number = data.draw(st.integers(0, len(pages) - 1))
    assert not is_listed_to_its_end(pages[:number] + pages[number + 1 :])
    if number:
        assert not is_listed_to_its_end(
            [*pages[:number], pages[number]._replace(is_merged=False), *pages[number + 1 :]]
        )


@given(trees(), st.data())
def test_a_page_with_lost_rows_can_be_read_again_with_new_links(tree: Tree, data: st.DataObject) -> None:
    pages = read(tree)
    number = data.draw(st.integers(1, len(pages) - 1))
    lost, again = (
        pages[number]._replace(is_merged=False),
        pages[number]._replace(opens=[position_of("of another time")]),
    )
    assert is_listed_to_its_end([*pages[:number], lost, again, *pages[number + 1 :]])


@given(trees(), trees(), st.data())
def test_a_restarted_listing_is_complete_if_its_second_attempt_is(
    first: Tree, second: Tree, data: st.DataObject
) -> None:
    given_up = read(first)[: data.draw(st.integers(1, len(first)))]
    anew = [
        PageLinks(code_of(page, 1) if page else code_of(0), [code_of(link, 1) for link in links], True)
        for page, links in second.items()
    ]
    assert is_listed_to_its_end([*given_up, *anew])


def test_a_circle_of_pages_is_no_complete_listing() -> None:
    circle = [PageLinks(code_of(0), [code_of(1)], True), PageLinks(code_of(1), [code_of(0)], True)]
    assert not is_listed_to_its_end([PageLinks(BEGINNING, [code_of(0)], True), *circle])
    assert not is_listed_to_its_end([])


RESULTS = st.builds(
    CollectionResult, outcome=st.sampled_from(list(Outcome)), error_code=st.none() | st.sampled_from(list(ErrorCode))
)
KEYS = st.sampled_from("abcd")


@settings(max_examples=300)
@given(st.dictionaries(KEYS, RESULTS), st.sets(KEYS), st.sets(KEYS), st.sets(KEYS), st.sets(KEYS))
def test_a_run_record_claims_no_more_than_its_evidence(
    results: dict[str, CollectionResult],
    listed: set[str],
    refused: set[str],
    undetailed: set[str],
    unconfirmed: set[str],
) -> None:
    claims = proven(Claims(RunStatus.SUCCESS, [], results), "abcd", Evidence(listed, refused, undetailed, unconfirmed))
    for key, result in claims.collections.items():
        assert result.outcome is not Outcome.COMPLETE or key in listed - unconfirmed
        assert result.outcome is not Outcome.SKIPPED or key in refused
    if claims.status is RunStatus.SUCCESS:
        assert set(claims.collections) == set("abcd")
        assert not undetailed & {key for key, claim in claims.collections.items() if claim.outcome is Outcome.COMPLETE}


@given(st.dictionaries(KEYS, RESULTS, min_size=1))
def test_claims_with_full_evidence_stay_unchanged(results: dict[str, CollectionResult]) -> None:
    status = run_status(results.values())
    evidence = Evidence(set(results), set(results), set(), set())
    claims = proven(Claims(status, [], results), sorted(results), evidence)
    assert (claims.status, claims.collections) == (status, results)
