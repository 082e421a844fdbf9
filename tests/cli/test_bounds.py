"""Bounds of typed numbers, times and texts: beyond them, a command prints an error in one line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import typer
from typer.testing import CliRunner

from answers.drift.rules import Decision
from answers.ids import IdRange, UnknownIdError, id_range, the_one
from answers.times import EARLIEST, LATEST, time_of
from cli.app import app
from inventory.typed_text import MOST_CHARACTERS, problem_with
from storage.database import Database
from tests.cli.command_line import CommandLine
from tests.entry_tests import of_each
from tests.storage.support import begin, observation, sync

TENANT = UUID(int=7)
BEYOND = "9999999999999999999"


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that is not a group, with its words."""
    context = command.context_class(command)
    if not hasattr(command, "list_commands"):
        yield words, command
        return
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*words, name))


def kind_of(parameter: Any) -> Any:
    """The type of a parameter's value."""
    return parameter.type_descriptor.annotation


COMMANDS = dict(commands(typer.main.get_command(app)))

NUMBERS = [
    (words, parameter)
    for words, command in COMMANDS.items()
    for parameter in command.params
    if kind_of(parameter) in (int, float)
]

TEXTS = [
    (words, parameter)
    for words, command in COMMANDS.items()
    for parameter in command.params
    if kind_of(parameter) in (str, list[str])
]

TIMES = [
    ("changes", "--since"),
    ("changes", "--after"),
    ("export", "--at"),
    ("baseline set", "--at"),
    ("drift decide", "--until"),
]

DURATIONS = [("--every", "9999999d"), ("--jitter", "9999999d"), ("--catch-up", "9999999d"), ("--every", "999999d")]


def name_of(parameter: tuple[tuple[str, ...], Any]) -> str:
    return " ".join((*parameter[0], parameter[1].name))


def test_the_walk_finds_number_and_text_parameters() -> None:
    assert len(NUMBERS) >= 15
    assert len(TEXTS) >= 40


@of_each({name_of(number): number for number in NUMBERS})
def test_every_number_parameter_has_both_bounds(number: tuple[tuple[str, ...], Any]) -> None:
    _, parameter = number
    assert parameter.min is not None
    assert parameter.max is not None


@pytest.mark.parametrize(
    "words", ["runs --limit", "changes x --limit", "retention --days", "show x groups y --version"]
)
def test_a_number_beyond_its_bounds_is_refused(words: str) -> None:
    result = CliRunner().invoke(app, [*words.split(), BEYOND])
    assert result.exit_code == 2
    assert "Invalid value for" in result.stderr


OTHERS = {Decision: next(iter(Decision)), UUID: str(TENANT)}
"""Values of required parameters that are not texts."""


@of_each({name_of(text): text for text in TEXTS})
def test_every_text_parameter_refuses_control_characters(text: tuple[tuple[str, ...], Any]) -> None:
    words, parameter = text
    typed = "a\x1b[31m"
    command = COMMANDS[words]
    arguments: list[str] = []
    for param in command.params:
        value = typed if param is parameter else "1"
        if param.param_type_name == "argument" and (param.required or param is parameter):
            arguments.append(value)
        elif param is parameter:
            arguments += [param.opts[0], value]
        elif param.required:
            arguments += [param.opts[0], OTHERS.get(kind_of(param), value)]
    result = CliRunner().invoke(app, [*words, *arguments])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "holds a control character" in line


@pytest.mark.parametrize("text", ["two\nlines", "nul\x00", "\udce4", "\x9b", "x" * (MOST_CHARACTERS + 1)])
def test_an_invalid_text_has_a_problem(text: str) -> None:
    assert problem_with(text) is not None


@pytest.mark.parametrize("text", ["", "Contoso Österreich", "a\u00a0b", "審計", "x" * MOST_CHARACTERS])
def test_a_valid_text_has_no_problem(text: str) -> None:
    assert problem_with(text) is None


BEYOND_TIME = (
    "10000-01-01",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31",
    "0001-01-01T00:00:00+14:00",
    "0000-01-01",
    "9999999d",
    "2026-02-30",
    "",
)


@pytest.mark.parametrize(("command", "option"), TIMES)
async def test_every_time_parameter_has_bounds(tmp_path: Path, command: str, option: str, database_url: str) -> None:
    arguments = {"export": [str(tmp_path / "out")], "baseline set": ["golden"]}.get(command, [])
    if command == "drift decide":
        arguments = ["abcdef", "--as", "accepted", "--why", "because"]
    run = CommandLine(database_url, tmp_path, TENANT)
    for typed in BEYOND_TIME:
        value = f"{typed}/appeared/groups/1" if option == "--after" else typed
        result = await run(command, *arguments, option, value)
        assert result.code == 2, typed
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        assert value in line


