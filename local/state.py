"""The embedded stack's folder and its locks."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

PRIVATE = 0o600
POLL_SECONDS = 0.1


class StackInfo(NamedTuple):
    pid: int
    temporal_ui_url: str
    environment: dict[str, str]
    control_url: str
    control_key_file: str
    tenants: list[str]
    worker_pid: int = 0
    web_url: str = ""


class State:
    """Only the folder's owner can read the secrets in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.environment_file = self.folder / "environment"
        self.tenants_file = self.folder / "tenants.toml"
        self.stack_file = self.folder / "stack.json"
        self.supervisor_log = self.folder / "supervisor.log"
        self.generation_file = self.folder / "generation"
        self._payload_key_file = self.folder / "payloads.key"
        self._lock_file = self.folder / "lock"
        self._parts_lock_file = self.folder / "parts.lock"

    def make(self) -> None:
        """Makes the folder, which others cannot list: it holds logs and databases."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Root's PostgreSQL runs as another user, who may traverse the folder, not list it.
        self.folder.chmod(self.folder.stat().st_mode & (0o711 if os.geteuid() == 0 else 0o700))

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Locks the folder for a supervisor; False if another supervisor holds it."""
        self.make()
        with self._lock_file.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    @contextmanager
    def parts_held(self, longest_wait_seconds: float | None = None) -> Iterator[int | None]:
        """The file descriptor of a lock that parts inherit and so hold to their end; None if older parts hold it."""
        deadline = time.monotonic() + (longest_wait_seconds or 0)
        with self._parts_lock_file.open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() >= deadline:
                        yield None
                        return
                    time.sleep(POLL_SECONDS)
            yield lock.fileno()

    def is_free(self) -> bool:
        with self.held() as free:
            if not free:
                return False
            with self.parts_held() as lock:
                return lock is not None

    def running(self) -> StackInfo | None:
        """The running stack, if any. Removes the files of a killed supervisor."""
        if not self.stack_file.exists():
            return None
        with self.held() as free:
            if free:
                self.withdraw()
                return None
        return StackInfo(**json.loads(self.stack_file.read_text()))

    def publish(self, info: StackInfo) -> None:
        lines = [f"{name}={_quoted(value)}" for name, value in info.environment.items()]
        self.write_private(self.environment_file, "\n".join(lines) + "\n")
        self.write_private(self.stack_file, json.dumps(info._asdict()))

    def withdraw(self) -> None:
        for path in (self.environment_file, self.stack_file):
            path.unlink(missing_ok=True)

    def write_tenants(self, tenants: Sequence[Mapping[str, Any]]) -> None:
        secret_files = self.folder / "secrets"
        secret_files.mkdir(mode=0o700, exist_ok=True)
        lines = ["# The simulated tenants of the embedded stack, written anew at each start."]
        for tenant in tenants:
            secret_file = secret_files / str(tenant["id"])
            self.write_private(secret_file, str(tenant["client_secret"]))
            lines += [
                "",
                "[[tenant]]",
                *[f"{key} = {_toml(tenant[key])}" for key in ("id", "name", "client_id")],
                f"client_secret_file = {_toml(secret_file)}",
            ]
        self.write_private(self.tenants_file, "\n".join(lines) + "\n")

    def sensitive_fields_key(self) -> str:
        """The key that wraps data keys, the same at each start."""
        return self._key(self.folder / "sensitive-fields.key")

    def encrypt_payloads(self) -> None:
        """Encrypts payloads from the next start on."""
        self.make()
        self._key(self._payload_key_file)

    def payload_key(self) -> str | None:
        """The key that encrypts payloads; None if they go in clear."""
        return self._payload_key_file.read_text() if self._payload_key_file.exists() else None

    def _key(self, file: Path) -> str:
        if not file.exists():
            self.write_private(file, secrets.token_hex())
        return file.read_text()

    def generation(self) -> int:
        """How often the sample tenants have changed; -1 before the first start."""
        return int(self.generation_file.read_text()) if self.generation_file.exists() else -1

    def next_generation(self) -> int:
        generation = self.generation() + 1
        self.make()
        self.write_private(self.generation_file, str(generation))
        return generation

    @staticmethod
    def write_private(path: Path, content: str) -> None:
        """Writes a file atomically, never readable by others."""
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as file:
            file.write(content)
        draft.replace(path)


def _quoted(value: str) -> str:
    """Quotes for python-dotenv: a folder's name may hold an apostrophe."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _toml(value: object) -> str:
    """A JSON string without surrogate pairs, which TOML lacks."""
    return json.dumps(str(value), ensure_ascii=False)
