"""The endpoints, by area.

They come from Microsoft's documentation and observed answers, so that mistakes of the product's catalog show.
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
"""Endpoints by path, without version and leading slash."""


def endpoint_at(path: str) -> Endpoint:
    """`path` may have outer slashes. Raises `KeyError`."""
    return ENDPOINTS[path.strip("/")]


@cache
def casts_of(path: str) -> tuple[Endpoint, ...]:
    return tuple(endpoint for endpoint in _ENDPOINTS if endpoint.cast_of == path)


@cache
def relations_of(path: str) -> frozenset[str]:
    """Navigations of the endpoint and its typed views, which are never inline."""
    return frozenset(
        navigation.name for endpoint in (ENDPOINTS[path], *casts_of(path)) for navigation in endpoint.navigations
    )


def located(path: str) -> tuple[Endpoint, list[str]] | None:
    """The endpoint with the longest prefix of `path` (without version), and the remaining segments."""
    segments = [segment for segment in path.split("/") if segment]
    for length in range(len(segments), 0, -1):
        endpoint = ENDPOINTS.get("/".join(segments[:length]))
        if endpoint is not None:
            return endpoint, segments[length:]
    return None


def template(path: str) -> str:
    """`path` without version and with `{id}` for ids, such as `/deviceManagement/intents/{id}/settings`; unchanged
    without an endpoint.
    """
    start, _, below = path.strip("/").partition("/")
    found = located(below if start in {"v1.0", "beta"} else path)
    if found is None:
        return path
    endpoint, rest = found
    # After a collection comes an id, and after a single relation one more name.
    names_object, navigations, segments = not endpoint.singleton, endpoint.navigations, [endpoint.path]
    for segment in rest:
        segments.append("{id}" if names_object else segment.partition("(")[0])
        if names_object:
            names_object = False
        else:
            navigation = next((navigation for navigation in navigations if navigation.name == segment), None)
            names_object = navigation is not None and not navigation.single
            navigations = navigation.children if navigation else ()
    return f"/{'/'.join(segments)}"
