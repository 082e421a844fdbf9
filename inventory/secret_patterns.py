"""Secrets by nature, at any depth: by a property's name or a value's shape.

A mark replaces the whole text, which may hold more secrets. A payload that the operator shows keeps its other lines.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from functools import cache, lru_cache

NAME_ENDINGS = (
    "password", "passwd", "passphrase", "passcode", "secret", "secrettext", "token", "tokenvalue",
    "presharedkey", "sharedkey", "privatekey", "secretkey", "apikey", "accesskey", "accountkey", "workspacekey",
    "productkey", "licensekey", "licencekey", "encryptionkey", "storagekey", "authkey", "wepkey", "keymaterial", "psk",
    "connectionstring", "connectstring",
    "sasurl", "pkcs12value", "pfxblob", "onboardingblob", "offboardingblob",
)  # fmt: skip
"""Endings of secrets' names, in lower case without `_JOINTS`."""

MIN_TEXT_LENGTH = 20
"""Shorter texts, such as names and enumerations, are not searched."""

_PIN = re.compile(r"(?:^|[a-z0-9_\- ])(?:Pin|PIN)$|^pin$")
_JOINTS = str.maketrans("", "", "_- .")

_WORD = (
    r"(?:password|passwd|passphrase|passcode|pwd|secret(?:_?text)?|(?<!publickey)token|psk|key_?material|connection_?string|(?<=_)pass|(?-i:(?<=[a-z])Pass)"
    r"|(?:pre_?shared|shared|private|secret|api|access|account|workspace|product|licen[cs]e|encryption|storage|auth|wep)"
    r"[_-]?key)"
)
"""`NAME_ENDINGS` in texts."""
_WORDS = (
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "key",
    "token",
    "psk",
    "connectionstring",
    "pass",
)
_NAME = r"[\w.\-]{0,64}?" + _WORD
"""A whole name; the bound keeps searches of long texts linear."""
_NAMED = re.compile(
    r"(?:password|passwd|passphrase|passcode|pwd|secret|text|key|token|psk|material|string|pass)s?(?![a-z0-9_-])"
)
"""Possible ends of a secret's name in a lower-case text; Base64 has mostly none."""
_NO_LITERAL = r"(?![$%{<*\[(])"
"""Excludes variables and placeholders."""
_BARE = _NO_LITERAL + r"(?=[^\s\"'&;,|<>]*\d)[^\s\"'&;,|<>$%{}()\[\]`*\\]{6,}(?![^\s\"'&;,|<>])"
"""A literal without quotes. Secrets have a digit; variables and calls mostly have none."""
_LITERAL = r"(?:[\"']" + _NO_LITERAL + r"[^\"'\s]{4,}[\"']|" + _BARE + ")"

