"""Makes text safe to show: text from elsewhere may steer a terminal."""

from unicodedata import category

REPLACEMENT = "\ufffd"

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode's categories of invisible characters: controls, direction marks, joiners, line separators, surrogates."""


class _Escapes(dict[int, str]):
    def __missing__(self, code: int) -> str:
        if category(chr(code)) not in _UNSEEN or code == ord("\n"):
            escape = chr(code)
        elif code < 0x10000:
            escape = f"\\u{code:04x}"
        else:
            high, low = divmod(code - 0x10000, 0x400)
            escape = f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
        self[code] = escape
        return escape


_ESCAPES = _Escapes()


def escaped_json(text: str) -> str:
    """An equal JSON text (RFC 8259 §7) of visible characters and line ends."""
    return text if text.isprintable() else text.translate(_ESCAPES)


def with_spaces(line: str) -> str:
    """Expands tabs, which are layout in scripts and profiles."""
    return line.expandtabs(4)


def visible(text: str, keep: str = "") -> str:
    """Replaces invisible characters by `REPLACEMENT`, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(
        REPLACEMENT if category(character) in _UNSEEN and character not in keep else character for character in text
    )
