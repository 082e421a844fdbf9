"""README's steps and the image's, as an operator takes them: the runtime's packages, an empty home, real servers."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph
from local.state import State
from local.temporal import EmbeddedTemporal
from tests.conftest import copy_of
from tests.end_to_end.system import SEEDS
from tests.namespaces import new_namespace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CHECKOUT = Path(__file__).resolve().parents[2]
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
NOT_CLONED = shutil.ignore_patterns(
    ".git", ".venv", "venv", ".local", ".*_cache", ".hypothesis", "__pycache__", ".env", "tenants.toml", "*.egg-info"
)
OF_THE_MACHINE = re.compile(r"(PIP|UV|SSL)_|(https?|no)_proxy$", re.IGNORECASE)
"""Kept, since they say how this machine reaches its package index."""

DEADLINE_SECONDS = 1200


class Servers(NamedTuple):
    """An operator's settings for `.env`, and a tenants file with one tenant, `contoso`."""

    settings: dict[str, str]
    tenants_file: Path


class Installed(NamedTuple):
    """A clean copy of the checkout in which README's steps were taken."""

    folder: Path
    environment: dict[str, str]
    code: int
    output: str
    worker_log: str


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


def servers(folder: Path, graph: SimulatedGraph, temporal: EmbeddedTemporal, namespace: str, database: str) -> Servers:
    state = State(folder)
    state.make()
    (tenant,) = graph.tenants
    state.write_tenants(
        [{"id": tenant.id, "name": "contoso", "client_id": tenant.client_id, "client_secret": tenant.client_secret}]
    )
    settings = {
        "DATABASE_URL": database,
        "TEMPORAL_ADDRESS": temporal.address,
        "TEMPORAL_NAMESPACE": namespace,
        "GRAPH_BASE_URL": graph.base_url,
        "GRAPH_AUTHORITY_URL": graph.authority_url,
        "GRAPH_CA_FILE": str(graph.ca_file),
        "SENSITIVE_FIELDS_KEY": "none",
    }
    return Servers(settings, state.tenants_file)


@pytest.fixture(scope="module")
def installed(folder: Path, postgres: EmbeddedPostgres, temporal: EmbeddedTemporal) -> Installed:
    namespace = asyncio.run(new_namespace(temporal))
    with SimulatedGraph(tenants=1, seed=next(SEEDS)) as graph:
        for database in copy_of(postgres, "template1"):
            return take_steps(folder, servers(folder / "servers", graph, temporal, namespace, database))
    raise AssertionError


def take_steps(folder: Path, there: Servers) -> Installed:
    """Runs README's lines unchanged in one shell, and does the reader's part: fills in the files that a line copies,
    and starts the worker as in another terminal.
    """
    clone, home, filled = folder / "clone", folder / "home", folder / "filled"
    shutil.copytree(CHECKOUT, clone, ignore=NOT_CLONED)
    for directory in (home, filled):
        directory.mkdir()
    (filled / ".env").write_text(filled_in((CHECKOUT / ".env.example").read_text(), there.settings))
    shutil.copy(there.tenants_file, filled / "tenants.toml")
    script = ["set -e"]
    for line in readme_lines():
        command, _, _ = line.partition("#")
        if command.strip() == "python worker.py":
            script += [f"{command} >worker.log 2>&1 &", "worker=$!", "trap 'kill -9 $worker' EXIT"]
        else:
            script.append(line)
        if copied := re.fullmatch(r"cp \S+ (\S+)", command.strip()):
            script.append(f"cp {shlex.quote(str(filled / copied[1]))} {copied[1]}")
    script += ["trap - EXIT", "kill $worker", "wait $worker"]
    environment = {
        "PATH": f"{sys.base_prefix}/bin:{os.defpath}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        **{name: value for name, value in os.environ.items() if OF_THE_MACHINE.match(name)},
    }
    code, output = finished(["bash", "-c", "\n".join(script)], clone, environment)
    log = clone / "worker.log"
    return Installed(clone, environment, code, output, log.read_text() if log.exists() else "")


