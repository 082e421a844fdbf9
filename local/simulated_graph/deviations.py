"""Differences of alike sample tenants from the first, for comparisons and golden tenants."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from local.simulated_graph.content import Content
from local.simulated_graph.endpoints import endpoint_at

_ACCESS = "identity/conditionalAccess/policies"
_COMPLIANCE = "deviceManagement/deviceCompliancePolicies"
_CONFIGURATIONS = "deviceManagement/deviceConfigurations"
_CATALOG = "deviceManagement/configurationPolicies"
_APPS = "deviceAppManagement/mobileApps"

_EXTRA = 900_000
"""The number of a document beside the sample."""


Deviation = Callable[[Content], None]
"""Makes a tenant differ in one way."""


def _changed(path: str, number: int, values: Mapping[str, Any]) -> Deviation:
    return lambda content: content.change(path, _key(content, path, number), values)


def _renamed(path: str, number: int, name: str) -> Deviation:
    return lambda content: content.rename(path, _key(content, path, number), name)


def _lacking(path: str, number: int) -> Deviation:
    return lambda content: content.remove(path, _key(content, path, number))


def _extra(path: str, name: str) -> Deviation:
    def apply(content: Content) -> None:
        endpoint = endpoint_at(path)
        content.add(path, {**content.sample(endpoint, _EXTRA), endpoint.name: name})

    return apply


def _reassigned(path: str, number: int, *groups: int) -> Deviation:
    def apply(content: Content) -> None:
        keys = [_key(content, "groups", group) for group in groups]
        content.reassign(path, _key(content, path, number), keys)

    return apply


def _key(content: Content, path: str, number: int) -> str:
    return content.items(endpoint_at(path))[number].key


DEVIATIONS: Mapping[int, tuple[Deviation, ...]] = MappingProxyType({
    1: (
        _changed(_ACCESS, 0, {"state": "enabledForReportingButNotEnforced"}),
        _changed(_COMPLIANCE, 0, {"osMinimumVersion": "10.0.19041"}),
        _reassigned(_CATALOG, 1, 2, 5),
        _extra(_CONFIGURATIONS, "Legacy Wi-Fi, to be retired"),
        _lacking(_COMPLIANCE, 2),
    ),
    2: (
        _changed(_CONFIGURATIONS, 1, {"passwordMinimumLength": 4}),
        _reassigned(_APPS, 0, 1),
        _extra(_ACCESS, "Exception for the reception desk"),
        _renamed(_CONFIGURATIONS, 4, "Update ring, renamed by the branch office"),
        _lacking(_ACCESS, 3),
    ),
})  # fmt: skip
"""By the tenant's number. Removals come last, since they move later documents' numbers."""
