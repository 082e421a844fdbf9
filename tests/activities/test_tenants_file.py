"""The tenants file while somebody edits it: replaced, half saved, deleted, repaired."""

import asyncio
import logging
import time
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from activities import tenants
from activities.tenants import TenantsFile, UnnamedTenantError
from graph.tenants import TenantsFileError

CONTOSO, FABRIKAM = UUID(int=1), UUID(int=2)


def entry(tenant_id: UUID, name: str) -> str:
    return f'[[tenant]]\nid = "{tenant_id}"\nname = "{name}"\nmanaged_identity = true\ntags = ["emea"]\n'


BOTH = entry(CONTOSO, "Contoso") + entry(FABRIKAM, "Fabrikam")
HALF = BOTH[: len(BOTH) - 30]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tenants.toml"
    path.write_text(BOTH)
    return path


def save(path: Path, content: str | None) -> None:
    """Writes the file as an editor does, in place; None deletes it."""
    if content is None:
        path.unlink()
    else:
        path.write_text(content)


def replace(path: Path, content: str) -> None:
    """Replaces the file atomically, as careful programs do."""
    path.with_suffix(".new").write_text(content)
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("mode", ["in place", "replaced"])
async def test_a_new_tenant_is_known_at_once(path: Path, mode: str) -> None:
    save(path, entry(CONTOSO, "Contoso"))
    file = TenantsFile(path)
    assert await file.get(FABRIKAM) is None
    if mode == "in place":
        save(path, BOTH)
    else:
        replace(path, BOTH)
    assert (await file.configured(FABRIKAM)).name == "Fabrikam"


@pytest.mark.parametrize("broken", [HALF, "hunter2 hunter2", None], ids=["half", "no TOML", "no file"])
async def test_the_last_valid_file_is_used_and_each_change_is_logged_once(
    path: Path, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = TenantsFile(path)
    await file.configured(CONTOSO)
    save(path, broken)
    for _ in range(5):
        assert (await file.configured(FABRIKAM)).name == "Fabrikam"
    (logged,) = caplog.messages
    assert logged.startswith(f"configuration_invalid: {path}: ")
    assert logged.endswith("; the last valid tenants are used")
    assert "hunter2" not in logged
    save(path, "also broken")
    await file.configured(FABRIKAM)
    save(path, entry(CONTOSO, "Renamed"))
    assert (await file.configured(CONTOSO)).name == "Renamed"
    assert len(caplog.messages) == 3
    assert caplog.messages[-1] == f"{path}: is valid again"


async def test_without_a_valid_file_lookups_raise_and_names_are_unknown(path: Path) -> None:
    save(path, HALF)
    file = TenantsFile(path)
    with pytest.raises(TenantsFileError):
        await file.configured(CONTOSO)
    assert await file.name(CONTOSO) is None
    save(path, BOTH)
    assert await file.name(CONTOSO) == "Contoso"


async def test_a_tenant_missing_from_the_file_is_retried_for_a_while(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = TenantsFile(path)
    await file.configured(CONTOSO)
    save(path, "")
    with pytest.raises(UnnamedTenantError) as failed:
        await file.configured(CONTOSO)
    assert failed.value.retryable
    assert failed.value.retry_limit == tenants.UNNAMED_RETRY_LIMIT
    monkeypatch.setattr(tenants, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 600))
    with pytest.raises(UnnamedTenantError) as failed:
        await file.configured(CONTOSO)
    assert failed.value.failing_for > tenants.UNNAMED_RETRY_LIMIT, "a removed tenant is not retried"


async def test_reading_all_tenants_waits_until_a_changed_file_settles(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    now = [100.0]

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds
        if len(waits) == 1:
            save(path, BOTH)

    file = TenantsFile(path)
    monkeypatch.setattr(tenants, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(tenants, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
    assert set(await file.tags()) == {CONTOSO, FABRIKAM}
    assert waits == []
    save(path, entry(CONTOSO, "Contoso"))
    assert set(await file.tags()) == {CONTOSO, FABRIKAM}, "the file was half written"
    assert waits == [tenants.SETTLING_SECONDS] * 2
