"""deploy/monitoring: alerts and a dashboard that load, and docs/operating.md on each alert."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.deadlines import DEADLINE_SECONDS
from tests.forks import CHECKOUT

MONITORING = CHECKOUT / "deploy" / "monitoring"
ALERTS: dict[str, Any] = yaml.safe_load((MONITORING / "alerts.yml").read_text())
DASHBOARD: dict[str, Any] = orjson.loads((MONITORING / "dashboard.json").read_bytes())
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
OPERATING = (CHECKOUT / "docs" / "operating.md").read_text()

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool here")


def expressions() -> Iterator[str]:
    """Every query of the alerts and of the dashboard."""
    yield from (rule["expr"] for rule in RULES)
    yield from (target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])


def names(expression: str) -> set[str]:
    """The metrics that a query names."""
    return set(re.findall(r"\b(?:tenant_inventory|temporal)_\w+|\bup\b", re.sub(r'"[^"]*"', "", expression)))


def promtool(*arguments: str | Path) -> None:
    result = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert result.returncode == 0, result.stdout + result.stderr


@needs_promtool
def test_prometheus_loads_the_configuration_and_the_rules() -> None:
    promtool("check", "config", "--lint=all", "--lint-fatal", MONITORING / "prometheus.yml")


@needs_promtool
@pytest.mark.slow
def test_the_alerts_fire_and_stay_silent_as_expected() -> None:
    promtool("test", "rules", CHECKOUT / "tests" / "deployment" / "alerts_test.yml")


@needs_promtool
def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert len(queries) > len(DASHBOARD["panels"]) > 10
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yml")


def test_panels_have_unique_ids_a_selectable_source_and_no_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    (source,) = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    cells = set()
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, panel["title"]
                cells.add((x, y))


def test_each_alert_has_a_severity_and_a_paragraph_in_the_docs() -> None:
    assert {rule["labels"]["severity"] for rule in RULES} == {"critical", "warning"}
    documented = re.findall(r"^\*\*`(TenantInventory\w+)`\*\*", OPERATING, re.MULTILINE)
    assert documented == [rule["alert"] for rule in RULES], "in the order of the file"
