"""Fixtures for modules that play the shared cases or use a rig."""

from collections.abc import Iterator

import pytest

from local.postgres import EmbeddedPostgres
from local.temporal import EmbeddedTemporal
from tests.chaos.rig import Beside
from tests.conftest import copy_of
from tests.end_to_end.cases import Stage, Theatre, theatre


@pytest.fixture(scope="session")
def shared_theatre(
    postgres: EmbeddedPostgres,
    migrated_template: str,
    temporal: EmbeddedTemporal,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Theatre]:
    with theatre(postgres, migrated_template, temporal, tmp_path_factory.mktemp("cases"), cases=60) as shared:
        yield shared


@pytest.fixture
def stage(shared_theatre: Theatre) -> Stage:
    return shared_theatre.stage()


@pytest.fixture(scope="module")
def beside(postgres: EmbeddedPostgres, migrated_template: str, temporal: EmbeddedTemporal) -> Iterator[Beside]:
    """The shared servers of a rig that restarts none of them."""
    for database_url in copy_of(postgres, migrated_template):
        yield Beside(temporal, database_url)
