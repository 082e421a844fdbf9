"""Fixtures for modules that play the shared cases or use a rig."""

from collections.abc import Iterator

import pytest

from local.postgres import EmbeddedPostgres
from local.temporal import EmbeddedTemporal
from tests.chaos.rig import SharedServers
from tests.conftest import copy_of
from tests.end_to_end.cases import SharedSystem, TenantPair, shared_system


@pytest.fixture(scope="session")
def shared_case_system(
    postgres: EmbeddedPostgres,
    migrated_template: str,
    temporal: EmbeddedTemporal,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SharedSystem]:
    with shared_system(postgres, migrated_template, temporal, tmp_path_factory.mktemp("cases"), cases=60) as shared:
        yield shared


@pytest.fixture
def pair(shared_case_system: SharedSystem) -> TenantPair:
    return shared_case_system.pair()


@pytest.fixture(scope="module")
def shared_servers(
    postgres: EmbeddedPostgres, migrated_template: str, temporal: EmbeddedTemporal
) -> Iterator[SharedServers]:
    """The shared servers of a rig that restarts none of them."""
    for database_url in copy_of(postgres, migrated_template):
        yield SharedServers(temporal, database_url)
