"""Types of the values in catalog entries."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field


class ApiVersion(StrEnum):
    V1 = "v1.0"
    BETA = "beta"


class ThrottleFamily(StrEnum):
    """Collections that share one request budget of Graph."""

    DEVICE_CONFIGURATION = "device-configuration"
    SETTINGS_CATALOG = "settings-catalog"
    APPS = "apps"
    CONDITIONAL_ACCESS = "conditional-access"
    DIRECTORY = "directory"
    REPORTS = "reports"

    @property
    def wave_limit(self) -> int:
        """The most requests at once: one where Graph counts single requests."""
        return 1 if self.interval is not None else 20

    @property
    def interval(self) -> timedelta | None:
        """The least time between a tenant's requests; None if Graph counts over long windows."""
        return _INTERVALS.get(self)


_INTERVALS = {
    ThrottleFamily.CONDITIONAL_ACCESS: timedelta(seconds=1),
    # 5 requests in 10 seconds: https://learn.microsoft.com/graph/throttling-limits#identity-and-access-reports-service-limits
    ThrottleFamily.REPORTS: timedelta(seconds=2),
}

WITHOUT_SETTINGS = frozenset({"audit", "device-data", "directory", "microsoft-catalogues"})
"""Categories of logs, data and objects that set nothing."""

PropertyName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]

PropertyPath = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*)*$")]
"""A property, or one inside it: `templateReference.templateFamily`."""

ReferencePath = Annotated[
    str,
    Field(
        pattern=r"^(#[A-Za-z][A-Za-z0-9.]*/[A-Za-z][A-Za-z0-9]*"
        r"|[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*)*(\?[@A-Za-z][A-Za-z0-9.]*=[A-Za-z0-9#.]+)?)$"
    ),
]
"""The place of ids: see `inventory.references`."""

TypeKey = Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)?$")]

TargetType = Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)?(\([a-z][A-Za-z]*\))?$")]
"""An id's collection, perhaps with an alternate key: `groups`, `servicePrincipals(appId)`."""

QualifiedName = Annotated[str, Field(pattern=r"^((#?[A-Za-z][A-Za-z0-9.]*)?/)?[A-Za-z][A-Za-z0-9]*$")]
"""A property: `name` at any depth, `/name` of the object, `parent/name` in a property, `#type/name` in a type."""


TypedName = Annotated[str, Field(pattern=r"^#[A-Za-z][A-Za-z0-9.]*/[A-Za-z][A-Za-z0-9]*$")]


Permission = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.Read(Basic)?(\.[A-Za-z0-9]+)*$")]


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


OneOrMore = BeforeValidator(_one_or_more)
"""Makes a lone text a tuple."""


AUDIT_EVENTS: TypeKey = "auditEvents"

DIRECTORY_AUDITS: TypeKey = "directoryAudits"
