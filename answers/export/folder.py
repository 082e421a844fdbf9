"""An export's folder. Only files of earlier exports are removed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from answers.export.rules import MANIFEST, ManifestError, folded, is_ours, manifest_bytes, read_manifest
from cli.errors import UsageError, disk_is_full
from inventory.user_errors import UnavailableError

JOURNAL = ".tenant-inventory-export.journal"
"""Names the files of an unfinished export, one a line."""

TEMPORARY = ".tenant-inventory-export.tmp"


class ExportFolder:
    """`put` each file, then `remove_others`, then `close`.

    Changes are renames, so a reader sees the old or the new file. The next export knows the files of a broken one.
    Links below the folder are not followed. All methods raise `UsageError` if the folder or file system refuses,
    `UnavailableError` if the disk is full: the next export continues.
    """

    def __init__(self, folder: Path, tenant_id: UUID, *, force: bool) -> None:
        self.written = self.unchanged = self.removed = 0
        self._folder = folder
        self._tenant_id = tenant_id
        self._force = force
        self._there: dict[str, str] = {}
        """Files by case-folded path."""
        self._put: set[str] = set()
        with self._refusals():
            self._open()

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        manifest = self._read(MANIFEST)
        journal = self._read(JOURNAL)
        if manifest is None and journal is None and not self._force:
            strangers = sorted(path.name for path in self._folder.iterdir() if not path.name.startswith("."))
            if strangers:
                raise UsageError(
                    f"{self._folder} is not empty and holds no earlier export ({strangers[0]!r} is there);"
                    " name another folder, or use --force: files that no export wrote stay as they are"
                )
        if manifest is not None:
            try:
                earlier = read_manifest(manifest)
            except ManifestError as error:
                raise UsageError(f"{self._folder / MANIFEST}: {error}; name another folder, or remove it") from None
            if earlier.tenant_id != self._tenant_id:
                raise UsageError(
                    f"{self._folder} is an export of another tenant, {earlier.tenant_id}; name another folder"
                )
            self._there = {folded(path): path for path in earlier.files}
        for path in (journal or b"").decode(errors="replace").splitlines():
            if is_ours(path):
                self._there[folded(path)] = path

    def put(self, path: str, content: bytes) -> None:
        with self._refusals():
            self._checked_parents(path)
            earlier = self._there.get(folded(path))
            before = self._read(path)
            if before == content and earlier in (None, path):
                self.unchanged += 1
            else:
                if earlier is None:
                    if before is not None and not self._force:
                        raise UsageError(
                            f"{self._folder / path} was not written by an export; remove it, or use --force"
                        )
                elif earlier != path:
                    # Where case does not count, the new file would keep the old one's name.
                    (self._folder / earlier).unlink(missing_ok=True)
                if earlier != path:
                    self._note(path)
                self._replace(path, content)
                self.written += 1
            self._there[folded(path)] = path
            self._put.add(folded(path))

    def remove_others(self, type_keys: frozenset[str] | None) -> None:
        """Removes earlier exports' files that were not put, of these collections or all."""
        with self._refusals():
            for key, path in sorted(self._there.items()):
                type_key = path.split("/")[1]
                if key in self._put or (type_keys is not None and type_key not in type_keys):
                    continue
                self._checked_parents(path)
                with suppress(FileNotFoundError):
                    (self._folder / path).unlink()
                    self.removed += 1
                del self._there[key]
                for parent in list((self._folder / path).parents)[:2]:
                    with suppress(OSError):
                        parent.rmdir()

    def close(self) -> None:
        with self._refusals():
            content = manifest_bytes(self._tenant_id, self._there.values())
            if self._read(MANIFEST) != content:
                self._replace(MANIFEST, content)
            (self._folder / JOURNAL).unlink(missing_ok=True)

    def _checked_parents(self, path: str) -> None:
        for parent in list((self._folder / path).parents)[:2]:
            if parent.is_symlink():
                raise UsageError(f"{parent} is a link, and an export follows none; put a folder in its place")

    def _read(self, path: str) -> bytes | None:
        place = self._folder / path
        if place.is_symlink():
            raise UsageError(f"{place} is a link, and an export follows none; remove it")
        try:
            return place.read_bytes()
        except FileNotFoundError:
            return None

    def _note(self, path: str) -> None:
        journal = self._folder / JOURNAL
        if journal.is_symlink():
            raise UsageError(f"{journal} is a link, and an export follows none; remove it")
        with journal.open("ab") as lines:
            lines.write(path.encode() + b"\n")

    def _replace(self, path: str, content: bytes) -> None:
        place, temporary = self._folder / path, self._folder / f"{TEMPORARY}.{os.getpid()}"
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turns an OSError into the class's errors: elsewhere an OSError means that PostgreSQL is away."""
        try:
            yield
        except FileExistsError as error:
            raise UsageError(f"{error.filename} is a file; name a folder") from None
        except OSError as error:
            if (full := disk_is_full(error, str(self._folder))) is not None:
                raise UnavailableError(full) from None
            raise UsageError(f"{error.filename or self._folder}: {error.strerror or type(error).__name__}") from None
