"""Edits below an object: a policy's setting, a rule, a federated credential."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from local.simulated_graph.documents import Document
from local.simulated_graph.endpoints import Endpoint, Navigation

Edit = Callable[[Document, Navigation], None]
"""Changes a document in place below the navigation."""


class Edited(NamedTuple):
    """An object after an edit below it. `noted`: its modified time follows."""

    document: Document
    noted: bool


def edited(document: Document, endpoint: Endpoint, segments: Sequence[str], edit: Edit) -> Edited:
    """Edits a copy at `segments`, a navigation first. Raises `KeyError` for an unknown navigation or object."""
    copy: Document = deepcopy(document)
    place, navigations, noted = copy, endpoint.navigations, True
    on_the_way = list(segments)
    while True:
        navigation = next((navigation for navigation in navigations if navigation.name == on_the_way[0]), None)
        if navigation is None:
            raise KeyError(f"{endpoint.path} has no {'/'.join(segments)}")
        noted = noted and navigation.noted
        used = 1 if navigation.single else 2
        if len(on_the_way) <= used:
            break
        below = place.get(navigation.name)
        place = (below or {}) if navigation.single else _one_of(below, on_the_way[1])
        navigations, on_the_way = navigation.children, on_the_way[used:]
    if len(on_the_way) == used and not navigation.single:
        raise KeyError(f"{'/'.join(segments)} is one object; name the relation that it is in")
    edit(place, navigation)
    if "settingCount" in copy:
        copy["settingCount"] = len(copy.get("settings", ()))
    return Edited(copy, noted)


def appending(document: Mapping[str, Any], made: str) -> Edit:
    """Adds a related object, with id `made` unless it has one, or sets a single relation."""
    related = {"id": made, **deepcopy(dict(document))}

    def edit(place: Document, navigation: Navigation) -> None:
        if navigation.single:
            place[navigation.name] = related
        else:
            place.setdefault(navigation.name, []).append(related)

    return edit


def changing(key: str, changes: Mapping[str, Any]) -> Edit:
    """Changes properties of the related object `key`, or of the single one."""

    def edit(place: Document, navigation: Navigation) -> None:
        below = place.get(navigation.name)
        _one_of([below] if navigation.single else below, key).update(deepcopy(dict(changes)))

    return edit


def removing(key: str) -> Edit:
    """Removes the related object `key`, or the single one."""

    def edit(place: Document, navigation: Navigation) -> None:
        below = place.get(navigation.name)
        _one_of([below] if navigation.single else below, key)
        place[navigation.name] = None if navigation.single else [child for child in below or () if child["id"] != key]

    return edit


def _one_of(related: Sequence[Document | None] | None, key: str) -> Document:
    for target in related or ():
        # An object without an id (an image, a synchronization setting) is identified by its path.
        if target is not None and target.get("id", key) == key:
            return target
    raise KeyError(f"there is no {key}")
