"""The generated pages say what the code says."""

import pytest

from docs.generate import FOLDER, PAGES


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run: make docs"
