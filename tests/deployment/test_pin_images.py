"""deploy/pin-images, with a fake docker."""

import os
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.forks import CHECKOUT

FILES = ("docker-compose.yml", "Dockerfile")
IMAGE = re.compile(r"(?<=:-|E=)((?:[a-z-]+/)?[a-z-]+:\d[a-z0-9.-]+)@sha256:[0-9a-f]{64}")
# As `docker buildx imagetools inspect` prints (https://docs.docker.com/reference/cli/docker/buildx/imagetools/inspect/).
ANSWER = """\
[ "$1 $2 $3 $#" = "buildx imagetools inspect 4" ] || exit 64
echo "Name:      docker.io/library/$4"
echo "MediaType: application/vnd.oci.image.index.v1+json"
echo "Digest:    sha256:$(printf %s "$4" | sha256sum | cut -c 1-64)"
echo
echo "Manifests:"
echo "  Name:      docker.io/library/$4@sha256:0000"
"""


def pin(folder: Path, docker: str) -> "subprocess.CompletedProcess[str]":
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{docker}\n")
    program.chmod(0o755)
    return subprocess.run(
        [CHECKOUT / "deploy" / "pin-images", folder],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("pinned", [True, False])
def test_each_image_gets_the_digest_that_docker_names(tmp_path: Path, pinned: bool) -> None:
    expected = {}
    images = set()
    for name in FILES:
        written = (CHECKOUT / name).read_text()
        images |= set(IMAGE.findall(written))
        expected[name] = IMAGE.sub(lambda image: f"{image[1]}@sha256:{sha256(image[1].encode()).hexdigest()}", written)
        (tmp_path / name).write_text(written if pinned else IMAGE.sub(r"\1", written))
    assert len(images) == 5
    result = pin(tmp_path, ANSWER)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert {name: (tmp_path / name).read_text() for name in FILES} == expected


@pytest.mark.parametrize(
    "docker",
    [
        "exit 1",
        "echo 'Digest:    sha256:beef'",
        "echo nothing",
        f"echo 'Digest:    sha256:{'A' * 64}'",
        f"echo 'Digest:    sha256:{'0' * 64}'; exit 1",
    ],
)
def test_answers_without_a_digest_are_refused_and_change_no_file(tmp_path: Path, docker: str) -> None:
    for name in FILES:
        shutil.copy(CHECKOUT / name, tmp_path / name)
    result = pin(tmp_path, docker)
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"error: docker (knows no|names no digest of) \S+:\S+.*\n", result.stderr)
    assert all((tmp_path / name).read_text() == (CHECKOUT / name).read_text() for name in FILES)