@pytest.mark.parametrize(("option", "typed"), DURATIONS)
async def test_every_duration_parameter_has_bounds(tmp_path: Path, option: str, typed: str, database_url: str) -> None:
    tenants = tmp_path / "tenants.toml"
    tenants.write_text(f'[[tenant]]\nid = "{TENANT}"\nname = "Contoso"\nclient_id = "a"\nclient_secret_env = "B"\n')
    environment = {
        "DATABASE_URL": database_url,
        "TENANTS_FILE": str(tenants),
        "TENANT_INVENTORY_STATE": str(tmp_path / "no-stack"),
    }
    words = ["schedule", "set", "hourly", "--all-tenants", "--all", option, typed]
    if option != "--every":
        words += ["--every", "1h"]
    result = CliRunner().invoke(app, words, env=environment)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {option}: ")


def test_the_earliest_and_latest_times_are_accepted() -> None:
    assert time_of(EARLIEST.isoformat()) == EARLIEST
    assert time_of(LATEST.isoformat()) == LATEST
    assert time_of("9999-12-30T23:00:00-14:00") is None


async def test_commands_answer_or_refuse_times_at_the_bounds(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await sync(database, TENANT, [observation("groups", "a")], "groups")
    command = CommandLine(database_url, tmp_path, TENANT)
    assert (await command("changes", "--since", EARLIEST.isoformat(), "--json")).code == 0
    for moment, refused in ((EARLIEST, ["export"]), (LATEST, ["export", "changes"])):
        for name in refused:
            words = (str(tmp_path / "out"), "--at") if name == "export" else ("--since",)
            result = await command(name, *words, moment.isoformat(), "--json")
            assert (result.code, result.stderr.count("\n")) == (2, 1), result.stderr


@pytest.mark.parametrize(
    ("typed", "low", "high"),
    [
        ("0b9d", "0b9d0000-0000-0000-0000-000000000000", "0b9dffff-ffff-ffff-ffff-ffffffffffff"),
        ("0B9D1C1E-0", "0b9d1c1e-0000-0000-0000-000000000000", "0b9d1c1e-0fff-ffff-ffff-ffffffffffff"),
        ("0b9d1c1e-", "0b9d1c1e-0000-0000-0000-000000000000", "0b9d1c1e-ffff-ffff-ffff-ffffffffffff"),
        ("0b9d1c1e0", "0b9d1c1e-0000-0000-0000-000000000000", "0b9d1c1e-0fff-ffff-ffff-ffffffffffff"),
    ],
)
def test_an_id_prefix_is_a_range_of_ids(typed: str, low: str, high: str) -> None:
    assert id_range(typed) == IdRange(UUID(low), UUID(high))


def test_a_range_of_ids_keeps_the_typed_prefix() -> None:
    for length in (*range(4, 8), *range(9, 13), 36):
        typed = "0b9d1c1e-0f4e-4d3a-9a55-1f1d2c3b4a59"[:length]
        found = id_range(typed)
        assert found is not None
        assert found.beginning.rstrip("-") == typed.rstrip("-")


@pytest.mark.parametrize(
    "typed", ["", "0b9", "zzzz", "0b9d-1c1e", "0b9d1c1e-0f4e-4d3a-9a55-1f1d2c3b4a59a", "2025-03-01"]
)
def test_an_invalid_id_prefix_has_no_range(typed: str) -> None:
    assert id_range(typed) is None


@pytest.mark.parametrize(("count", "more"), [(2, ""), (3, ""), (5, " and 2 more"), (21, " and at least 18 more")])
def test_an_ambiguous_id_names_a_few_runs_and_the_command_that_shows_all(count: int, more: str) -> None:
    ids = [UUID(int=number) for number in range(count)]
    with pytest.raises(UnknownIdError) as raised:
        the_one(ids, "0000", "runs")
    assert str(raised.value) == (
        f"several runs begin with '0000': {', '.join(map(str, ids[:3]))}{more};"
        " write more of the id, which python starter.py runs --ids shows"
    )


async def test_commands_accept_id_prefixes_and_list_ambiguous_ids(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    ids = ("aaaa1111", "aaaa2222", "bbbb3333")
    await sync(database, TENANT, [observation("groups", entry) for entry in ids], "groups")
    first, second = [await begin(database, TENANT, key) for key in ("groups", "namedLocations")]
    command = CommandLine(database_url, tmp_path, TENANT)

    found = await command("show", "groups", "bbbb", "--json")
    assert found.code == 0, found.stderr
    for words in (("show", "groups"), ("versions", "groups"), ("diff", "groups"), ("dependencies", "groups")):
        several = await command(words[0], words[1], "aaaa")
        assert several.code == 2
        assert "begin with 'aaaa'; give the id: aaaa1111, aaaa2222" in several.stderr
    assert (await command("show", "groups", "aaa")).code == 2

    for named, flag in (("changes", "--run"), ("changes", "--since"), ("baseline set", "--run")):
        name = ["golden"] if named == "baseline set" else []
        result = await command(named, *name, flag, str(first.run_id)[:20])
        assert "has not ended" in result.stderr, "the run was found"
        assert result.code == 2
    assert first.run_id != second.run_id
    nobody = await command("changes", "--run", str(uuid4())[:20])
    assert "there is no run" in nobody.stderr
