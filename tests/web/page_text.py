"""Pages as people read them: the text of a page, and the rows of its tables."""

import re
from html import unescape

_INLINE = re.compile(r"</?(?:a|b|bdi|code|del|ins|span|time)\b[^>]*>")
_TAG = re.compile(r"<[^>]+>")


def text_of(html: str) -> str:
    """The text of a piece of a page, with single spaces."""
    return " ".join(unescape(_TAG.sub(" ", _INLINE.sub("", html))).split())


def rows_of(page: str, caption: str = "") -> list[str]:
    """The text of each row of the page's first table, or of the first after a text."""
    table = page.partition(caption)[2] if caption else page
    body = table.partition("<tbody>")[2].partition("</table>")[0]
    return [text_of(f"<tr{row}") for row in body.split("<tr")[1:]]


def next_of(page: str) -> str:
    """The query string of the link to the next page; empty on the last page."""
    return unescape(page.partition('rel="next" href="')[2].partition('"')[0])
