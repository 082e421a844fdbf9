"""The reports of the simulated tenants, opened in a browser and printed: `make browser`.

BROWSER_PICTURES=FOLDER keeps the pictures and the PDFs there.
"""

from pathlib import Path

import pytest

from tests.browser.chromium import needs_chromium, visit
from tests.browser.week import SELECTION
from tests.end_to_end.system import System

pytestmark = [pytest.mark.browser, needs_chromium]

HEADINGS = {
    "changes": ("Changes in", "Noticed"),
    "drift": ("Drift of", "Baseline"),
    "comparison": (" and ", "Groups"),
    "matrix": ("against 3 tenants", "Compliance policies"),
}


@pytest.fixture
def reports(week: System) -> dict[str, Path]:
    """The reports of the week, by name."""
    mine, other, *_ = week.graph.tenants
    commands = {
        "changes": ("changes", mine.name),
        "drift": ("drift", mine.name, "--all"),
        "comparison": ("compare", mine.name, other.name, *SELECTION),
        "matrix": (
            "compare",
            "--golden",
            mine.name,
            "--all",
            "--type",
            "deviceCompliancePolicies",
            "--type",
            "namedLocations",
        ),
    }
    files = {}
    for name, words in commands.items():
        files[name] = week.folder / f"{name}.html"
        result = week.starter(*words, "--html", str(files[name]))
        assert result.code in (0, 3), result.stderr
    return files


async def test_reports_open_without_errors_or_requests(reports: dict[str, Path], pictures: Path) -> None:
    async with visit() as visitor:
        for name, report in reports.items():
            (pictures / report.name).write_bytes(report.read_bytes())
            await visitor.page.goto(report.as_uri())
            headings = await visitor.page.locator("h1, h2, h3").all_inner_texts()
            for words in HEADINGS[name]:
                assert any(words in heading for heading in headings), f"{name}: {words}"
            for shade in ("light", "dark"):
                await visitor.page.emulate_media(color_scheme=shade)
                await visitor.page.screenshot(path=pictures / f"{name}-{shade}.png")
            assert (await visitor.page.pdf(path=pictures / f"{name}.pdf")).startswith(b"%PDF")
    assert visitor.complaints == []
    assert visitor.requests == set()


async def test_browser_records_script_errors_and_requests(tmp_path: Path) -> None:
    """The test above relies on this record."""
    page = tmp_path / "page.html"
    page.write_text('<script>console.error("seen")</script><img src="http://127.0.0.1:9/pixel.png">')
    async with visit() as visitor:
        await visitor.page.goto(page.as_uri())
    assert "seen" in visitor.complaints
    assert visitor.requests == {"http://127.0.0.1:9/pixel.png"}
