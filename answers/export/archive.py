"""A ZIP archive of `export`'s files and its record."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from answers.export.answer import ExportBasis
from answers.export.records import ExportRecord
from answers.export.rules import MANIFEST, companion_bytes, companion_path, file_bytes, file_path, manifest_bytes
from graph.catalog import load_catalog
from inventory.user_errors import UnavailableError

RECORD = "export.json"


class Archive:
    """`keep` each document, then `close`.

    Equal documents make equal bytes: files have no time. All methods raise `UnavailableError` without room.
    """

    def __init__(self, tenant_id: UUID, *, decoded: bool) -> None:
        self._tenant_id = tenant_id
        self._decoded = decoded
        self._paths: list[str] = []
        with _room():
            self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed by its sender, or by `discard`
            self._zip = ZipFile(self._file, "w")

    def keep(self, type_key: str, external_id: str, display_name: str | None, document: bytes) -> None:
        path = file_path(load_catalog().category_of(type_key), type_key, display_name, external_id)
        self._add(path, file_bytes(document))
        self._paths.append(path)
        if self._decoded:
            self._add(companion_path(path), companion_bytes(document))
            self._paths.append(companion_path(path))

    def close(self, basis: ExportBasis) -> IO[bytes]:
        """Adds the record, and the manifest, so that `export` can continue in the unpacked folder."""
        record = ExportRecord(
            tenant_id=self._tenant_id, folder="", written=len(self._paths), unchanged=0, removed=0, **basis._asdict()
        )
        self._add(RECORD, json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False).encode() + b"\n")
        self._add(MANIFEST, manifest_bytes(self._tenant_id, self._paths))
        with _room():
            self._zip.close()
        return self._file

    def discard(self) -> None:
        with self._file, suppress(OSError):
            self._zip.close()

    def _add(self, path: str, content: bytes) -> None:
        with _room():
            self._zip.writestr(ZipInfo(path), content, ZIP_DEFLATED)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"the archive cannot be written: {error.strerror}; the web process needs a TMPDIR with free space"
        ) from None
