"""System query options, checked as by Graph."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote_plus

_KNOWN = frozenset({"$select", "$expand", "$top", "$filter", "$count", "$skiptoken", "$format"})


class QueryError(ValueError):
    """Graph refuses an option with 400. The text is Graph's message."""


def unknown_property(name: str, entity: str) -> QueryError:
    """For `$select` and `$expand`."""
    return QueryError(
        f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
        f"'microsoft.graph.{entity}'."
    )


@dataclass(frozen=True, slots=True)
class Query:
    """`expand` maps navigations to their options in parentheses; `skiptoken` is decoded once.

    `other_options` has all options but the skiptoken, unchanged, for the nextLink.
    """

    select: tuple[str, ...] = ()
    expand: "dict[str, Query]" = field(default_factory=dict)
    top: int | None = None
    filter: str | None = None
    count: bool = False
    skiptoken: str | None = None
    other_options: str = ""

    @classmethod
    def parse(cls, raw: str) -> Self:
        """As on beta, `$` may be omitted. Raises `QueryError`."""
        options: dict[str, str] = {}
        other_options = []
        for part in filter(None, raw.split("&")):
            name, _, value = part.partition("=")
            name = f"${unquote_plus(name).removeprefix('$')}"
            if name not in _KNOWN:
                raise QueryError(f"The query parameter '{name}' is not supported.")
            if name in options:
                raise QueryError(f"Query option '{name}' was specified more than once.")
            options[name] = unquote_plus(value)
            if name != "$skiptoken":
                other_options.append(f"{name}={value}")
        return cls._of(options, "&".join(other_options))

    @classmethod
    def _of(cls, options: dict[str, str], other_options: str = "") -> Self:
        return cls(
            select=tuple(_split(options.get("$select", ""), ",")),
            expand=_expansions(options.get("$expand", "")),
            top=_top(options.get("$top")),
            filter=options.get("$filter"),
            count=options.get("$count", "false").lower() == "true",
            skiptoken=options.get("$skiptoken"),
            other_options=other_options,
        )

    @classmethod
    def nested(cls, text: str) -> Self:
        """An expanded navigation's options, separated by semicolons."""
        pairs = (part.partition("=") for part in _split(text, ";"))
        return cls._of({f"${name.strip().removeprefix('$')}": value for name, _, value in pairs})


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise QueryError(f"Invalid value '{text}' for $top query option found.")
    return int(text)


def _expansions(text: str) -> dict[str, Query]:
    """By navigation, without casts: `assignments,scheduledActionsForRule($expand=…)`."""
    expansions = {}
    for part in _split(text, ","):
        name, opened, nested = part.partition("(")
        if opened and not nested.endswith(")"):
            raise QueryError(f"Parsing OData Select and Expand failed: ')' expected in '{part}'.")
        expansions[name.strip().rsplit("/", 1)[-1]] = Query.nested(nested.removesuffix(")"))
    return expansions


def _split(text: str, separator: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]
