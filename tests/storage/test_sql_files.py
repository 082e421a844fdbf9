"""Statements in files of their own: psql runs each as it is, and its head names its variables."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from local.postgres import _binaries
from storage.sql import FOLDER, statement

NAMES = sorted(path.stem for path in FOLDER.glob("*.sql"))
CHECKOUT = Path(__file__).parents[2]


def variables(name: str) -> dict[str, str]:
    """The variables that the head of a file names, with their types."""
    head = (FOLDER / f"{name}.sql").read_text().split("\n--\n")[0].replace("\n--  ", "")
    _, _, named = head.partition("-- Variables: ")
    return dict(pair.split() for pair in named.split(","))


@pytest.mark.parametrize("name", NAMES)
def test_psql_runs_the_file_with_the_variables_of_its_head(name: str, database_url: str) -> None:
    types = variables(name)
    given = [f"--set={variable}=CAST(NULL AS {kind})" for variable, kind in types.items()]
    file = FOLDER / f"{name}.sql"

    ran = subprocess.run(
        [_binaries() / "psql", database_url, "--no-psqlrc", "--set=ON_ERROR_STOP=1", *given, "--file", file],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert statement(name).compile().params.keys() == types.keys()


def test_no_comment_is_sent_and_no_file_is_left_out_of_the_package() -> None:
    assert NAMES == ["merge"]
    assert not [name for name in NAMES if "--" in statement(name).text]
    packaged = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "sql/*.sql" in packaged["storage"]
