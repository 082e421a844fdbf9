"""The output of `make` while it installs, with a fake pip."""

import os
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def install(folder: Path, pip: str) -> "subprocess.CompletedProcess[str]":
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{pip}\n")
    python.chmod(0o755)
    # Without the variables of the `make` that runs the tests: it would print its folder.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "UV=", f"VENV={folder / 'venv'}", str(folder / "venv" / ".installed")],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_make_prints_the_size_first_and_then_each_package(tmp_path: Path) -> None:
    result = install(
        tmp_path, "echo 'Collecting alembic==1 (from -r x)'; echo '  Downloading y'; echo 'Collecting mypy>=2'"
    )
    assert result.returncode == 0, result.stderr
    first, second, named = result.stdout.splitlines()[:3]
    assert first.startswith("Installing ")
    assert " packages into " in first
    assert "MB on disk" in second
    assert named.split() == ["alembic", "mypy"]
    assert (tmp_path / "venv" / ".installed").exists()


@pytest.mark.parametrize("code", [1, 2])
def test_make_shows_pips_errors_and_fails(tmp_path: Path, code: int) -> None:
    result = install(
        tmp_path, f"echo 'Collecting alembic==1'; echo 'ERROR: no hash' >&2; echo 'as wanted'; exit {code}"
    )
    assert result.returncode != 0
    assert "ERROR: no hash\nas wanted" in result.stdout
    assert not (tmp_path / "venv" / ".installed").exists()
