"""Fixtures of the browser tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.simulated_graph import SimulatedGraph
from tests.browser.week import live_a_week
from tests.end_to_end.system import SEEDS, System


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=4, seed=next(SEEDS)) as server:
        yield server


@pytest.fixture
def week(system: System) -> System:
    """The product after a simulated week; its tenants are in the database, where the page's forms can change them."""
    live_a_week(system)
    secrets = system.folder / "secrets"
    content = (system.folder / "tenants.toml").read_text().replace(f"{secrets}/", "")
    (system.folder / "to-import.toml").write_text(content)
    system.environment |= {"TENANTS_FROM": "table", "TENANT_SECRETS_FOLDER": str(secrets)}
    result = system.starter("tenant", "import", "to-import.toml")
    assert result.code == 0, result.stderr
    return system


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder for pictures: BROWSER_PICTURES, or else a temporary folder."""
    folder = Path(os.environ.get("BROWSER_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
