"""Arrays whose order is content, held against Microsoft's types: each whose name speaks of an order is judged."""

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
"""Arrays of scalars whose names speak of an order, and that have none."""


def test_each_array_of_scalars_whose_name_speaks_of_an_order_is_judged() -> None:
    unjudged, met = set(), set()
    for key, entry in COLLECTIONS.items():
        for name, _ in arrays_of(key, scalars=True):
            if SPEAKS_OF_ORDER.search(name) and name not in entry.ordered:
                met.add(name)
                if name not in SETS and key not in DERIVED_LISTS:
                    unjudged.add((key, name))
    assert unjudged == set()
    assert SETS.keys() <= met, "sets that are not published any more"


def test_what_is_ordered_is_an_array() -> None:
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
    """The arrays that documents of a collection may hold, at any depth; with `scalars` those of no objects alone."""
    shape = shape_of(COLLECTIONS[key])
    for inner in [] if shape is None else reached(shape):
        for kind in inner.types:
            for name, place in inner.facts.properties(kind).items():
                if place.is_collection and not (scalars and place.type_name in inner.facts.types):
                    yield name, place


def reached(shape: Shape) -> Iterator[Shape]:
    """The shape and those in its properties and in what its calls add."""
    met: set[object] = set()
    left = [shape]
    while left:
        inner = left.pop()
        if inner.types in met:
            continue
        met.add(inner.types)
        yield inner
        names = {name for kind in inner.types for name, place in inner.facts.properties(kind).items()}
        left += [below for name in sorted(names | inner.added.keys()) if (below := inner.step(name)) and below.types]
