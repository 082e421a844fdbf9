"""An engineer's week on the pages, in a browser with and without JavaScript."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.chromium import needs_chromium, visit
from tests.browser.site import sign_in
from tests.end_to_end.system import System

pytestmark = [pytest.mark.browser, needs_chromium]

TIMEOUT_MS = 5 * 60_000


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
async def test_a_week_of_work(week: System, script: bool) -> None:
    async with visit(script=script) as visitor:
        page = visitor.page
        page.set_default_timeout(TIMEOUT_MS)
        await sign_in(visitor, week)
        await _see_which_tenant_needs_work(page)
        await _see_the_author_of_a_change(page)
        await _see_the_missing_permission(page)
        await _decide_on_drift(page)
        await _set_a_baseline(page)
        await _decide_on_a_plan(page)
        await _see_deviations_from_the_golden_tenant(page)
        await _find(page)
        await _start_a_run(page, script=script)
        await _read_the_audit_records(page)
    assert visitor.complaints == []


async def _go(page: Page, *names: str) -> None:
    for name in names:
        await page.get_by_role("link", name=name, exact=True).first.click()


async def _says(page: Page, words: str) -> None:
    await expect(page.get_by_role("main")).to_contain_text(words, timeout=TIMEOUT_MS)


async def _see_which_tenant_needs_work(page: Page) -> None:
    await _says(page, "1 of 4 tenants needs attention")
    await _go(page, "Contoso")
    await _says(page, "6 of 7 collections read")


async def _see_the_author_of_a_change(page: Page) -> None:
    await page.get_by_role("navigation", name="Tenant", exact=True).get_by_role("link", name="Changes").click()
    await _says(page, "by ada@contoso.example")
    await _go(page, "Kiosk baseline (pilot)")
    await _says(page, "What changed from version 1 to 2")


async def _see_the_missing_permission(page: Page) -> None:
    await page.get_by_role("navigation", name="Tenant", exact=True).get_by_role("link", name="Coverage").click()
    await _says(page, "Policy.Read.All")


async def _decide_on_drift(page: Page) -> None:
    await page.get_by_role("navigation", name="Tenant", exact=True).get_by_role("link", name="Drift").click()
    counts = page.get_by_role("main").locator("ul.counts")
    before = int(re.findall(r"(\d+) open", await counts.inner_text())[0])
    await page.locator("input[name=finding]").first.check()
    await page.get_by_role("button", name=re.compile("Decide about the ticked")).click()
    await page.get_by_label("accepted: known").check()
    await page.get_by_role("textbox", name="Reason").fill("agreed with the service desk")
    await page.get_by_label("These findings are closed").check()
    await page.get_by_role("button", name="Decide", exact=True).click()
    await _says(page, "agreed with the service desk")
    await page.get_by_role("navigation", name="Tenant", exact=True).get_by_role("link", name="Drift").click()
    await expect(counts).to_contain_text(f"{before - 1} open", timeout=TIMEOUT_MS)


async def _set_a_baseline(page: Page) -> None:
    await page.get_by_role("main").get_by_role("link", name="Baselines", exact=True).click()
    await page.get_by_label("Name", exact=True).fill("friday")
    form = page.locator("form").filter(has_text="Of what")
    await form.get_by_label("Reason").fill("before the holidays")
    await form.get_by_label("The versions of then are kept").check()
    await form.get_by_role("button", name="Set the baseline").click()
    await _says(page, "Drift from friday")


async def _decide_on_a_plan(page: Page) -> None:
    await _go(page, "Tenants", "Fabrikam")
    await page.get_by_role("navigation", name="Tenant", exact=True).get_by_role("link", name="Plans").click()
    await page.get_by_role("main").get_by_role("rowheader").get_by_role("link").first.click()
    form = page.locator("form").filter(has_text="Reason to reject")
    await form.get_by_label("Reason to reject").fill("after the freeze")
    await form.get_by_label("The plan is rejected for good").check()
    await form.get_by_role("button", name="Reject").click()
    await _says(page, "Rejected by")
    await _says(page, "after the freeze")


async def _see_deviations_from_the_golden_tenant(page: Page) -> None:
    await _go(page, "Compare")
    golden = page.locator("input[name=golden]:not([type=hidden])")
    await golden.fill("Contoso")
    await page.locator("form").filter(has=golden).get_by_role("button").click()
    await _says(page, "Fabrikam")


async def _find(page: Page) -> None:
    await _go(page, "Search")
    await page.get_by_label("Words of the name").fill("kiosk baseline")
    await page.get_by_role("button", name="Search").click()
    await _says(page, "Kiosk baseline (pilot)")
    await _go(page, "Settings")
    await page.get_by_label("Setting", exact=True).fill("bitLockerEnabled")
    await page.get_by_role("textbox", name="Value").fill("false")
    await page.get_by_role("main").get_by_role("button").first.click()
    await _says(page, "Contoso")


async def _start_a_run(page: Page, *, script: bool) -> None:
    await _go(page, "Tenants", "Contoso")
    await page.get_by_role("link", name=re.compile("Start a run")).click()
    await page.get_by_role("textbox", name="Reason").fill("after the change")
    await page.get_by_role("button", name="Start the run").click()
    status = page.get_by_role("main").get_by_text(re.compile("success|partial"))
    while not script and not await status.count():
        await page.reload()
    await expect(status.first).to_be_visible(timeout=TIMEOUT_MS)


async def _read_the_audit_records(page: Page) -> None:
    await _go(page, "Audit")
    await _says(page, "agreed with the service desk")
    await _says(page, "after the change")
