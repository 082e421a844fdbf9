"""Exported files: portable names, exact bytes, a manifest with paths inside the folder only."""

import unicodedata
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from answers.export.rules import (
    MAX_NAME_BYTES,
    ManifestError,
    file_bytes,
    file_path,
    folded,
    is_ours,
    manifest_bytes,
    read_manifest,
    safe_name,
)
from inventory.exact_json import decode

FORBIDDEN = set('<>:"/\\|?*') | {chr(code) for code in range(32)}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Windows 10 – Baseline (v2)", "Windows 10 – Baseline (v2)"),
        ("../../x", "_.._x"),
        ("a/b", "a_b"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("lpt1 .x", "_lpt1 .x"),
        ("COM²", "_COM²"),
        ("console", "console"),
        ("ends with dots...", "ends with dots"),
        (" . ", "unnamed"),
        ("", "unnamed"),
        (None, "unnamed"),
        ("🚀 Rollout 🚀", "🚀 Rollout 🚀"),
        ("cafe\u0301", "café"),
        ("two\nlines\tand  spaces", "two lines and spaces"),
        ("right\u202eto left\x00", "right_to left_"),
        ("x" * 300, "x" * MAX_NAME_BYTES),
        ("é" * 300, "é" * (MAX_NAME_BYTES // 2)),
    ],
)
def test_names_become_file_names(name: str | None, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=150))
@example("con." + "x" * 200)
@example("x" * 99 + ".x")
def test_safe_name_is_valid_and_idempotent(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not FORBIDDEN & set(safe)
    assert len(safe.encode()) <= MAX_NAME_BYTES
    assert safe == safe.strip(" .") == unicodedata.normalize("NFC", safe) == safe_name(safe)
    assert is_ours(file_path("apps", "mobileApps", name, "1"))


def test_items_with_equal_or_case_variant_names_have_distinct_files() -> None:
    paths = [file_path("apps", "mobileApps", name, id_) for name, id_ in (("A", "1"), ("A", "2"), ("a", "3"))]
    assert len({folded(path) for path in paths}) == 3
    assert file_path("apps", "mobileApps", "B", "1").split(".")[-2:] == paths[0].split(".")[-2:]


def test_type_key_absent_from_the_catalog_goes_under_other() -> None:
    assert file_path(None, "bygone", "A", "1").startswith("other/bygone/A.")


def test_file_keeps_every_digit_of_the_document() -> None:
    document = b'{"a":[],"b":12345678901234567890123,"c":1.10000000000000000001,"d":{"e":1e400,"f":"\xc3\xa9"}}'
    written = file_bytes(document)
    assert written.decode() == (
        '{\n  "a": [],\n  "b": 12345678901234567890123,\n  "c": 1.10000000000000000001,\n'
        '  "d": {\n    "e": 1E+400,\n    "f": "é"\n  }\n}\n'
    )
    assert decode(written) == decode(document)


def test_manifest_round_trips_in_any_order() -> None:
    tenant = uuid4()
    files = [file_path("apps", "mobileApps", name, name) for name in ("b", "a", "../c", "🚀")]
    written = manifest_bytes(tenant, files)
    assert written == manifest_bytes(tenant, reversed(files))
    assert read_manifest(written) == (tenant, frozenset(files))


@pytest.mark.parametrize(
    "path",
    [
        "../outside/x.0123456789abcdef.json",
        "/etc/apps/x.0123456789abcdef.json",
        "apps/../x.0123456789abcdef.json",
        "apps/mobileApps/../x.0123456789abcdef.json",
        "apps/mobileApps/.git.0123456789abcdef.json",
        "apps/mobileApps/x.json",
        "apps\\mobileApps\\x.0123456789abcdef.json",
        "C:/mobileApps/x.0123456789abcdef.json",
        "README.md",
        "",
    ],
)
def test_manifest_with_a_foreign_path_is_refused(path: str) -> None:
    with pytest.raises(ManifestError, match="no export has written"):
        read_manifest(manifest_bytes(uuid4(), [path]))


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "tenant_id": 1, "files": []}'])
def test_invalid_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(ManifestError):
        read_manifest(text)
