"""The generated pages say what the code says, and links lead somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from temporalio.client import Client

from docs.generate import FOLDER, PAGES
from graph.catalog import load_catalog
from local.simulated_graph import FaultKind
from local.temporal import EmbeddedTemporal
from tests.end_to_end.test_faults import ENDINGS, Ending

WEB = ("https://", "http://127.0.0.1")
"""What links lead to beside files: the web, and Temporal Web on this machine."""


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run: make docs"


@pytest.mark.parametrize("kind", ENDINGS)
def test_the_page_on_reliability_has_the_ending_of_each_fault(kind: FaultKind) -> None:
    once, for_good = (_in_words(ending) for ending in ENDINGS[kind])
    table = (FOLDER / "reliability.md").read_text().split("| faults | once | for good |\n")[1].split("\n\n")[0]
    rows = [row for row in table.splitlines() if f"`{kind.value}`" in row]
    assert len(rows) == 1
    assert rows[0].endswith(f"| {once} | {for_good} |")


def test_the_readme_has_the_number_of_collections() -> None:
    readme = (FOLDER.parent / "README.md").read_text()
    assert f"has {len(load_catalog().collections)} collections" in readme


def test_links_lead_to_files_and_headings() -> None:
    checkout = FOLDER.parent
    pages = [checkout / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
        FOLDER.rglob("*.md")
    )
    broken = [
        f"{page.relative_to(checkout)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if not link.startswith(("https://", "http://127.0.0.1"))
        and not _leads_somewhere(page, *link.partition("#")[::2])
    ]
    assert broken == []


def _leads_somewhere(page: Path, name: str, heading: str) -> bool:
    target = page.parent / name if name else page
    if not heading:
        return target.exists()
    headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
    return heading in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


def _in_words(ending: Ending) -> str:
    code = f", `{ending.error_code}`" if ending.error_code else ""
    return f"{ending.status}, {ending.outcome}{code}"


async def test_temporal_answers_the_saved_views(temporal: EmbeddedTemporal) -> None:
    views = re.findall(r"\?query=(\S+)\) \| `(.*)` \|", (FOLDER / "portfolio.md").read_text())
    assert len(views) > 4
    client = await Client.connect(temporal.address)
    for link, query in views:
        assert unquote(link) == query
        assert (await client.count_workflows(query)).count >= 0
