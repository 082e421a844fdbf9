"""The two set-ups of roles, for the tests of isolation."""

from typing import NamedTuple

import pytest

from tests.conftest import OWNER


class SetUp(NamedTuple):
    """A migrated database to copy, and the login that tests use; None is the superuser."""

    template: str
    login: str | None


@pytest.fixture(scope="module", params=["two roles", "one role"])
def set_up(request: pytest.FixtureRequest, migrated_template: str, one_role_template: str) -> SetUp:
    return SetUp(migrated_template, None) if request.param == "two roles" else SetUp(one_role_template, OWNER)
