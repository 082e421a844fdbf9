"""The input of a plan."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from answers.promotion.records import BlockReason
from inventory.canonical import JsonObject
from inventory.normal_form import NormalForm
from inventory.references import ReferenceRules
from inventory.stale import Staleness
from inventory.tenant_neutral import UnresolvedReason
from inventory.write_rules import WriteRules


class SourceBaseline(NamedTuple):
    """A baseline of the source. `versions` are by collection and item, 0 for an item without a version."""

    name: str
    covered: frozenset[str]
    versions: Mapping[str, Mapping[str, int]]


class PlanRequest(NamedTuple):
    """Without `type_keys`, a plan has all read collections with write rules.

    `version` restores the named items in the target itself. `mapping` has target ids by type key and source id.
    """

    created_by: str
    type_keys: Sequence[str] | None = None
    names: Sequence[str] | None = None
    version: int | None = None
    mapping: Mapping[tuple[str, str], str] = {}
    created_by_id: str = ""
    baseline: SourceBaseline | None = None


ItemKey = tuple[str, str]
"""The item's type key, and its id in the source."""


class PromotedVersion(NamedTuple):
    """`document` is None if unread or damaged."""

    external_id: str
    title: str
    kind: str
    version: int
    content_hash: str | None
    document: JsonObject | None
    details_complete: bool = True
    stale: Staleness | None = None
    is_damaged: bool = False


class PromotionItem(NamedTuple):
    """The source's item, and its counterpart in the target, if any.

    `reasons` block the item regardless of the documents. `is_same`: the two are certainly equal.
    """

    type_key: str
    source: PromotedVersion
    target: PromotedVersion | None = None
    reasons: tuple[BlockReason, ...] = ()
    is_same: bool = False

    @property
    def key(self) -> ItemKey:
        return self.type_key, self.source.external_id


class CollectionFacts(NamedTuple):
    """`identity` names properties that are no content or the tenant's own."""

    title: str
    path: str
    id_field: str
    identity: frozenset[str]
    masked: frozenset[str]
    references: ReferenceRules
    form: NormalForm
    details: frozenset[str]
    rules: WriteRules | None


class MappedTarget(NamedTuple):
    """The target's object for a reference, or why there is none.

    `in_source`: the reason is about the source. `is_promotable`: a plan could create the object.
    """

    type_key: str
    target_id: str | None
    name: str | None = None
    reason: UnresolvedReason | None = None
    in_source: bool = False
    by_operator: bool = False
    is_promotable: bool = False


class TenantIds(NamedTuple):
    """The ids of both tenants, which documents may name."""

    source: str
    target: str


MappedTargets = Mapping[tuple[tuple[str, ...], str], MappedTarget]


def created_id(key: ItemKey) -> str:
    """The placeholder in requests for a created object's id."""
    return f"{{created:{key[0]}/{key[1]}}}"
