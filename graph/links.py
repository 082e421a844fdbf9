"""Checks of Graph's links: a token goes to the Graph host only."""

from urllib.parse import urlsplit

from inventory.error_codes import ErrorCode

MAX_LINK_LENGTH = 16_384
"""In characters; real ones have a few hundred, and longer ones would bloat histories."""


class UntrustedLinkError(ValueError):
    """A link leads away from the Graph host or API version."""

    code = ErrorCode.GRAPH_UNTRUSTED_LINK


def relative_link(link: str, base_url: str, api_version: str) -> str:
    """The part of a nextLink after `{base_url}/{api_version}`, unchanged.

    Encoding page tokens anew breaks them: https://learn.microsoft.com/graph/paging

    Raises `UntrustedLinkError` if scheme, host, port or version differ, or the link is no plain URL.
    """
    if len(link) > MAX_LINK_LENGTH or any(character <= " " or character in '"\\<>^`{|}\x7f' for character in link):
        raise UntrustedLinkError("a nextLink is not a plain URL")
    try:
        ours, theirs = urlsplit(base_url), urlsplit(link)
        same_origin = (theirs.scheme, theirs.hostname, theirs.port or 443) == ("https", ours.hostname, ours.port or 443)
    except ValueError:
        raise UntrustedLinkError("a nextLink is not a URL") from None
    if not same_origin or theirs.username is not None or theirs.password is not None or theirs.fragment:
        raise UntrustedLinkError("a nextLink leads away from the Graph host")
    prefix = f"/{api_version}/"
    if not theirs.path.startswith(prefix) or ".." in theirs.path or "%2e" in theirs.path.lower():
        raise UntrustedLinkError("a nextLink leads to another API version")
    return link[link.index(prefix) + len(prefix) - 1 :]
