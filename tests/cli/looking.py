"""The command line on a database alone: no Temporal, no Graph."""

import asyncio
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from typer.testing import CliRunner

from cli.app import app


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    def objects(self) -> list[Any]:
        """Its JSON Lines."""
        return [orjson.loads(line) for line in self.stdout.splitlines()]


class CommandLine:
    """Commands that look at one tenant, in this process: there are many of them in a test."""

    def __init__(self, database_url: str, folder: Path, tenant_id: UUID) -> None:
        self._tenant_id = tenant_id
        self._environment = {
            "DATABASE_URL": database_url,
            "TENANTS_FILE": str(folder / "no-tenants.toml"),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
            "LOGNAME": "ada",
        }

    @classmethod
    def of(cls, other: "CommandLine", tenant_id: UUID) -> "CommandLine":
        """The same of another tenant."""
        found = copy(other)
        found._tenant_id = tenant_id
        return found

    async def __call__(self, command: str, *arguments: str) -> Ended:
        """Runs one command, of one word or two, on the tenant to its end."""
        words = [*command.split(), str(self._tenant_id), *arguments]
        done = await asyncio.to_thread(CliRunner().invoke, app, words, env=self._environment)
        return Ended(done.exit_code, done.stdout, done.stderr)
