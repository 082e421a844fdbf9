"""Encoded content of documents as text."""

import base64
import plistlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.encoded_content import Content, content_of
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

SCRIPT = "# äöü\r\nWrite-Host 'naïve'\r\n"
MARKS = {
    "UTF-8": (b"", "utf-8"),
    "UTF-8 with a byte order mark": (b"\xef\xbb\xbf", "utf-8"),
    "UTF-16 (little-endian, with a byte order mark)": (b"\xff\xfe", "utf-16-le"),
    "UTF-16 (big-endian, with a byte order mark)": (b"\xfe\xff", "utf-16-be"),
    "UTF-16 (little-endian)": (b"", "utf-16-le"),
    "UTF-32 (little-endian, with a byte order mark)": (b"\xff\xfe\0\0", "utf-32-le"),
    "Windows-1252": (b"", "cp1252"),
}
PROFILE = '<?xml version="1.0"?><plist version="1.0"><dict><key>Allow</key><true/></dict></plist>'


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("name", ["scriptContent", "detectionScriptContent", "remediationScriptContent"])
def test_script_in_any_encoding_is_decoded(name: str, encoding: str) -> None:
    mark, codec = MARKS[encoding]
    found = content_of(encoded(mark + SCRIPT.encode(codec)), name)
    assert found is not None
    assert (found.text, found.encoding) == (SCRIPT, encoding)


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="{["), min_size=20))
def test_any_text_with_a_byte_order_mark_is_decoded(text: str) -> None:
    """Any text but JSON, which is laid out."""
    found = content_of(encoded(b"\xef\xbb\xbf" + text.encode()), "anything")
    assert found == Content(text, "UTF-8 with a byte order mark")


@pytest.mark.parametrize(
    "plain",
    [
        "administrators00",
        "Administrator1234",
        "requiredAndroidSafetyNetDeviceAttestation",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "device_vendor_msft",
        "",
        "a",
        "enabled1",
        "1f0c4d2e-6a3b-4c55-9d0e-2b7a8c9d0e1f",
    ],
)
def test_words_and_ids_are_not_encoded_content(plain: str) -> None:
    assert content_of(plain, "displayName") is None
    assert content_of(plain, "value") is None


@pytest.mark.parametrize("name", ["scriptContent", "detectionScriptContent", "remediationScriptContent"])
def test_short_scripts_are_decoded(name: str) -> None:
    assert content_of("ZXhpdCAw", name) == Content("exit 0", "UTF-8")
    assert content_of("ZXhpdCAw", "content") is None, "a short word in another property is no content"


def test_single_line_profile_is_pretty_printed() -> None:
    for value in (PROFILE, encoded(PROFILE.encode())):
        found = content_of(value, "payload")
        assert found is not None
        assert found.text is not None
        assert found.text.splitlines()[-4:] == ["    <key>Allow</key>", "    <true/>", "  </dict>", "</plist>"]


def test_xml_indentation_is_limited() -> None:
    found = content_of("<a>" * 5_000 + "</a>" * 5_000, "payload")
    assert found is not None
    assert found.text is not None
    assert max(len(line) for line in found.text.splitlines()) < 60


def test_signed_and_binary_profiles_are_read() -> None:
    signed = content_of(encoded(b"0\x82\x01\x00\x06" + PROFILE.encode() + b"\x00\xa0\x82"), "payload")
    assert signed is not None
    assert signed.encoding == "signed profile, UTF-8"
    assert "<key>Allow</key>" in (signed.text or "")
    binary = content_of(encoded(plistlib.dumps({"Allow": [True] * 9}, fmt=plistlib.FMT_BINARY)), "payload")
    assert binary is not None
    assert binary.encoding == "binary property list"
    assert "<key>Allow</key>" in (binary.text or "")


def test_invalid_property_list_is_shown_as_binary() -> None:
    found = content_of(encoded(b"bplist00" + b"\xff" * 60), "payload")
    assert found is not None
    assert found.text is None
    assert found.encoding.startswith("binary, 68 bytes, SHA-256 ")


def test_image_is_shown_by_kind_and_size() -> None:
    found = content_of(encoded(b"\x89PNG\r\n\x1a\n" + bytes(range(256))), "value")
    assert found is not None
    assert found.text is None
    assert found.encoding.startswith("PNG image, 264 bytes, SHA-256 ")


@pytest.mark.parametrize("value", ['{"a":1,"b":[true]}', encoded(b'{"a":1,"b":[true]}')])
def test_json_is_pretty_printed(value: str) -> None:
    found = content_of(value, "payloadJson")
    assert found is not None
    assert (found.text or "").splitlines() == ["{", '  "a": 1,', '  "b": [', "    true", "  ]", "}"]


@pytest.mark.parametrize("value", ["{" * 100_000, "<" * 50_000 + ">", "[" * 60_000])
def test_unclosed_nesting_is_shown_as_it_is(value: str) -> None:
    assert content_of(value, "payload") is None
    assert content_of(encoded(value.encode()), "payload") == Content(value, "UTF-8")


@needs_graph_data
def test_only_content_fields_of_real_documents_are_decoded() -> None:
    found: dict[str, int] = {}

    def walk(value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, child in value.items():
                walk(child, key)
        elif isinstance(value, list):
            for child in value:
                walk(child, name)
        elif isinstance(value, str) and "\n" not in value and not value.lstrip().startswith(("<", "{", "[")):
            content = content_of(value, name)
            if content is not None:
                found[name] = found.get(name, 0) + 1

    for _, document in real_documents():
        walk(document, "")
    assert found.keys() <= {"detectionScriptContentBase64", "startMenuLayoutXml", "value"}, found
    assert found