_SHAPES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("private key",), r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY"),
    # JSON Web Tokens (RFC 7519).
    (("eyj",), r"\b(?-i:eyJ)[\w-]{8,}\.(?-i:eyJ)[\w-]{8,}\.[\w-]{8,}"),
    # Signatures and keys in addresses: Azure Storage, Logic Apps, Azure Functions.
    (("sig=",), r"[?&;]sig=[^&\s\"'<>$]{8,}"),
    (("code=",), r"/api/[^\s\"'<>]*[?&]code=[^&\s\"'<>$]{8,}"),
    (
        ("accountkey=", "sharedaccess"),
        r"(?:AccountKey|SharedAccessKey|SharedAccessSignature)=[^;\s\"'<>$]{8,}",
    ),
    (("pwd=", "password="), r";\s*(?:password|pwd)=(?:\{(?![{$%])|" + _NO_LITERAL + r")[^;\"'\s]{3,}"),
    (("://",), r"://[^/\s:@\"'<>]+:" + _NO_LITERAL + r"[^/\s@\"'<>]{3,}@"),
    # Tokens with a maker's prefix: GitHub, GitLab, Slack, Stripe, Entra ID's client secrets, webhooks.
    (("gh", "github_pat_"), r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{30,})"),
    (("glpat-", "xox", "sk_live_"), r"\b(?:glpat-[\w-]{20}|xox[abprs]-[\w-]{10,}|sk_live_[A-Za-z0-9]{16,})"),
    (("q~",), r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])"),
    (("aiza", "npm_", "sk-"), r"\b(?:(?-i:AIza)[\w-]{35}|npm_[A-Za-z0-9]{36}|(?-i:sk)-(?:proj-|ant-)?[\w-]{32,})"),
    (
        ("authorization",),
        r"Authorization[\"']?\s*[:=]\s*[\"']?(?:Bearer|Basic)\s+" + _NO_LITERAL + r"[\w+/=.~-]{16,}",
    ),
    (("webhook", "hooks."), r"(?:\.webhook\.office\.com/webhookb2|hooks\.slack\.com/services)/[^\s\"'<>$]{8,}"),
    # Literals in scripts, JSON, XML and property lists.
    (_WORDS, _WORD + r"[\"']?\s*(?::=|=>|[:=])\s*(?:\(\s*)?[\"']" + _NO_LITERAL + r"[^\"'\s]{4,}[\"']"),
    # Literals that begin on the next line, and lists of them: here-strings, YAML, arrays.
    (_WORDS, _WORD + r"[\"']?\s*=\s*@[\"']\s*\n\s*[^\s\"'$<{]{4,}"),
    (_WORDS, r"(?m:^)[ \t-]*" + _NAME + r"[ \t]*:[ \t]*[|>][+-]?[ \t]*\n[ \t]+[^\s$<{]{4,}"),
    (_WORDS, _WORD + r"s?[\"']?\s*[:=]\s*(?:@?\(|\[)\s*[\"']" + _NO_LITERAL + r"[^\"'\s]{4,}[\"'][^)\]]{0,2000}"),
    # Without quotes: shells, addresses, properties of installers; files of settings, a line each.
    (_WORDS, r"(?<![\w$.\-])" + _NAME + "=" + _BARE),
    (_WORDS, r"(?m:^)[ \t-]*" + _NAME + r"[ \t]*[:=][ \t]+" + _BARE + r"[ \t]*(?m:$)"),
    # Options: `-Password 'x'`, `--token x`, `/password:x`.
    (_WORDS, r"(?<!\S)(?:--?|/)" + _NAME + r"(?:\s+|[:=])" + _LITERAL),
    # Pairs of a name and a value: XML, JSON, the registry.
    (
        _WORDS,
        r"(?:\b(?:name|key|id)|/v|-Name)[\"']?\s*[:=]?\s*[\"']?" + _NAME + r"[\"']?[\s,]+"
        r"(?:/t\s+\w+\s+)?[\"']?(?:-?value\w{0,16}|/d)[\"']?\s*[:=]?\s*" + _LITERAL,
    ),
    (
        ("securestring",),
        r"ConvertTo-SecureString[\s`]+(?:-(?:AsPlainText|Force|String)[\s`]+)*[\"'][^\"'$\n]{3,}[\"']",
    ),
    (("<key>",), r"<key>[^<]{0,200}" + _WORD + r"</key>\s*<(?:string|data)>\s*" + _NO_LITERAL + r"[^\s<]"),
    (
        _WORDS,
        r"<(?:\w{1,64}:)?" + _NAME + r"(?:\s[^<>]*)?>\s*(?:<Value>\s*)?[^\s<$%{][^<]{2,}</",
    ),
    (("pidkey=",), r"PIDKEY=\"[^\"]"),
    (("key", "ipk"), r"(?-i:\b[A-Z0-9]{5}(?:-[A-Z0-9]{5}){4}\b)"),
    (("private-lines",), r"(?m:^)Private-Lines:"),
    # Commands that take a password by position.
    (("curl",), r"\bcurl\b[^\n|;]{0,300}\s(?:-u|--user)\s+[\"']?[^\s:\"'$]{1,99}:(?![$%{<*])[^\s\"'$]{3,}"),
    (("net",), r"\bnet1?(?:\.exe)?\s+user\s+(?:\"[^\"]{1,99}\"|[^\s/\"]+)\s+(?![/$%*])\S{3,}"),
    (("net",), r"\bnet1?(?:\.exe)?\s+use\s[^\n]{0,200}?(?:/user:|\\\\)\S{1,300}\s+(?![/$%*])\S{3,}"),
    (
        ("schtasks", "psexec"),
        r"\b(?:schtasks\b[^\n]{0,300}\s/rp|psexec(?:64)?\b[^\n]{0,300}\s-p)\s+(?![/$%*-])\S{3,}",
    ),
)
"""Shapes of secrets, each with hints: every occurrence in lower case contains one of them."""

_IDENTIFIER = re.compile(r"[#A-Za-z]?[A-Za-z0-9]*[_.\-][\w.{}:\-]*", re.ASCII)
"""An id, type, setting's name or moment, as most texts of a document are."""
_TOKEN = re.compile(r"gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{30}|glpat-[\w-]{20}|xox[abprs]-|sk_live_|eyJ[\w-]+\.eyJ")
"""Secrets that look like identifiers."""

_BEGINNINGS = "gxse"

_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]{24,}={0,2}\s*", re.ASCII)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@cache
def _shapes() -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    """Compiled only when a text is searched: that takes 8 ms, and most commands search none."""
    return tuple((hints, re.compile(shape, re.IGNORECASE)) for hints, shape in _SHAPES)


@lru_cache(maxsize=20_000)
def is_secret_name(name: str) -> bool:
    return name.lower().translate(_JOINTS).endswith(NAME_ENDINGS) or _PIN.search(name) is not None


