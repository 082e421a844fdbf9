"""Ordered arrays, checked against Microsoft's types: each array with a name that suggests an order is judged."""

import re
from collections.abc import Iterator

from graph.catalog import load_catalog
from graph.catalog.facts import Place
from tests.graph.catalog_judge import Shape, default_names, shape_of

COLLECTIONS = load_catalog().collections

SPEAKS_OF_ORDER = re.compile(
    r"order|precedence|preferred|priorit|sequence|search|suffix|stage|page|step|dock|icons|parents|servers?$|kdc",
    re.IGNORECASE,
)

SETS = {
    "decisionsThatWillMoveToNextStage": "names of decisions",
    "emailInDomainSuffixes": "any of them marks an address",
    "enterpriseInternalProxyServers": "Windows Information Protection: which proxies are trusted",
    "enterpriseProxyServers": "Windows Information Protection: which proxies are trusted",
}
"""Arrays of scalars whose names suggest an order that they do not have."""


def test_scalar_arrays_whose_names_suggest_an_order_are_judged() -> None:
    unjudged, met = set(), set()
    for key, entry in COLLECTIONS.items():
        for name, _ in arrays_of(key, scalars=True):
            if SPEAKS_OF_ORDER.search(name) and name not in entry.ordered:
                met.add(name)
                if name not in SETS and key not in DERIVED_LISTS:
                    unjudged.add((key, name))
    assert unjudged == set()
    assert SETS.keys() <= met, "sets that Microsoft no longer publishes"


def test_ordered_names_are_arrays() -> None:
    looked_up = 0
    for key, entry in COLLECTIONS.items():
        own = entry.ordered - default_names("ordered")
        arrays = {name for name, _ in arrays_of(key)} if own else set()
        assert own <= arrays, key
        looked_up += len(own)
    assert looked_up > 15


DERIVED_LISTS = frozenset({"iosUpdatePolicies", "macOSSoftwareUpdatePolicies", "windowsUpdateRings"})
"""Collections of the base type `deviceConfiguration` that list one derived type, which has no such array."""


def arrays_of(key: str, *, scalars: bool = False) -> Iterator[tuple[str, Place]]:
    """The arrays in a collection's documents, at any depth; with `scalars` only arrays of scalars."""
    shape = shape_of(COLLECTIONS[key])
    for inner in [] if shape is None else shapes_within(shape):
        for kind in inner.types:
            for name, place in inner.facts.properties(kind).items():
                if place.is_collection and not (scalars and place.type_name in inner.facts.types):
                    yield name, place


def shapes_within(shape: Shape) -> Iterator[Shape]:
    """The shape, and the shapes of its properties and calls, at any depth."""
    met: set[object] = set()
    pending = [shape]
    while pending:
        inner = pending.pop()
        if inner.types in met:
            continue
        met.add(inner.types)
        yield inner
        names = {name for kind in inner.types for name, place in inner.facts.properties(kind).items()}
        pending += [below for name in sorted(names | inner.added.keys()) if (below := inner.step(name)) and below.types]
