"""deploy/pin-images, with a docker in the place of the real one."""

import os
import re
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.forking import CHECKOUT

IMAGES = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", (CHECKOUT / "docker-compose.yml").read_text()))
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
        [CHECKOUT / "deploy" / "pin-images", folder / "images.lock.env"],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_each_image_is_written_with_the_digest_that_docker_named(tmp_path: Path) -> None:
    done = pin(tmp_path, ANSWER)
    assert (done.returncode, done.stderr) == (0, "")
    lines = (tmp_path / "images.lock.env").read_text().splitlines()
    assert lines == [
        f"{name}={image}@sha256:{sha256(image.encode()).hexdigest()}" for name, image in sorted(IMAGES.items())
    ]
    assert len(lines) == 5


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
def test_anything_but_a_digest_is_refused_and_the_file_stays(tmp_path: Path, docker: str) -> None:
    (tmp_path / "images.lock.env").write_text("what was there\n")
    done = pin(tmp_path, docker)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: docker (knows no|names no digest of) \S+:\S+.*\n", done.stderr)
    assert (tmp_path / "images.lock.env").read_text() == "what was there\n"
