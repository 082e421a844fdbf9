"""The input of a plan: items of the source with their counterparts, their collections, and targets of references."""

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
    """A baseline of the source: the collections that it covers, and the version of each of their items.

    An item of which the baseline has no version, although it was there, has the version 0.
    """

    name: str
    covered: frozenset[str]
    versions: Mapping[str, Mapping[str, int]]


class PlanRequest(NamedTuple):
    """The subject of a plan. Without `type_keys`: all collections that were read and have write rules.

    `version` is that of a restore: of the one item named, in the target itself. With a `baseline` the source's items
    are as that has them.
    """

    created_by: str
    type_keys: Sequence[str] | None = None
    names: Sequence[str] | None = None
    version: int | None = None
    mapping: Mapping[tuple[str, str], str] = {}
    created_by_id: str = ""
    baseline: SourceBaseline | None = None


ItemKey = tuple[str, str]
"""The type key of an item, and its id in the source."""


class PromotedVersion(NamedTuple):
    """An item of one side, with its current document; None where none has been read or it is damaged."""

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
    """An item of the source, with the item of the target that it belongs to, if there is one.

    `reasons` block it whatever the documents say. `is_same`: a comparison found no difference, for certain.
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
    """The catalog's facts about a collection. `identity` names the properties that belong to the tenant alone."""

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
    """The object of the target that a reference leads to, or why there is none.

    `is_promotable`: a plan could create it.
    """

    type_key: str
    target_id: str | None
    name: str | None = None
    reason: UnresolvedReason | None = None
    in_source: bool = False
    by_operator: bool = False
    is_promotable: bool = False


class TenantIds(NamedTuple):
    """The ids of the two tenants, which documents may name."""

    source: str
    target: str


MappedTargets = Mapping[tuple[tuple[str, ...], str], MappedTarget]


def created_id(key: ItemKey) -> str:
    """The text in requests for the id of an object that the plan creates."""
    return f"{{created:{key[0]}/{key[1]}}}"
