"""Statements in SQL files: psql runs each unchanged, and its head names its variables and parts."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from local.postgres import _binaries
from storage.bodies import BODY
from storage.completed_runs import completed
from storage.raw_digests import SETTLED
from storage.sql import BY_PLACE, statement
from storage.stale import SINCE_OF_VERSION

CHECKOUT = Path(__file__).parents[2]
FILES = sorted(
    path.relative_to(CHECKOUT) for package in ("storage", "answers") for path in (CHECKOUT / package).rglob("*.sql")
)
PARTS = {
    "answers/changes/events.sql": {"order": "DESC", "beyond": "<"},
    "answers/drift/candidates.sql": {"body": BODY},
    "storage/sql/forget_runs.sql": {"completed": completed()},
    "storage/sql/merge.sql": {"by_place": BY_PLACE},
    "storage/sql/merge_same.sql": {"settled": SETTLED, "by_place": BY_PLACE},
    "storage/sql/settle_details.sql": {"which": "true"},
    "storage/sql/items_then.sql": {"completed": completed("r"), "since_of_version": SINCE_OF_VERSION},
}


def head(file: Path, title: str) -> list[str]:
    """The entries that the file's head lists under a title."""
    first, _, _ = (CHECKOUT / file).read_text().partition("\n\n")
    _, _, names = first.replace("\n--   ", " ").partition(f"-- {title}: ")
    return names.partition("\n")[0].split(", ") if names else []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_psql_runs_the_file_with_the_variables_and_parts_of_its_head(file: Path, database_url: str) -> None:
    parts = PARTS.get(str(file), {})
    types = dict(variable.split() for variable in head(file, "Variables"))
    variables = [f"--set={variable}=CAST(NULL AS {kind})" for variable, kind in types.items()]
    variables += [f"--set={name}={part}" for name, part in parts.items()]

    ran = subprocess.run(
        [
            _binaries() / "psql",
            database_url,
            "--no-psqlrc",
            "--set=ON_ERROR_STOP=1",
            *variables,
            "--file",
            CHECKOUT / file,
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert head(file, "Parts") == list(parts)
    assert statement(file.stem, CHECKOUT / file.parent, **parts).compile().params.keys() == types.keys()


def test_comments_are_not_sent_and_every_file_is_packaged() -> None:
    assert len(FILES) == 8
    assert not [file for file in FILES if "--" in statement(file.stem, CHECKOUT / file.parent).text]
    packaged = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for file in FILES:
        assert any(file.relative_to(file.parts[0]).match(pattern) for pattern in packaged[file.parts[0]]), file
