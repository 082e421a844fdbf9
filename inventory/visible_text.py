"""Text from elsewhere, made safe to show: a name may hold characters that steer a terminal or turn its direction."""

from unicodedata import category

REPLACEMENT = "\ufffd"

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode's categories of characters that steer a text and are not seen: controls, escapes, direction marks, joiners,
line separators, lone surrogates."""


def visible(text: str, keep: str = "") -> str:
    """The text with a mark in the place of each character that is not seen, but for those in `keep`."""
    if text.isprintable():
        return text
    return "".join(REPLACEMENT if category(one) in _UNSEEN and one not in keep else one for one in text)
