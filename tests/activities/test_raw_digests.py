"""Skipping unchanged objects makes the same inventory as reading everything."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from activities import observers
from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.simulated_graph.endpoints import endpoint_at
from tests.activities.direct_runs import ReadOptions, direct_runs, rows
from tests.conftest import copy_of, empty

KEY = bytes(range(32)).hex()

PATHS = {
    "deviceConfigurations": "/deviceManagement/deviceConfigurations",
    "deviceCompliancePolicies": "/deviceManagement/deviceCompliancePolicies",
    "configurationPolicies": "/deviceManagement/configurationPolicies",
    "mobileApps": "/deviceAppManagement/mobileApps",
    "groups": "/groups",
    "directoryRoleAssignments": "/roleManagement/directory/roleAssignments",
    "deviceHealthScripts": "/deviceManagement/deviceHealthScripts",
    "organization": "/organization",
}
EDITABLE = sorted(PATHS.keys() - {"organization"})


BAD: tuple[Any, ...] = (
    {"displayName": "without an id"},
    {"id": 5, "displayName": "a number for an id"},
    "a text",
    {"id": "nul", "displayName": "nul\0"},
    {"id": "surrogate", "displayName": "\ud800"},
    {"id": "x" * 2000},
)

MADE: dict[str, Callable[[SimulatedTenant, str, int], object]] = {
    "add": lambda tenant, path, number: tenant.add(path, {"displayName": f"Added {number}"}),
    "add bad": lambda tenant, path, number: tenant.add(path, BAD[number % len(BAD)], raw=True),
    "cut expansions": lambda tenant, _, number: tenant.cut_expansions(1 if number % 2 else None),
}

EDITED: dict[str, Callable[[SimulatedTenant, str, str, int], object]] = {
    "rename": lambda tenant, path, key, number: tenant.rename(path, key, f"Renamed {number}"),
    "edit": lambda tenant, path, key, number: tenant.change(
        path, key, {"description": f"Edited {number}", "simulatedPassword": f"secret {number}"}
    ),
    "noise": lambda tenant, path, key, number: tenant.change(
        path, key, {"lastModifiedDateTime": f"2026-03-{number + 1:02}T00:00:00Z"}, silently=True
    ),
    "back and forth": lambda tenant, path, key, number: tenant.change(
        path, key, {"description": f"One of two {number % 2}"}, silently=True
    ),
    "remove": lambda tenant, path, key, _: tenant.remove(path, key),
    "unlist": lambda tenant, path, key, number: tenant.unlist(path, key, is_listed=bool(number % 2)),
    "repeat": lambda tenant, path, key, _: _repeat(tenant, path, key, str),
    "repeat otherwise": lambda tenant, path, key, number: _repeat(tenant, path, key, str, description=f"{number}"),
    "upper case": lambda tenant, path, key, _: _repeat(tenant, path, key, str.upper),
    "make again": lambda tenant, path, key, _: _make_again(tenant, path, key),
}


def _repeat(tenant: SimulatedTenant, path: str, key: str, spelled: Callable[[str], str], **changes: object) -> None:
    """Adds the object again, under the same id or another spelling of it."""
    document = next(item.document for item in tenant._content.items(endpoint_at(path)) if item.key == key)
    if isinstance(document, dict) and isinstance(document.get("id"), str):
        tenant.add(path, {**document, **changes, "id": spelled(document["id"])}, raw=True)


def _make_again(tenant: SimulatedTenant, path: str, key: str) -> None:
    _repeat(tenant, path, key, lambda spelled: spelled[:-4] + "0000")
    tenant.remove(path, key)


def _apply(tenant: SimulatedTenant, edit: tuple[str, str, int, int]) -> None:
    """Applies an edit: its kind, its collection, the place of its item, and a number for its content."""
    kind, type_key, place, number = edit
    path = PATHS[type_key]
    if kind in MADE:
        MADE[kind](tenant, path, number)
    elif keys := [item.key for item in tenant._content.items(endpoint_at(path)) if isinstance(item.document, dict)]:
        EDITED[kind](tenant, path, keys[place % len(keys)], number)


EDITS = st.tuples(st.sampled_from([*MADE, *EDITED]), st.sampled_from(EDITABLE), st.integers(0, 5), st.integers(0, 9))

HOWS = st.builds(
    ReadOptions,
    deep=st.sampled_from([False, False, False, True]),
    detail_refresh=st.sampled_from([timedelta(days=7), timedelta(days=7), timedelta(0)]),
    merges_together=st.booleans(),
    pages_at_once=st.sampled_from([1, 3]),
)

STEPS = st.lists(
    st.tuples(st.lists(EDITS, max_size=4), HOWS, st.sampled_from([tuple(PATHS), tuple(PATHS), tuple(EDITABLE[:3])])),
    min_size=2,
    max_size=5,
)


Step = tuple[list[tuple[str, str, int, int]], ReadOptions, tuple[str, ...]]


class Pair:
    """The same tenant, read into two databases: once without unchanged objects, once whole."""

    def __init__(self, graph: SimulatedGraph, folder: Path, short_url: str, whole_url: str) -> None:
        self._graph = graph
        self._folder = folder
        self.urls = short_url, whole_url

    def play(self, steps: Sequence[Step], key: str | None) -> list[tuple[int, int]]:
        """Plays the steps and compares after each; returns the numbers of listed and of skipped objects of each."""
        return asyncio.run(self._play(steps, key))

    async def _play(self, steps: Sequence[Step], key: str | None) -> list[tuple[int, int]]:
        tenant = self._begin()
        played = []
        async with AsyncExitStack() as stack:
            short, whole = [
                await stack.enter_async_context(direct_runs(self._graph, url, self._folder, key=key))
                for url in self.urls
            ]
            for edits, options, type_keys in steps:
                for edit in edits:
                    _apply(tenant, edit)
                before = short.left_alone
                counts = await short.run(type_keys, short=True, options=options)
                assert counts == await whole.run(type_keys, short=False, options=options)
                assert rows(self.urls[0]) == rows(self.urls[1])
                played.append((counts["observed"], short.left_alone - before))
        return played

    def _begin(self) -> SimulatedTenant:
        tenant = self._graph.tenants[0]
        tenant._content.reset()
        tenant.cut_expansions(None)
        for url in self.urls:
            empty(url)
        return tenant

    async def alternate(self, monkeypatch: pytest.MonkeyPatch, releases: Sequence[int]) -> list[bool]:
        """Reads by two releases in turn, each time after a change; tells which runs skipped objects."""
        tenant, type_key = self._begin(), "deviceCompliancePolicies"
        skipped = []
        async with AsyncExitStack() as stack:
            new, old, whole = [
                await stack.enter_async_context(direct_runs(self._graph, url, self._folder, key=KEY))
                for url in (self.urls[0], *self.urls)
            ]
            with monkeypatch.context() as patch:
                patch.setattr(observers, "code_hash", lambda _: b"another release's")
                old.fetching._observers.raw_rules(type_key)
            for number, release in enumerate(releases):
                _apply(tenant, ("back and forth", type_key, 0, number))
                runs = (new, old)[release]
                before = runs.left_alone
                counts = await runs.run([type_key], short=True)
                assert counts == await whole.run([type_key], short=False)
                assert rows(self.urls[0]) == rows(self.urls[1])
                skipped.append(runs.left_alone > before)
        return skipped


@pytest.fixture(scope="module")
def whole_url(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    yield from copy_of(postgres, migrated_template)


MORE = ("mobileApps", "deviceHealthScripts", "organization")
"""Objects of the first collection have digests."""


@pytest.fixture(scope="module")
def small_pages() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=1, items_per_collection=3, page_size=2, seed=11) as server:
        yield server


@pytest.fixture
def pair(small_pages: SimulatedGraph, tmp_path: Path, database_url: str, whole_url: str) -> Pair:
    return Pair(small_pages, tmp_path, database_url, whole_url)


@pytest.mark.slow
def test_skipping_unchanged_objects_makes_the_same_inventory(pair: Pair) -> None:
    @settings(phases=(Phase.explicit, Phase.reuse, Phase.generate), max_examples=12)
    @given(steps=STEPS, key=st.sampled_from([KEY, None]))
    def holds(steps: list[Step], key: str | None) -> None:
        pair.play(steps, key)

    holds()


@pytest.mark.parametrize(
    ("key", "extra_keys"),
    [
        (KEY, ()),
        pytest.param(KEY, MORE, marks=pytest.mark.slow),
        pytest.param(None, MORE, marks=pytest.mark.slow),
    ],
    ids=["key", "key, more collections", "no key, more collections"],
)
def test_unchanged_objects_are_skipped(pair: Pair, key: str | None, extra_keys: tuple[str, ...]) -> None:
    """An item with details is skipped from its second unchanged listing on, any other from its first."""
    edit = ("rename", "deviceCompliancePolicies", 0, 1)
    digested = ("configurationPolicies", "deviceCompliancePolicies", *extra_keys[:1])
    type_keys = (*digested, *extra_keys[1:], "directoryRoleAssignments")
    steps: list[Step] = [([], ReadOptions(), type_keys)] * 3 + [
        ([edit], ReadOptions(), digested),
        ([], ReadOptions(deep=True), digested),
    ]
    first, second, third, edited, deep = pair.play(steps, key)
    assert first[1] == 0
    assert 0 < second[1] < third[1] < third[0]
    assert edited[1] == edited[0] - 1 > 0
    assert 0 < deep[1] < deep[0]


def test_releases_do_not_believe_each_others_digests(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """While two releases alternate, each reads whole what the other has read."""
    assert asyncio.run(pair.alternate(monkeypatch, [0, 1, 0, 1, 1, 0])) == [False, False, False, False, True, False]
