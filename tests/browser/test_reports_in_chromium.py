"""The reports of the simulated tenants, opened in a browser and printed: `make browser`.

With BROWSER_PICTURES=FOLDER the pictures and the PDFs are kept there.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.simulated_graph import Fault, FaultKind, SimulatedGraph
from tests.browser.chromium import Chromium, needs_chromium
from tests.end_to_end.system import SEEDS, System

pytestmark = [pytest.mark.browser, needs_chromium]

TYPES = (
    "deviceConfigurations", "deviceCompliancePolicies", "configurationPolicies", "conditionalAccessPolicies",
    "namedLocations", "groups", "assignmentFilters",
)  # fmt: skip
SELECTION = tuple(word for key in TYPES for word in ("--type", key))
CONFIGURATIONS = "deviceManagement/deviceConfigurations"
COMPLIANCE = "deviceManagement/deviceCompliancePolicies"
ACCESS = "identity/conditionalAccess/policies"
CATALOG = "deviceManagement/configurationPolicies"


HEADINGS = {
    "changes": ("Changes in", "Noticed"),
    "drift": ("Drift of", "Baseline"),
    "comparison": (" and ", "Groups"),
    "matrix": ("against 3 tenants", "Compliance policies"),
}


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=4, seed=next(SEEDS)) as server:
        yield server


@pytest.fixture
def pages(system: System) -> dict[str, Path]:
    """A tenant's week, and the reports of it, by name."""
    system.environment["LOGNAME"] = "ada"
    system.start_worker()
    _roll_out(system)
    mine, other, *_ = system.graph.tenants
    for tenant in system.graph.tenants:
        assert system.starter("sync", tenant.name, *SELECTION, "--json").code == 0
    assert system.starter("baseline", "set", mine.name, "golden", "--reason", "as approved in March").code == 0
    _edit(system)
    system.graph.faults.add(Fault(FaultKind.FORBIDDEN, tenant_id=mine.id, path="/namedLocations"))
    # The log has to be read after all else, so that it is known to be whole.
    for selection in (SELECTION, ("--type", "auditEvents")):
        assert system.starter("sync", mine.name, *selection, "--json").code in (0, 3)
    _decide(system)
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
    made = {}
    for name, words in commands.items():
        made[name] = system.folder / f"{name}.html"
        done = system.starter(*words, "--html", str(made[name]))
        assert done.code in (0, 3), done.stderr
    return made


def _roll_out(system: System) -> None:
    """Compliance policies that are meant to be the same in all tenants, and are not quite."""
    for number, tenant in enumerate(system.graph.tenants):
        for document in tenant.documents(COMPLIANCE):
            tenant.remove(COMPLIANCE, document["id"])
        for place, name in enumerate(("Windows, laptops", "Windows, kiosks", "Frontline tablets", "Executives")):
            if number != place:
                policy = {
                    "@odata.type": "#microsoft.graph.windows10CompliancePolicy",
                    "displayName": f"Compliance - {name}",
                    "description": None,
                    "passwordRequired": True,
                    "passwordMinimumLength": 8 if number + place == 3 else 12,
                    "bitLockerEnabled": number + place != 4,
                    "roleScopeTagIds": ["0"],
                }
                tenant.add(COMPLIANCE, policy)


def _decide(system: System) -> None:
    """The text about two findings."""
    mine = system.tenant.name
    findings = [record for record in system.starter("drift", mine, "--json").objects() if "fingerprint" in record]
    for finding, decision, reason in zip(
        findings,
        ("accepted", "expected"),
        ("pilot of the service desk", "kiosks come with the next wave"),
        strict=False,
    ):
        done = system.starter("drift", "decide", mine, finding["fingerprint"], "--as", decision, "--why", reason)
        assert done.code == 0, done.stderr


def _edit(system: System) -> None:
    """What administrators do in a week, some of it with an audit event."""
    tenant = system.graph.tenants[0]
    kiosk, printers, *_ = [document["id"] for document in tenant.documents(CONFIGURATIONS)]
    groups = [document["id"] for document in tenant.documents("groups", "v1.0")]
    policy, *_ = tenant.documents(CATALOG)
    access = [document["id"] for document in tenant.documents(ACCESS, "v1.0")]
    compliance = [document["id"] for document in tenant.documents(COMPLIANCE)]
    tenant.rename(CONFIGURATIONS, kiosk, "Kiosk baseline (pilot)")
    tenant.change(CONFIGURATIONS, printers, {"description": "Printers of all sites.\nAsk the service desk first."})
    tenant.reassign(CONFIGURATIONS, printers, groups[:2])
    tenant.change(ACCESS, access[0], {"state": "disabled"})
    tenant.remove(COMPLIANCE, compliance[0])
    tenant.change(CATALOG, policy["id"], {"description": "Changed by hand"})
    tenant.add(CONFIGURATIONS, {"@odata.type": "#microsoft.graph.iosCustomConfiguration", "displayName": "Wi-Fi <new>"})
    for object_id, operation, actor in (
        (kiosk, "Patch", "ada@contoso.example"),
        (printers, "Patch", "grace@contoso.example"),
        (compliance[0], "Delete", "ada@contoso.example"),
    ):
        tenant.add(
            "deviceManagement/auditEvents",
            {
                "activityType": f"{operation} DevicePolicy",
                "displayName": f"{operation} DevicePolicy",
                "activityDateTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "activityOperationType": operation,
                "activityResult": "Success",
                "actor": {"userPrincipalName": actor},
                "resources": [{"resourceId": object_id, "displayName": "Policy"}],
            },
        )


def test_reports_open_without_a_complaint_and_ask_for_nothing(pages: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(os.environ.get("BROWSER_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    browser = Chromium(tmp_path)
    for name, page in pages.items():
        (folder / page.name).write_bytes(page.read_bytes())
        browser.screenshot(page, folder / f"{name}.png")
        browser.screenshot(page, folder / f"{name}-dark.png", dark=True)
        browser.print(page, folder / f"{name}.pdf")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        headings = re.findall(r"<h[123].*?</h[123]>", browser.rendered(page), re.DOTALL)
        for words in HEADINGS[name]:
            assert any(words in heading for heading in headings), f"{name}: {words}"
    assert browser.complaints == []
    assert browser.requests == set()


def test_the_browser_complains_where_a_page_runs_a_script_or_fetches(tmp_path: Path) -> None:
    """What the test above relies on."""
    page = tmp_path / "page.html"
    page.write_text('<script>console.error("seen")</script><img src="http://127.0.0.1:9/pixel.png">')
    browser = Chromium(tmp_path)
    browser.print(page, tmp_path / "page.pdf")
    assert any("seen" in line for line in browser.complaints)
    assert browser.requests == {"http://127.0.0.1:9/pixel.png"}
