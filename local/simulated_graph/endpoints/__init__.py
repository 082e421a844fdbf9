"""The endpoints of the simulated Graph: one line of data each, by area.

Written from Microsoft's documentation and observed answers, not from the product's catalog, so that a mistake there
shows.
"""

from functools import cache

from local.simulated_graph.endpoints import (
    apps,
    device_configuration,
    directory,
    enrollment,
    governance,
    identity,
    services,
    tenant_administration,
)
from local.simulated_graph.endpoints.model import INTUNE_PAGE, Area, Endpoint, Navigation

__all__ = [
    "ENDPOINTS",
    "INTUNE_PAGE",
    "Area",
    "Endpoint",
    "Navigation",
    "casts_of",
    "endpoint_at",
    "located",
    "relations_of",
    "template",
]

_ENDPOINTS = (
    *device_configuration.ENDPOINTS,
    *enrollment.ENDPOINTS,
    *apps.ENDPOINTS,
    *tenant_administration.ENDPOINTS,
    *identity.ENDPOINTS,
    *directory.ENDPOINTS,
    *governance.ENDPOINTS,
    *services.ENDPOINTS,
)

ENDPOINTS: dict[str, Endpoint] = {endpoint.path: endpoint for endpoint in _ENDPOINTS}
"""Every endpoint by its path, without version and leading slash."""


def endpoint_at(path: str) -> Endpoint:
    """The endpoint at `path`, whose outer slashes don't count; `KeyError` where there is none."""
    return ENDPOINTS[path.strip("/")]


@cache
def casts_of(path: str) -> tuple[Endpoint, ...]:
    """The typed views on the documents of `path`."""
    return tuple(endpoint for endpoint in _ENDPOINTS if endpoint.cast_of == path)


@cache
def relations_of(path: str) -> frozenset[str]:
    """The navigations of the endpoint at `path` and of every typed view on its documents: they are never inline."""
    return frozenset(
        navigation.name for endpoint in (ENDPOINTS[path], *casts_of(path)) for navigation in endpoint.navigations
    )


def located(path: str) -> tuple[Endpoint, list[str]] | None:
    """The endpoint with the longest path that `path`, without its version, starts with, and the segments after it."""
    segments = [segment for segment in path.split("/") if segment]
    for length in range(len(segments), 0, -1):
        endpoint = ENDPOINTS.get("/".join(segments[:length]))
        if endpoint is not None:
            return endpoint, segments[length:]
    return None


def template(path: str) -> str:
    """`path`, with or without its version, with `{id}` for what names one object; as it is where nothing is there.

    `/beta/deviceManagement/intents/1/settings` is `/deviceManagement/intents/{id}/settings`.
    """
    start, _, below = path.strip("/").partition("/")
    found = located(below if start in {"v1.0", "beta"} else path)
    if found is None:
        return path
    endpoint, rest = found
    # After a collection comes an id, and after a single relation one more name.
    names_object, navigations, shown = not endpoint.singleton, endpoint.navigations, [endpoint.path]
    for segment in rest:
        shown.append("{id}" if names_object else segment.partition("(")[0])
        if names_object:
            names_object = False
        else:
            navigation = next((navigation for navigation in navigations if navigation.name == segment), None)
            names_object = navigation is not None and not navigation.single
            navigations = navigation.children if navigation else ()
    return f"/{'/'.join(shown)}"
