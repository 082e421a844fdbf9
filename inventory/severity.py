"""The severity of a difference, and its effect on a tenant's protection."""

from enum import StrEnum


class Severity(StrEnum):
    """How soon somebody should look, the most urgent first."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    def is_at_least(self, least: "Severity") -> bool:
        """Whether it matters as much."""
        order = list(Severity)
        return order.index(self) <= order.index(least)


class ProtectionEffect(StrEnum):
    """The effect of a difference on the protection of the tenant."""

    WEAKENS = "weakens"
    STRENGTHENS = "strengthens"
