"""Text from elsewhere, made safe to show: a name may hold characters that steer a terminal or turn its direction."""

from unicodedata import category

REPLACEMENT = "\ufffd"

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode's categories of characters that steer a text and are not seen: controls, escapes, direction marks, joiners,
line separators, lone surrogates."""


class _Escapes(dict[int, str]):
    """The escape of each character that is not seen, as JSON writes it; every other character as it is."""

    def __missing__(self, code: int) -> str:
        """Decides once for each character."""
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
    """A JSON text that is equal to this one, and whose characters are all visible, except line ends.

    Within a string JSON has line ends as escapes, so those in the text are its layout (RFC 8259 §7).
    """
    return text if text.isprintable() else text.translate(_ESCAPES)


def with_spaces(line: str) -> str:
    """A line of a script or a profile with spaces for its tabs, which are its layout and nothing that steers."""
    return line.expandtabs(4)


def visible(text: str, keep: str = "") -> str:
    """The text with a mark in place of each invisible character, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(
        REPLACEMENT if category(character) in _UNSEEN and character not in keep else character for character in text
    )
