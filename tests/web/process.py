"""The web page in its own process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from tests.forks import CHECKOUT, Fork


def environment_of(database_url: str, folder: Path, tenant_id: UUID) -> dict[str, str]:
    """The environment of `starter.py web`, with one tenant named Contoso."""
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


class Page:
    """The web page as a fork: see `tests/forks.py`."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._stdout, self._stderr = (folder / f"{uuid4()}.{name}" for name in ("stdout", "stderr"))
        self.fork = Fork(
            "starter.py",
            ("web", "--port=0", "--json"),
            environment=environment,
            folder=folder,
            stdout=self._stdout,
            stderr=self._stderr,
        )

    def addresses(self) -> dict[str, Any]:
        """The addresses that it prints; waits for them."""
        self.fork.wait_until(lambda: self._stdout.read_text().endswith("\n"))
        found: dict[str, Any] = json.loads(self._stdout.read_text())
        return found

    def errors(self) -> str:
        """Its stderr so far."""
        return self._stderr.read_text()


@contextmanager
def forked(environment: dict[str, str], folder: Path) -> Iterator[Page]:
    """A page on a free port."""
    page = Page(environment, folder)
    try:
        yield page
    finally:
        page.fork.stop()


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
    """The addresses that a page with `--json` prints."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found
