"""Checks requests by Microsoft's published metadata, so that no answer shows more than Graph has."""

from collections.abc import Sequence

from graph.catalog.facts import Metadata, Place, metadata
from local.simulated_graph.query import Query, unknown_property


class UnknownSegmentError(LookupError):
    """The text is the unknown segment."""


def check_published(version: str, path: str, query: Query) -> None:
    """Raises `UnknownSegmentError` for a path, `QueryError` for an expansion or selection, that the metadata lacks."""
    facts = metadata(version)
    segments = [segment for segment in path.split("/") if segment]
    reached = facts.resolve(path)
    if reached is None:
        raise UnknownSegmentError(_first_unknown(facts, segments))
    _check(facts, reached.type_name, query)


def is_of(version: str, type_name: str, kind: str) -> bool:
    return type_name in metadata(version).family(kind)


def _check(facts: Metadata, type_name: str, query: Query) -> None:
    if not type_name:
        return
    family = facts.family(type_name)
    for name, nested in query.expand.items():
        below = _navigation(facts, family, name)
        if below is None:
            raise unknown_property(name, type_name)
        _check(facts, below.type_name, nested)
    for name in query.select:
        if not any(name in facts.properties(type_name) or name in facts.navigations(type_name) for type_name in family):
            raise unknown_property(name, type_name)


def _navigation(facts: Metadata, family: frozenset[str], name: str) -> Place | None:
    return next((known[name] for known in map(facts.navigations, sorted(family)) if name in known), None)


def _first_unknown(facts: Metadata, segments: Sequence[str]) -> str:
    for length in range(1, len(segments)):
        if facts.resolve("/".join(segments[:length])) is None:
            return segments[length - 1]
    return segments[-1] if segments else ""
