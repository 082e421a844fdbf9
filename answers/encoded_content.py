"""Readable text of base64 scripts, profiles and settings, and of JSON and XML.

Tenants' XML is hostile: it is laid out by its brackets, never parsed.
"""

import base64
import binascii
import codecs
import hashlib
import json
import plistlib
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple
from xml.parsers.expat import ExpatError

_CONTENT_NAMES = re.compile(r"(content|payload|json|script|xml|base64|layout|template)$", re.IGNORECASE)

_SCRIPT_NAMES = re.compile(r"scriptcontent$", re.IGNORECASE)
"""Properties that always hold base64 (Edm.Binary), even a script as short as `exit 0`."""

_LEAST_BYTES = 8
"""Decoded bytes of content; fewer may be a plain word."""

_LEAST_BYTES_ELSEWHERE = 18
"""The same for properties whose names do not suggest content."""

_LEAST_BINARY_CHARACTERS = 64
"""The same for binary content, in base64 characters."""

_LONGEST_LINE = 80

_DEEPEST = 20

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")

_BOMS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32 (little-endian, with a byte order mark)"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32 (big-endian, with a byte order mark)"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16 (little-endian, with a byte order mark)"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16 (big-endian, with a byte order mark)"),
)

_FORMATS = (
    (b"\x89PNG", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF8", "GIF image"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"%PDF", "PDF document"),
    (b"0\x82", "DER, such as a certificate"),
    (b"-----BEGIN", "PEM, such as a certificate"),
)

_PROFILE = re.compile(rb"<\?xml.*</plist>", re.DOTALL)

_TAG_END = re.compile(r">\s*<")


class Content(NamedTuple):
    """`encoding` is empty for plain text; for binary content it is a description and `text` is None."""

    text: str | None
    encoding: str


def content_of(value: object, name: str) -> Content | None:
    """None unless the value is encoded or takes several lines."""
    if not isinstance(value, str):
        return None
    is_named = _CONTENT_NAMES.search(name) is not None
    least = 1 if _SCRIPT_NAMES.search(name) else _LEAST_BYTES if is_named else _LEAST_BYTES_ELSEWHERE
    decoded = _from_base64(value, least, is_named=is_named)
    if decoded is not None:
        return decoded
    laid_out = _laid_out(value)
    return Content(laid_out, "") if "\n" in laid_out.rstrip("\n") else None


def _from_base64(value: str, least: int, *, is_named: bool) -> Content | None:
    if len(value) % 4 or not _BASE64.fullmatch(value):
        return None
    try:
        content = base64.b64decode(value, validate=True)
    except binascii.Error:
        return None
    if len(content) >= least:
        text = _text(content, may_be_old=is_named)
        if text is not None:
            return Content(_laid_out(text[0]), text[1])
    is_long = len(value) >= _LEAST_BINARY_CHARACTERS
    is_known = content.startswith((*(magic for magic, _ in _FORMATS), b"bplist"))
    return _binary(content) if is_long and (is_named or is_known or _is_mixed(value)) else None


def _is_mixed(value: str) -> bool:
    """Whether the text mixes cases and digits, as base64 does and words do not."""
    digits = sum(character.isdigit() for character in value)
    return digits * 32 >= len(value) and value != value.lower() and value != value.upper()


def _text(content: bytes, *, may_be_old: bool) -> tuple[str, str] | None:
    if content.startswith(b"bplist"):
        return None
    for mark, codec, words in _BOMS:
        if content.startswith(mark):
            return _decoded(content[len(mark) :], codec, words)
    if len(content) % 2 == 0 and content[1::2].count(0) * 2 > len(content) // 2 and 0 not in content[::2]:
        return _decoded(content, "utf-16-le", "UTF-16 (little-endian)")
    known = _decoded(content, "utf-8", "UTF-8")
    return _decoded(content, "cp1252", "Windows-1252") if known is None and may_be_old else known


def _decoded(content: bytes, codec: str, words: str) -> tuple[str, str] | None:
    try:
        text = content.decode(codec)
    except UnicodeDecodeError:
        return None
    is_text = all(
        character.isprintable() or character in "\r\n\t\f\ufeff" or unicodedata.category(character) == "Zs"
        for character in text
    )
    return (text, words) if is_text else None


def _binary(content: bytes) -> Content:
    if content.startswith(b"bplist00"):
        try:
            return Content(plistlib.dumps(plistlib.loads(content)).decode(), "binary property list")
        except (ValueError, TypeError, OverflowError, RecursionError, MemoryError, ExpatError, AttributeError):
            pass
    profile = _PROFILE.search(content)
    if profile is not None:
        text = _decoded(profile[0], "utf-8", "signed profile, UTF-8")
        if text is not None:
            return Content(_laid_out(text[0]), text[1])
    kind = next((words for magic, words in _FORMATS if content.startswith(magic)), "binary")
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Content(None, f"{kind}, {len(content):,} bytes, SHA-256 {digest}…")


def _laid_out(text: str) -> str:
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        try:
            return json.dumps(json.loads(stripped), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            return text
    is_xml = stripped.startswith("<") and stripped.endswith(">") and "\n" not in stripped
    if is_xml and (len(stripped) > _LONGEST_LINE or '"' in stripped):
        return "\n".join(_indented(_TAG_END.sub(">\n<", stripped).splitlines()))
    return text


def _indented(lines: list[str]) -> Iterator[str]:
    depth = 0
    for line in lines:
        is_end = line.startswith("</")
        depth = max(0, depth - is_end)
        yield f"{'  ' * min(depth, _DEEPEST)}{line}"
        is_whole = line.startswith(("<?", "<!")) or line.endswith("/>") or "</" in line
        depth += not (is_end or is_whole)
