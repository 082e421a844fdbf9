"""The command line on a database alone: no Temporal, no Graph."""

import asyncio
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from typer.testing import CliRunner

from cli.app import app


class CommandResult(NamedTuple):
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    def objects(self) -> list[Any]:
        """The objects of its JSON Lines."""
        return [orjson.loads(line) for line in self.stdout.splitlines()]

    def items(self) -> list[Any]:
        """Its lines about items; others tell what was not read."""
        return [line for line in self.objects() if "external_id" in line]

    def not_read(self) -> list[tuple[str, list[str]]]:
        """The reason and collections of each line about what was not read."""
        return [(line["reason"], line["type_keys"]) for line in self.objects() if line.get("answer") == "not_read"]


class Terminal:
    """Runs commands in this process, since a test has many. `tenants` is the content of the tenants file, and the words
    of each call follow `first`.
    """

    def __init__(
        self, database_url: str, folder: Path, *first: str, tenants: str | None = None, **environment: str
    ) -> None:
        file = folder / ("no-tenants.toml" if tenants is None else "tenants.toml")
        if tenants is not None:
            file.write_text(tenants)
        self._first = first
        self.environment = {
            "DATABASE_URL": database_url,
            "TENANTS_FILE": str(file),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
            "LOGNAME": "ada",
            **environment,
        }

    async def __call__(self, *words: object, **environment: str) -> CommandResult:
        """Runs one command to its end."""
        arguments = [*self._first, *map(str, words)]
        variables = {**self.environment, **environment}
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=variables)
        return CommandResult(result.exit_code, result.stdout, result.stderr)


class CommandLine:
    """Runs commands on one tenant."""

    def __init__(self, database_url: str, folder: Path, tenant_id: UUID) -> None:
        self._tenant_id = tenant_id
        self._terminal = Terminal(database_url, folder)

    @classmethod
    def of(cls, other: "CommandLine", tenant_id: UUID) -> "CommandLine":
        """The same command line for another tenant."""
        found = copy(other)
        found._tenant_id = tenant_id
        return found

    async def __call__(self, command: str, *arguments: str) -> CommandResult:
        """Runs one command, of one word or two, on the tenant to its end."""
        return await self._terminal(*command.split(), self._tenant_id, *arguments)
