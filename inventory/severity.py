"""A difference's severity, and its effect on protection."""

from enum import StrEnum


class Severity(StrEnum):
    """How soon somebody should look, most urgent first."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    def is_at_least(self, least: "Severity") -> bool:
        order = list(Severity)
        return order.index(self) <= order.index(least)


class ProtectionEffect(StrEnum):
    """A difference's effect on the tenant's protection."""

    WEAKENS = "weakens"
    STRENGTHENS = "strengthens"
