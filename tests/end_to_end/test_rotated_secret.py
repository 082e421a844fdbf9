"""Rotation of a tenant's client secret, by the steps of docs/operating.md, while a worker runs."""

import tomllib
from pathlib import Path

import pytest

from tests.end_to_end.system import System


@pytest.mark.slow
def test_rotating_a_client_secret_fails_no_run(system: System) -> None:
    system.start_worker()
    (entry, *_) = tomllib.loads((system.folder / "tenants.toml").read_text())["tenant"]
    secret_file = system.folder / entry["client_secret_file"]

    def doctor() -> int:
        return system.starter("doctor", system.tenant.name).code

    statuses = [system.sync("--type", "groups").status]
    system.tenant.register_secret("the new one")
    statuses.append(system.sync("--type", "groups").status)

    new_file = Path(f"{secret_file}.new")
    new_file.write_text("the new one")
    new_file.replace(secret_file)
    assert doctor() == 0, "the worker signs in with the new secret"
    statuses.append(system.sync("--type", "groups").status)

    system.tenant.withdraw_secret(system.tenant.client_secret)
    assert doctor() == 0, "the old secret is unused"
    statuses.append(system.sync("--type", "groups").status)
    assert statuses == ["success"] * 4

    system.tenant.withdraw_secret("the new one")
    assert doctor() == 3, "the worker signed in with the new secret"
