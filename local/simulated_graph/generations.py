"""Generations of the sample tenant: each adds, changes and removes one object."""

from random import Random

from local.simulated_graph.content import Content, Item
from local.simulated_graph.endpoints import ENDPOINTS, Endpoint

_LIVELY = (
    "deviceManagement/configurationPolicies",
    "identity/conditionalAccess/policies",
    "deviceManagement/deviceConfigurations",
    "deviceAppManagement/mobileApps",
    "deviceManagement/deviceCompliancePolicies",
)

# Above the number of any sample document, at any scale.
_FIRST_ADDED = 1_000_000


def advance(content: Content, tenant_id: str, generation: int) -> None:
    """Takes the tenant one step to `generation`; the same step is the same in every process.

    The step adds, changes and removes in three different collections, without empty ones.
    """
    random = Random(f"{tenant_id}/generation/{generation}")  # noqa: S311 (repeatable, not secret)
    turn = generation % len(_LIVELY)
    added, *remaining = (ENDPOINTS[path] for path in _LIVELY[turn:] + _LIVELY[:turn])
    with content.lock:
        content.add(added.path, content.sample(added, _FIRST_ADDED + generation))
        changed, item = _some_item(content, remaining, random)
        if "description" in item.document:
            content.change(changed.path, item.key, {"description": f"Changed in generation {generation}."})
        else:
            content.rename(changed.path, item.key, f"{item.document[changed.name]} (generation {generation})")
        removed, item = _some_item(content, [other for other in remaining if other is not changed], random)
        content.remove(removed.path, item.key)


def _some_item(content: Content, endpoints: list[Endpoint], random: Random) -> tuple[Endpoint, Item]:
    for endpoint in endpoints:
        if items := content.items(endpoint):
            return endpoint, random.choice(items)
    raise ValueError("the tenant has nothing left to change or to remove")