def has_secret(text: str) -> bool:
    """Whether the text or its Base64 content holds a secret."""
    if len(text) < MIN_TEXT_LENGTH:
        return False
    if _IDENTIFIER.fullmatch(text) is not None:
        return text[0] in _BEGINNINGS and _TOKEN.match(text) is not None
    # The next run brings most texts again. The cache holds hashes, never a text.
    key = hash(text)
    is_secret = _KNOWN.get(key)
    if is_secret is None:
        is_secret = _has_shape(text)
        if not is_secret and (inner := _decoded(text)) is not None:
            is_secret = _has_shape(inner)
        if len(_KNOWN) >= _MAX_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = is_secret
    return is_secret


def readable(text: str) -> str | None:
    """A text, or its Base64 content, without lines that hold secrets or parts of them; None if no line is left."""
    plain = text if _has_shape(text) else _decoded(text) or ""
    if "\n" not in plain:
        plain = plain.replace("><", ">\n<")
    lower = plain.lower()
    shapes = [shape for hints, shape in _shapes() if any(hint in lower for hint in hints)]
    spans = [_whole(plain, *match.span()) for shape in shapes for match in shape.finditer(plain)]
    secret_words = {word for start, end in spans for word in _BREAKS.split(plain[start:end]) if len(word) >= _TELLING}
    lines, place, is_left_out = list[str](), 0, False
    for line in plain.splitlines(keepends=True):
        end = place + len(line)
        hides = any(start < end and place < stop for start, stop in spans) or any(word in line for word in secret_words)
        if not hides:
            lines.append(line.rstrip("\r\n"))
        elif not is_left_out:
            lines.append(LEFT_OUT)
        is_left_out, place = hides, end
    text_left = "\n".join(lines)
    is_empty = all(line == LEFT_OUT or not line.strip() for line in lines)
    return None if is_empty or _has_shape(text_left) else text_left


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    """The bounds of a secret whose shape matches its beginning only: a private key, a property list's value."""
    found = text[start:end].lower()
    for telling, closing in _CLOSINGS:
        if telling in found:
            at = text.find(closing, end)
            return start, len(text) if at < 0 else at + len(closing)
    return start, end


LEFT_OUT = "(hidden)"
"""In place of lines with secrets."""

_CLOSINGS = (("private key", "-----END"), ("private-lines", "Private-MAC"), ("<key>", "</"))
_BREAKS = re.compile(r"(?:</?[\w:.-]+|[\s\"'=:<>,;&?()])+")
_TELLING = 3
"""Shorter parts of a secret are not searched for in other lines."""

_KNOWN: dict[int, bool] = {}
_MAX_KNOWN = 200_000


def _has_shape(text: str) -> bool:
    lower = text.lower()
    is_named = _NAMED.search(lower) is not None
    for hints, shape in _shapes():
        if hints is _WORDS and not is_named:
            continue
        for hint in hints:
            if hint in lower:
                if shape.search(text) is not None:
                    return True
                break
    return False


def _decoded(text: str) -> str | None:
    if _BASE64.fullmatch(text) is None:
        return None
    try:
        decoded = base64.b64decode(text)
    except (binascii.Error, ValueError):
        return None
    if decoded.startswith(_UTF16_MARKS):
        return decoded.decode("utf-16", "replace")
    # In UTF-16, every second byte of Latin letters is null.
    return decoded.replace(b"\0", b"").decode("utf-8", "replace").removeprefix("\ufeff")


def secret_members(value: Mapping[str, object]) -> frozenset[str]:
    """Properties whose values another property names as secrets: `{"key": "password", "value": "…"}`, a setting by its
    definition, an administrative template's text by its box's label.
    """
    if _PAIRS.keys().isdisjoint(value):
        return _NONE
    for value_name, names in _PAIRS.items():
        if value_name in value:
            for name in names:
                member_name = value.get(name)
                if isinstance(member_name, str) and is_secret_name(member_name):
                    return frozenset({value_name})
    presentation = value.get("presentation")
    label = presentation.get("label") if isinstance(presentation, dict) else None
    if isinstance(label, str) and is_secret_name(label.rstrip(": *")):
        return frozenset({"value"})
    return _NONE


def is_placeholder(text: str) -> bool:
    """Whether a text is a variable that the device fills in: `{{serialnumber}}`."""
    return text.startswith("{{") and text.endswith("}}")


_PAIRS = {
    "value": ("key", "name", "definitionId", "omaUri"),
    "defaultValue": ("name",),
    "appConfigKeyValue": ("appConfigKey",),
    "simpleSettingValue": ("settingDefinitionId",),
}
"""Properties with a value, each with the properties that may name it."""

CONTEXT = frozenset({"presentation", *_PAIRS}.union(*_PAIRS.values()))
"""Properties of `secret_members`: those that may name a secret beside them, and those that may be named."""

_NONE: frozenset[str] = frozenset()
