"""The web page as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

CHECKOUT = Path(__file__).resolve().parents[2]


def environment_of(database_url: str, folder: Path, tenant_id: UUID) -> dict[str, str]:
    """What `starter.py web` needs, with one tenant named Contoso."""
    tenants = folder / "tenants.toml"
    tenants.write_text(
        f'[[tenant]]\nid = "{tenant_id}"\nname = "Contoso"\nclient_id = "{tenant_id}"\nmanaged_identity = true\n'
    )
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "TENANTS_FILE": str(tenants),
        "TENANT_INVENTORY_STATE": str(folder),
    }


@contextmanager
def running(environment: dict[str, str], *options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "starter.py", "web", *options],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def addresses(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a page that was started with `--json` says of itself."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found
