"""The printed length of a documentation page."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.browser.chromium import needs_chromium, visit

pytestmark = [pytest.mark.browser, needs_chromium]

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"

STYLE = """
body { font: 11pt/1.4 sans-serif }
table { border-collapse: collapse } th, td { border: 1px solid #999; padding: 3px 6px; text-align: left }
pre { white-space: pre-wrap }
"""

MARGIN = "2cm"


async def test_operating_stays_under_ten_printed_pages(pictures: Path) -> None:
    html = MarkdownIt("commonmark").enable("table").render(OPERATING.read_text())
    async with visit() as visitor:
        await visitor.page.set_content(f"<meta charset='utf-8'><style>{STYLE}</style>{html}")
        pdf = await visitor.page.pdf(
            path=pictures / "operating.pdf",
            format="A4",
            margin={"top": MARGIN, "right": MARGIN, "bottom": MARGIN, "left": MARGIN},
        )
    assert 2 < len(re.findall(rb"/Type\s*/Page\b", pdf)) < 10
