"""Deviations: where sample tenants that are alike differ from the first of them, from the beginning of their life.

A handful of what comparing and golden tenants are for: a weakened setting, a policy that is missing, one that nobody
else has, another name, other assignments.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from local.simulated_graph.content import Content, Item
from local.simulated_graph.endpoints import endpoint_at

_ACCESS = "identity/conditionalAccess/policies"
_COMPLIANCE = "deviceManagement/deviceCompliancePolicies"
_CONFIGURATIONS = "deviceManagement/deviceConfigurations"
_CATALOG = "deviceManagement/configurationPolicies"
_APPS = "deviceAppManagement/mobileApps"

_EXTRA = 900_000
"""Number of the first document that a tenant has beside the sample."""


class Deviation(Protocol):
    """One way in which a tenant differs."""

    def apply(self, content: Content) -> None:
        """Makes the tenant differ."""


class Changed(NamedTuple):
    """Document number `number` has other values."""

    path: str
    number: int
    values: Mapping[str, Any]

    def apply(self, content: Content) -> None:
        """Makes the tenant differ."""
        content.change(self.path, _item(content, self.path, self.number).key, self.values)


class Renamed(NamedTuple):
    """Document number `number` has another name."""

    path: str
    number: int
    name: str

    def apply(self, content: Content) -> None:
        """Makes the tenant differ."""
        content.rename(self.path, _item(content, self.path, self.number).key, self.name)


class Lacking(NamedTuple):
    """Document number `number` is not there."""

    path: str
    number: int

    def apply(self, content: Content) -> None:
        """Makes the tenant differ."""
        content.remove(self.path, _item(content, self.path, self.number).key)


class Extra(NamedTuple):
    """A document that no other tenant has."""

    path: str
    name: str

    def apply(self, content: Content) -> None:
        """Makes the tenant differ."""
        endpoint = endpoint_at(self.path)
        content.add(self.path, {**content.sample(endpoint, _EXTRA), endpoint.name: self.name})


class Reassigned(NamedTuple):
    """Document number `number` is assigned to these groups, by their numbers, and to nobody else."""

    path: str
    number: int
    groups: tuple[int, ...]

    def apply(self, content: Content) -> None:
        """Makes the tenant differ."""
        groups = [_item(content, "groups", group).key for group in self.groups]
        content.reassign(self.path, _item(content, self.path, self.number).key, groups)


def _item(content: Content, path: str, number: int) -> Item:
    return content.items(endpoint_at(path))[number]


DEVIATIONS: Mapping[int, tuple[Deviation, ...]] = MappingProxyType({
    1: (
        Changed(_ACCESS, 0, {"state": "enabledForReportingButNotEnforced"}),
        Changed(_COMPLIANCE, 0, {"osMinimumVersion": "10.0.19041"}),
        Reassigned(_CATALOG, 1, (2, 5)),
        Extra(_CONFIGURATIONS, "Legacy Wi-Fi, to be retired"),
        Lacking(_COMPLIANCE, 2),
    ),
    2: (
        Changed(_CONFIGURATIONS, 1, {"passwordMinimumLength": 4}),
        Reassigned(_APPS, 0, (1,)),
        Extra(_ACCESS, "Exception for the reception desk"),
        Renamed(_CONFIGURATIONS, 4, "Update ring, renamed by the branch office"),
        Lacking(_ACCESS, 3),
    ),
})  # fmt: skip
"""By the number of the tenant; lacking documents come last, since they move the numbers of those after them."""
