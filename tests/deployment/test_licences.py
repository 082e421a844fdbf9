"""`make licences`: the table, the accepted licences and the SBOM of the packages that the image installs."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from inventory.version import VERSION
from tests.deadlines import DEADLINE_SECONDS
from tests.forks import CHECKOUT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def licences(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", "--no-print-directory", "licences", f"LICENCES={folder}", f"SBOM={folder}/sbom.json"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        result = licences(Path(folder))
        assert result.returncode == 0, result.stderr
        yield Path(folder)


def installed_names() -> set[str]:
    """The names of the packages that runtime.txt installs on this system, in lower case."""
    found = set()
    for line in (CHECKOUT / "requirements" / "runtime.txt").read_text().splitlines():
        if pinned := re.match(r"([a-z0-9-]+)==(\S+)(?: ; (.*))? \\$", line):
            found.add(pinned[1])
    return found - {"colorama", "tzdata"}


def test_each_shipped_package_has_a_row_that_fits_a_terminal(folder: Path) -> None:
    result = licences(folder)
    assert result.returncode == 0, result.stderr
    heading, *rows, last = result.stdout.splitlines()
    assert heading.split() == ["Name", "Version", "License"]
    assert last == f"SBOM (CycloneDX): {folder}/sbom.json"
    assert {row.split()[0].lower().replace("_", "-") for row in rows} == installed_names()
    assert max(map(len, [heading, *rows])) <= 80


def test_the_sbom_names_each_package_with_its_licence_and_no_local_path(folder: Path) -> None:
    written = (folder / "sbom.json").read_text()
    sbom = json.loads(written)
    assert sbom["bomFormat"] == "CycloneDX"
    product = sbom["metadata"]["component"]
    assert (product["name"], product["version"]) == ("tenant-inventory", VERSION)
    assert {part["name"].lower().replace("_", "-") for part in sbom["components"]} == installed_names()
    for part in sbom["components"]:
        assert part["purl"].endswith(f"@{part['version']}")
        assert part["licenses"], part["name"]
    for place in (str(CHECKOUT), str(folder), str(Path.home()), "file://", "localhost"):
        assert place not in written, place


@pytest.mark.parametrize("declared", ["", "License: Proprietary\n", "License-Expression: AGPL-3.0-only\n"])
def test_an_unaccepted_licence_fails_by_name_and_leaves_no_sbom(folder: Path, declared: str) -> None:
    (packages,) = (folder / "shipped" / "lib").glob("python*/site-packages")
    planted = packages / "planted-1.2.3.dist-info"
    planted.mkdir()
    try:
        (planted / "METADATA").write_text(f"Metadata-Version: 2.4\nName: planted\nVersion: 1.2.3\n{declared}")
        (folder / "sbom.json").unlink(missing_ok=True)
        result = licences(folder)
    finally:
        shutil.rmtree(planted)
    assert result.returncode != 0
    name = declared.partition(": ")[2].strip() or "UNKNOWN"
    assert f"license {name} not in allow-only licenses was found for package planted:1.2.3" in result.stderr
    assert not (folder / "sbom.json").exists()


def test_an_audit_without_an_answer_does_not_pass() -> None:
    """The tests' environment has no pip-audit, which looks like a network without a way out."""
    command = [sys.executable, "deploy/audit"]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("NOT AUDITED: ")
    tolerant = subprocess.run([*command, "--may-be-offline"], cwd=CHECKOUT, capture_output=True, text=True)
    assert (tolerant.returncode, tolerant.stderr) == (0, result.stderr)
