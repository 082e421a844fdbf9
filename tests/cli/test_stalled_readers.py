"""A slow or stalled reader of an answer keeps no transaction open."""

import ast
import asyncio
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from cli import spool
from cli.spool import DocumentSpool, KeptDocument, printed_afterwards
from inventory.user_errors import UnavailableError
from storage.database import Database
from tests.deadlines import DEADLINE_SECONDS, until
from tests.forks import CHECKOUT, Fork
from tests.storage.support import observation, sync

TENANT, OTHER = UUID(int=1), UUID(int=2)
ITEMS = 600

PIPE_BYTES = 65_536
"""The capacity of a pipe in Linux; all answers here are longer."""

WORDS = "x" * 200

COMMANDS = [
    ("items", str(TENANT), "--json"),
    ("items", str(TENANT)),
    ("missing", str(TENANT), "--json"),
    ("changes", str(TENANT), "--json"),
    ("changes", str(TENANT)),
    ("compare", str(TENANT), str(OTHER), "--json"),
    ("compare", "--golden", str(TENANT), str(OTHER), "--json"),
    ("dependencies", str(TENANT), "--all", "--json"),
]


async def fill(database: Database) -> None:
    missing = [observation("groups", f"gone-{number}", displayName=WORDS) for number in range(ITEMS)]
    policies = [
        observation(
            "conditionalAccessPolicies",
            str(number),
            displayName=f"{number} {WORDS}",
            conditions={"users": {"includeGroups": [str(uuid4())]}},
        )
        for number in range(ITEMS)
    ]
    await sync(
        database,
        TENANT,
        [*missing, observation("conditionalAccessPolicies", "0")],
        "groups",
        "conditionalAccessPolicies",
    )
    await sync(database, TENANT, policies, "groups", "conditionalAccessPolicies")
    await sync(database, OTHER, [observation("conditionalAccessPolicies", "0")], "conditionalAccessPolicies")


@pytest.mark.parametrize("commands", [COMMANDS[:1], pytest.param(COMMANDS[1:], marks=pytest.mark.slow)])
async def test_an_unread_pipe_keeps_no_transaction_open(
    database: Database, database_url: str, tmp_path: Path, commands: list[tuple[str, ...]]
) -> None:
    await fill(database)
    for number, command in enumerate(commands):
        pipe = tmp_path / str(number)
        os.mkfifo(pipe)
        await asyncio.to_thread(stall, command, database_url, pipe)


def stall(command: tuple[str, ...], database_url: str, pipe: Path) -> None:
    """Runs a command, and reads its answer once it has no transaction open."""
    folder = pipe.parent
    environment = {
        "DATABASE_URL": database_url,
        "TENANTS_FILE": str(folder / "no-tenants.toml"),
        "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
    }
    open_files = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'tenant-inventory' AND xact_start IS NOT NULL"
    )
    errors = folder / "errors"
    run = Fork("starter.py", command, environment=environment, folder=folder, stdout=pipe, stderr=errors)
    try:
        with pipe.open("rb") as answer:
            assert select.select([answer], [], [], DEADLINE_SECONDS)[0], "the command writes"
            with psycopg.connect(database_url, autocommit=True) as onlooker:
                until(lambda: onlooker.execute(open_files).fetchone() == (0,), f"{command}: a transaction is open")
            assert run.running(), f"{command} still waits for its reader"
            written = answer.read()
            assert len(written) > PIPE_BYTES, command
            assert written.endswith(b"\n"), command
        assert run.wait() in (0, 3), errors.read_text()
    finally:
        run.stop()


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["people", "json"])
def test_a_closed_pipe_ends_a_command_without_error(tmp_path: Path, options: tuple[str, ...]) -> None:
    """As `| head` does, also under a shell's `pipefail`."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        result = subprocess.run(
            [sys.executable, CHECKOUT / "starter.py", "catalog", *options],
            stdout=closed,
            stderr=subprocess.PIPE,
            env={"TENANT_INVENTORY_STATE": str(tmp_path)},
            check=False,
        )
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_failed_answer_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnavailableError), printed_afterwards():
        print("half of it")
        raise UnavailableError
    assert capsys.readouterr().out == ""
    with printed_afterwards():
        with printed_afterwards():
            print("first")
        print("then")
        assert capsys.readouterr().out == ""
    assert capsys.readouterr().out == "first\nthen\n"


def test_a_large_answer_is_spooled_to_a_private_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", 1000)
    document = os.urandom(3000)
    kept = [KeptDocument("a", f"{number}\n", None, document) for number in range(3)]
    with printed_afterwards(), DocumentSpool() as documents:
        print("ü" * 3000)
        for held in kept:
            documents.add(held)
        (modes,) = ({os.fstat(int(path.name)).st_mode & 0o777 for path in _open_files(tmp_path)},)
        assert modes == {0o600}
        assert list(documents) == kept
    assert capsys.readouterr().out == "ü" * 3000 + "\n"
    assert list(tmp_path.iterdir()) == []


def _open_files(folder: Path) -> list[Path]:
    """Links to this process's open files below the folder."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            if link.readlink().is_relative_to(folder):
                found.append(link)
        except FileNotFoundError:
            continue
    return found


def test_an_answer_without_disk_space_suggests_tmpdir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", 1000)
    with pytest.raises(UnavailableError, match="set TMPDIR to a folder with free space"), printed_afterwards():
        print("x" * 3000)


def test_no_command_prints_within_an_open_transaction() -> None:
    """`tenant_session`, `read_session` and `ask_each` delay output; other transactions end before output."""
    modules = [*(CHECKOUT / "cli").glob("*.py"), *(CHECKOUT / "answers").rglob("*.py")]
    opening = [(path, line, body) for path in modules for line, body in transactions(ast.parse(path.read_text()))]
    assert opening, "no module opens a transaction: the test looks in the wrong place"
    printing = [f"{path.name}:{line}" for path, line, body in opening if "print" in body or "write" in body]
    assert printing == []


def transactions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and body of each block that opens a transaction outside `printed_afterwards`."""
    opened = {"tenant", "portfolio", "no_tenant", "session"}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.With) and any("printed_afterwards" in ast.unparse(entry) for entry in node.items):
            continue
        if isinstance(node, ast.AsyncWith):
            calls = [part.func for item in node.items for part in ast.walk(item) if isinstance(part, ast.Call)]
            if {func.attr for func in calls if isinstance(func, ast.Attribute)} & opened:
                yield node.lineno, "\n".join(map(ast.unparse, node.body))
        yield from transactions(node)
