"""Names and bytes of exported files, stable on any system.

`<category>/<type key>/<safe name>.<16 hexadecimal digits>.json`, and `txt` for its readable companion. The digits hash
the item's id, so items whose names differ in nothing but case do not clash.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from answers.document_text import document_lines
from inventory.exact_json import decode, decode_object, encode
from inventory.visible_text import visible, with_spaces

MANIFEST = ".tenant-inventory-export.json"
MAX_NAME_BYTES = 100
"""File names may have 255 bytes; Windows counts 260 characters of path."""

NO_CATEGORY = "other"
UNNAMED = "unnamed"

_FORMAT = 1
_ID_DIGITS = 16
"""With eight, two of 100,000 nameless items would share a file."""

_UNSAFE = re.compile(r'[<>:"/\\|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
"""Names that Windows reserves for devices, with any extension."""

_CONTROLS = frozenset({"Cc", "Cf", "Cs"})
_OURS = re.compile(r"[a-z0-9-]+/[A-Za-z][A-Za-z0-9._]*/([^/]+)\.[0-9a-f]{16}\.(?:json|txt)")


class ManifestError(ValueError):
    """A folder's manifest is not an export's."""


class Manifest(NamedTuple):
    """Files that exports have written into a folder."""

    tenant_id: UUID
    files: frozenset[str]


def file_path(category: str | None, type_key: str, display_name: str | None, external_id: str) -> str:
    """The path has forward slashes."""
    digits = hashlib.sha256(external_id.encode()).hexdigest()[:_ID_DIGITS]
    return f"{category or NO_CATEGORY}/{type_key}/{safe_name(display_name)}.{digits}.json"


def companion_path(path: str) -> str:
    return f"{path.removesuffix('.json')}.txt"


def companion_bytes(document: bytes) -> bytes:
    """Values in words, from the document alone: ids have no names."""
    lines = document_lines(decode_object(document), {}, {})
    return "".join(f"{visible(with_spaces(line))}\n" for line in lines).encode()


def file_bytes(document: bytes) -> bytes:
    """Canonical JSON, indented, with every digit."""
    return encode(decode(document), indented=True) + b"\n"


def safe_name(name: str | None) -> str:
    """A file name for Windows, macOS and Linux, without an extension."""
    composed = " ".join(unicodedata.normalize("NFC", name or "").split())
    plain = "".join(
        "_" if unicodedata.category(character) in _CONTROLS else character for character in _UNSAFE.sub("_", composed)
    )
    named = plain.strip(" .")
    if _DEVICES.match(named):
        named = "_" + named
    return named.encode()[:MAX_NAME_BYTES].decode(errors="ignore").rstrip(" .") or UNNAMED


def folded(path: str) -> str:
    """Equal for all paths of one file where case does not count."""
    return unicodedata.normalize("NFC", path.casefold())


def manifest_bytes(tenant_id: UUID, files: Iterable[str]) -> bytes:
    manifest = {"format": _FORMAT, "tenant_id": str(tenant_id), "files": sorted(files)}
    return json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"


def read_manifest(text: bytes) -> Manifest:
    """Raises `ManifestError`, also for a path that no export writes."""
    try:
        manifest = json.loads(text)
        if manifest["format"] != _FORMAT:
            raise ManifestError(f"its format is {manifest['format']!r}, and this release knows {_FORMAT}")
        files, tenant_id = [str(path) for path in manifest["files"]], UUID(manifest["tenant_id"])
    except ManifestError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ManifestError("it is not what an export writes") from None
    for path in files:
        if not is_ours(path):
            raise ManifestError(f"it names {path!r}, which no export has written")
    return Manifest(tenant_id, frozenset(files))


def is_ours(path: str) -> bool:
    """Whether `file_path` can have made the path, so that it leads nowhere else."""
    parts = _OURS.fullmatch(path)
    return parts is not None and parts[1] == safe_name(parts[1])
