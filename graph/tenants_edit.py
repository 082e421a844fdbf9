"""Commands' changes of the tenants file, by lines, since TOML libraries misplace comments.

A change is saved only if the new text parses to the wanted content.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple
from uuid import UUID

from graph.tenants import Tenants, TenantsFileError, load_tenants

_HEADER = re.compile(r"\s*\[")
_ENTRY = re.compile(r"""\s*\[\[\s*["']?tenant["']?\s*\]\]""")
_SAYS_SOMETHING = re.compile(r"\s*[^\s#]")
_DISABLED = re.compile(r"""\s*["']?disabled["']?\s*=""")

BOM = "\ufeff"


class _Lines(NamedTuple):
    start: int
    header: int
    end: int


class TenantsFileEdit:
    """A tenants file, empty if missing. Its methods raise `TenantsFileError`."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self.tenants = load_tenants(path) if path.exists() else Tenants([])
        self._read = path.read_bytes() if path.exists() else b""
        text = self._read.decode("utf-8")
        self._begins_with_bom = text.startswith(BOM)
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._lines = text.removeprefix(BOM).replace("\r\n", "\n").splitlines()

    def add(self, entry: Mapping[str, Any]) -> None:
        data = self._data()
        data.setdefault("tenant", []).append(dict(entry))
        lines = [*self._lines, *([""] if self._lines else []), "[[tenant]]"]
        self._save([*lines, *(f"{key} = {_toml(value)}" for key, value in entry.items())], data)

    def disable(self, tenant_id: UUID, *, disabled: bool) -> bool:
        """Returns whether anything changed."""
        tenant = self.tenants.get(tenant_id)
        if tenant is None or tenant.disabled == disabled:
            return False
        data = self._data()
        entry = data["tenant"][self._index(tenant_id)]
        place = self._place(tenant_id)
        body = [line for line in self._lines[place.header : place.end] if not _DISABLED.match(line)]
        entry.pop("disabled", None)
        if disabled or data.get("defaults", {}).get("disabled"):
            entry["disabled"] = disabled
            body.append(f"disabled = {_toml(disabled)}")
        self._save([*self._lines[: place.header], *body, *self._lines[place.end :]], data)
        return True

    def remove(self, tenant_id: UUID) -> None:
        """Also removes the comment right above."""
        data = self._data()
        del data["tenant"][self._index(tenant_id)]
        if not data["tenant"]:
            del data["tenant"]
        place = self._place(tenant_id)
        before, after = self._lines[: place.start], self._lines[place.end :]
        while before and not before[-1].strip() and (not after or not after[0].strip()):
            before.pop()
        self._save([*before, *after], data)

    def _data(self) -> dict[str, Any]:
        return tomllib.loads("\n".join(self._lines))

    def _index(self, tenant_id: UUID) -> int:
        return [tenant.id for tenant in self.tenants].index(tenant_id)

    def _place(self, tenant_id: UUID) -> _Lines:
        found = list(self._places())
        if len(found) != len(self.tenants):
            raise self._by_hand()
        return found[self._index(tenant_id)]

    def _places(self) -> Iterator[_Lines]:
        headers = [number for number, line in enumerate(self._lines) if _HEADER.match(line)]
        for header, following in pairwise([*headers, len(self._lines)]):
            if not _ENTRY.match(self._lines[header]):
                continue
            start, end = header, following
            while start and self._lines[start - 1].lstrip().startswith("#"):
                start -= 1
            # A comment at the top is about the file.
            start = header if start == 0 else start
            while end > header + 1 and not _SAYS_SOMETHING.match(self._lines[end - 1]):
                end -= 1
            yield _Lines(start, header, end)

    def _save(self, lines: list[str], data: Mapping[str, Any]) -> None:
        text = "\n".join(lines).rstrip("\n") + "\n"
        try:
            if tomllib.loads(text) != data:
                raise self._by_hand()
        except tomllib.TOMLDecodeError:
            raise self._by_hand() from None
        content = ((BOM if self._begins_with_bom else "") + text.replace("\n", self._newline)).encode()
        try:
            self._replace(content)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise TenantsFileError(f"{self._path}: cannot be written: {reason}; change it by hand") from None

    def _replace(self, content: bytes) -> None:
        """Replaces the file atomically; mode and owner stay."""
        with NamedTemporaryFile(dir=self._path.parent, prefix=f"{self._path.name}.", delete=False) as new:
            place = Path(new.name)
            try:
                new.write(content)
                new.flush()
                os.fsync(new.fileno())
                if not self._path.exists():
                    place.chmod(0o644)
                else:
                    stat = self._path.stat()
                    place.chmod(stat.st_mode & 0o7777)
                    if (stat.st_uid, stat.st_gid) != (os.getuid(), os.getgid()):
                        os.chown(place, stat.st_uid, stat.st_gid)
                _check(place, self._path)
                if (self._path.read_bytes() if self._path.exists() else b"") != self._read:
                    raise TenantsFileError(f"{self._path}: was changed meanwhile; run this again")
                place.replace(self._path)
            finally:
                with suppress(FileNotFoundError):
                    place.unlink()

    def _by_hand(self) -> TenantsFileError:
        return TenantsFileError(f"{self._path}: is written in a way that commands cannot change; change it by hand")


def _check(new: Path, path: Path) -> None:
    try:
        load_tenants(new)
    except TenantsFileError as error:
        raise TenantsFileError(str(error).replace(str(new), str(path))) from None


def _toml(value: object) -> str:
    """TOML writes booleans, strings and lists of strings as JSON does."""
    return json.dumps(value, ensure_ascii=False)
