"""The command line on a module's tenant, for tests of answers."""

from pathlib import Path

import pytest

from tests.cli.command_line import CommandLine


@pytest.fixture
def starter(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """Commands about the module's `TENANT`, or else the test's, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    tenant_id = getattr(request.module, "TENANT", None) or request.getfixturevalue("tenant_id")
    return CommandLine(database_url, tmp_path, tenant_id)
