"""The generated pages say what the code says."""

import pytest

from docs.generate import FOLDER, PAGES
from local.simulated_graph import FaultKind
from tests.end_to_end.test_faults import ENDINGS, Ending


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run: make docs"


@pytest.mark.parametrize("kind", ENDINGS)
def test_the_page_on_reliability_has_the_ending_of_each_fault(kind: FaultKind) -> None:
    once, for_good = (_in_words(ending) for ending in ENDINGS[kind])
    assert f"| `{kind.value}` | {once} | {for_good} |" in (FOLDER / "reliability.md").read_text()


def _in_words(ending: Ending) -> str:
    code = f", `{ending.error_code}`" if ending.error_code else ""
    return f"{ending.status}, {ending.outcome}{code}"
