"""The version is in the code, since a server runs from its files and is not installed."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from inventory.version import VERSION
from tests.test_architecture import OURS, imported

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
RUNTIME = [
    path
    for name in sorted(OURS - {"local"})
    for path in [*(CHECKOUT / name).rglob("*.py"), CHECKOUT / f"{name}.py"]
    if path.exists()
]


OF_EXTRAS = {"delivery/apprise_process.py": "notifications", "graph/vault.py": "vault"}
"""Modules that need an extra, and say so where it is not installed."""


def test_the_version_has_one_source() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "inventory.version.VERSION"}
    assert f"image: tenant-inventory:{VERSION}\n" in (CHECKOUT / "docker-compose.yml").read_text()


@pytest.mark.parametrize("program", ["starter.py", "worker.py"])
def test_each_program_prints_its_version(program: str) -> None:
    result = subprocess.run([sys.executable, CHECKOUT / program, "--version"], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"tenant-inventory {VERSION}\n", "")


def test_no_runtime_module_reads_distribution_metadata() -> None:
    asking = ("importlib.metadata.", "importlib_metadata.", "pkg_resources.")
    assert [(path, name) for path in RUNTIME for name in imported(path) if f"{name}.".startswith(asking)] == []


def test_the_runtime_imports_only_locked_packages() -> None:
    of_module = metadata.packages_distributions()
    for path in RUNTIME:
        locked = held_by("runtime")
        if extra := OF_EXTRAS.get(str(path.relative_to(CHECKOUT))):
            locked |= held_by(extra)
        for module in {name.split(".")[0] for name in imported(path)} - OURS - sys.stdlib_module_names:
            held = {name.lower().replace("_", "-").replace(".", "-") for name in of_module[module]}
            assert held & locked, f"{path} imports {module}, which the runtime's requirements do not hold"


def held_by(requirements: str) -> set[str]:
    text = (CHECKOUT / "requirements" / f"{requirements}.txt").read_text()
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


def test_modules_that_need_extras_load_without_them() -> None:
    """They import an extra only where they use it, so a worker without it can name the missing package."""
    without = "import sys\nfor extra in ('apprise', 'azure'): sys.modules[extra] = None\n"
    for path in OF_EXTRAS:
        program = f"{without}import {path.removesuffix('.py').replace('/', '.')}"
        loaded = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True)
        assert (loaded.returncode, loaded.stderr) == (0, ""), path
