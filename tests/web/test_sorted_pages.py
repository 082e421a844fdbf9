"""Pages of sorted lists and files of whole lists, without a database."""

from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from web import twins
from web.scope import NoSuchPageError
from web.sorted_pages import sorted_page

NAMES = st.text(max_size=120)


class Row(BaseModel):
    name: str


class Remark(BaseModel):
    text: str


def pages(rows: list[tuple[str, str]], most: int) -> list[list[tuple[str, str]]]:
    """All pages in order."""
    found, after = [], ""
    while True:
        page = sorted_page(rows, lambda row: row, after, most)
        assert page.total == len(rows)
        found.append(page.rows)
        if page.goes_on is None:
            return found
        after = page.goes_on


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b" * 100, "ä"]), NAMES), max_size=40), st.integers(1, 9))
@example([("a", "same")] * 5, 2)
@example([("b" * 100, ""), ("b" * 90, ""), ("b" * 80, "")], 1)
def test_pages_have_each_row_once(rows: list[tuple[str, str]], most: int) -> None:
    found = pages(rows, most)
    assert sorted(row for page in found for row in page) == sorted(rows)
    assert all(len(page) == most for page in found[:-1])


def test_added_and_removed_rows_do_not_shift_the_next_page() -> None:
    rows = [("a", str(number)) for number in range(9)]
    first = sorted_page(rows, lambda row: row, "", 3)
    assert first.goes_on is not None
    changed = [("a", "00"), *rows[:1], *rows[3:]]
    assert sorted_page(changed, lambda row: row, first.goes_on, 3).rows == rows[3:6]


@pytest.mark.parametrize("after", ["x", "{}", "[1]", '"a"', "[" * 5000, "null"])
def test_invalid_page_position_is_refused(after: str) -> None:
    with pytest.raises(NoSuchPageError):
        sorted_page([("a", "b")], lambda row: row, after, 1)


async def stream_of(records: Iterable[BaseModel]) -> AsyncIterator[BaseModel]:
    for record in records:
        yield record


async def test_file_has_only_rows_of_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "MOST_ROWS", 2)
    answer = await twins.whole_csv_file("x", Row, stream_of([Row(name="=a"), Remark(text="b"), Row(name="c")]))
    assert [block async for block in answer.body_iterator] == [b"name\r\n'=a\r\nc\r\n"]


async def test_file_of_too_many_rows_is_refused_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "MOST_ROWS", 2)
    with pytest.raises(twins.TooManyRowsError, match="more than 2 rows"):
        await twins.whole_csv_file("x", Row, stream_of([Row(name="a")] * 3))


def test_file_name_is_safe_in_a_header() -> None:
    assert twins.as_download('Ünï"\r\nX: y.csv') == {"Content-Disposition": 'attachment; filename="n-X-y.csv"'}
    assert twins.as_download("§") == {"Content-Disposition": 'attachment; filename="file"'}
