"""Every command that installs packages, for the image, for development or in the documents, requires their hashes."""

import re
import tomllib

import pytest

from tests.forks import CHECKOUT

PLACES = [
    "Makefile",
    "Dockerfile",
    ".ci/run",
    "deploy/check-image-steps",
    "docs/operating.md",
    *sorted(str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "deploy" / "systemd").iterdir()),
]
OUR_OWN = {"--no-deps", "--no-build-isolation", "-e", "."}
"""The project itself is built with installed packages and downloads nothing."""


def installing(text: str) -> list[str]:
    """The commands that install packages, each on one line."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line.strip() for line in joined.splitlines() if re.search(r"\bpip\b.* install\b|\buv (sync|add)\b", line)]


def takes_hashes(command: str) -> bool:
    words = command.split()
    if set(words) >= OUR_OWN:
        return True
    return "--require-hashes" in words and not re.search(r"[=<>~]=|\s-e\s|--no-require-hashes", command)


@pytest.mark.parametrize("place", PLACES)
def test_every_installation_requires_hashes(place: str) -> None:
    for command in installing((CHECKOUT / place).read_text()):
        assert takes_hashes(command), f"{place}: {command}"


def test_only_these_places_install_packages() -> None:
    assert {place for place in PLACES if installing((CHECKOUT / place).read_text())} == {
        "Makefile",
        "Dockerfile",
        "docs/operating.md",
    }
    assert len(installing((CHECKOUT / "Makefile").read_text())) == 7


@pytest.mark.parametrize(
    "command",
    [
        "python -m pip install -r requirements/runtime.txt",
        "pip install -e .",
        "uv pip install --no-deps -e .",
        "pip install --require-hashes -r requirements/runtime.txt left-pad==1",
    ],
)
def test_the_check_finds_commands_without_hashes(command: str) -> None:
    assert installing(f"RUN {command}\n") == [f"RUN {command}"]
    assert not takes_hashes(command)


def test_the_build_uses_the_locked_setuptools() -> None:
    (required,) = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["build-system"]["requires"]
    locked = (CHECKOUT / "requirements" / "development.txt").read_text()
    assert f"\n{required} \\\n    --hash=sha256:" in locked