def readme_lines() -> list[str]:
    """The commands of README's section "Use it"."""
    section = (CHECKOUT / "README.md").read_text().split("\n## Use it\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block).splitlines()


def filled_in(example: str, settings: Mapping[str, str]) -> str:
    """The example file with these values: each has a line there, which may be commented out."""
    for name, value in settings.items():
        (line,) = re.findall(rf"^#?{name}=.*$", example, re.MULTILINE)
        example = example.replace(line, f"{name}={value}")
    return example


def finished(command: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code and all output of a command, whose processes never outlive it."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=DEADLINE_SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output


def test_the_readme_steps_sync_a_tenant(installed: Installed) -> None:
    assert installed.code == 0, installed.output + installed.worker_log
    assert "the database went from empty to revision" in installed.output
    assert re.search(r"^success  everything", installed.output, re.MULTILINE), installed.output
    assert "worker ready" in installed.worker_log
    assert "worker stops" in installed.worker_log
    for written in (installed.output, installed.worker_log):
        assert "\x1b" not in written
        assert "Traceback" not in written


def test_a_worker_of_the_image_passes_its_check_and_syncs(
    folder: Path, installed: Installed, postgres: EmbeddedPostgres, temporal: EmbeddedTemporal
) -> None:
    # README and the image install the same file, which pip takes whole or not at all.
    (installation,) = re.findall(r"^RUN python -m (pip install .*)$", DOCKERFILE, re.MULTILINE)
    assert installation in readme_lines()
    namespace = asyncio.run(new_namespace(temporal))
    image = image_folder(folder / "image")
    with SimulatedGraph(tenants=1, seed=next(SEEDS)) as graph:
        for database in copy_of(postgres, "template1"):
            there = servers(folder / "image servers", graph, temporal, namespace, database)
            environment = {
                **installed.environment,
                **image_environment(),
                **there.settings,
                "TENANTS_FILE": str(there.tenants_file),
                "PATH": f"{installed.folder / 'venv' / 'bin'}:{installed.environment['PATH']}",
            }
            try_image(image, environment, folder / "image-worker.log")


def try_image(image: Path, environment: Mapping[str, str], log: Path) -> None:
    start, check = (json.loads(words) for words in re.findall(r"(?:^| )CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[::-1])
    assert [start[-1], check[-1]] == ["worker.py", "--check"]

    packages = json.loads(succeeds(["python", "-m", "pip", "list", "--format=json"], image, environment))
    names = {package["name"].lower().replace("_", "-") for package in packages} - {"pip", "setuptools"}
    pinned = re.findall(r"^([a-z0-9-]+)==", (image / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    assert names <= set(pinned)

    assert "  demo " in succeeds(["python", "starter.py", "--help"], image, environment)
    assert finished(["python", "starter.py", "demo", "--keep"], image, environment) == (
        2,
        "error: this image has no embedded servers; run the demo in a checkout: make demo\n",
    )
    code, output = finished(check, image, environment)
    assert (code, output.count("\n")) == (1, 1), output
    assert "python starter.py database upgrade" in output

    succeeds(["python", "starter.py", "database", "upgrade"], image, environment)
    assert succeeds(check, image, environment) == ""
    with log.open("w") as sink:
        worker = subprocess.Popen(start, cwd=image, env=dict(environment), stdout=sink, stderr=sink)
    try:
        output = succeeds(["python", "starter.py", "sync", "contoso", "--all"], image, environment)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(DEADLINE_SECONDS) == 0, log.read_text()
    finally:
        worker.kill()
        worker.wait()
    assert re.search(r"^success  everything", output, re.MULTILINE), output
    assert "worker stops" in log.read_text()
    assert "\x1b" not in output + log.read_text()


def succeeds(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """The output of a command that exits with 0."""
    code, output = finished(command, folder, environment)
    assert code == 0, output
    return output


def image_folder(folder: Path) -> Path:
    """A folder with only the files that the Dockerfile copies."""
    folder.mkdir()
    for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            path = folder / (source if target == "./" else target)
            path.parent.mkdir(parents=True, exist_ok=True)
            if (CHECKOUT / source).is_dir():
                shutil.copytree(CHECKOUT / source, path, ignore=NOT_CLONED)
            else:
                shutil.copy(CHECKOUT / source, path)
    return folder


def image_environment() -> dict[str, str]:
    """The Dockerfile's ENV."""
    (line,) = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    return dict(word.split("=", 1) for word in shlex.split(line))
