"""Compares two tenants by setting, a few documents at a time."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from answers.compare import queries
from answers.compare.queries import PresentItem, WholeItem
from answers.compare.records import CoverageState
from answers.compare.setting_records import (
    SettingCollection,
    SettingComparison,
    SettingPolicy,
    SettingsComparisonRecord,
    SettingUncertainty,
    UncertainPolicy,
)
from answers.compare.setting_rules import DefinitionNames, HeldSetting, compared, counts_of
from answers.compare.sides import Side
from answers.named_ids import DEFINITIONS, named_document
from answers.object_names import object_names, setting_names
from answers.value_text import Place, value_lines
from graph.catalog import Collection as CatalogEntry
from graph.catalog import kind_of, load_catalog
from inventory.canonical import MIN_TELLING_ID_LENGTH, JsonObject
from inventory.exact_json import decode_object
from inventory.reference_extraction import ASSIGNMENTS
from inventory.settings import Setting, SettingKind, settings_of
from inventory.tenant_neutral import OWN_ID, TENANT_ID, Neutralizer, UnresolvedReference

DOCUMENTS_AT_A_TIME = 100

DEFINITIONS_AT_A_TIME = 500

MOST_NAMES = 100_000
"""Names of settings and choices that stay in memory for the next tenant, 300 bytes each; others are read again."""

SETTING_COLLECTIONS = (
    "compliancePolicies",
    "configurationPolicies",
    "deviceCompliancePolicies",
    "deviceConfigurations",
    "groupPolicyConfigurations",
    "intents",
    "iosUpdatePolicies",
    "macOSSoftwareUpdatePolicies",
    "windowsUpdateRings",
)
"""Collections whose items set something on devices."""


class CollectionSettings(NamedTuple):
    """One side's settings of a collection. `policies` is None if the collection was not listed to its end."""

    held: list[HeldSetting]
    uncertain: list[UncertainPolicy]
    policies: int | None


class KeptSettings:
    """A golden tenant's settings, read once in one transaction for a walk over other tenants, and up to
    `MOST_NAMES` names of them.
    """

    def __init__(self) -> None:
        self.collections: dict[str, CollectionSettings] = {}
        self.names: dict[tuple[str, ...], Mapping[tuple[str, str], str]] = {}


class SettingsComparison:
    """Read `settings`, then `record`."""

    def __init__(
        self, here: Side, there: Side, type_keys: Collection[str] | None = None, kept: KeptSettings | None = None
    ) -> None:
        """`kept` is of `here`."""
        covered = here.coverage.keys() | there.coverage.keys()
        chosen_keys = set(SETTING_COLLECTIONS) & (covered if type_keys is None else set(type_keys))
        known = load_catalog().collections
        self._here, self._there = _SettingReader(here, kept), _SettingReader(there)
        self._type_keys = sorted(chosen_keys & known.keys())
        self._comparisons: list[SettingComparison] = []

    async def settings(self) -> list[SettingComparison]:
        here: list[HeldSetting] = []
        there: list[HeldSetting] = []
        for type_key in self._type_keys:
            if self._is_compared(type_key):
                collection = load_catalog().collections[type_key]
                here += await self._here.settings(collection)
                there += await self._there.settings(collection)
        self._comparisons = compared(
            here,
            there,
            await self._names([*here, *there]),
            gaps_here=self._gaps(self._here),
            gaps_there=self._gaps(self._there),
        )
        return self._comparisons

    def record(self) -> SettingsComparisonRecord:
        here, there = self._here.side, self._there.side
        known = load_catalog().collections
        return SettingsComparisonRecord(
            here=here.tenant,
            there=there.tenant,
            asked_at=here.asked_at,
            counts=counts_of(self._comparisons),
            collections=[
                SettingCollection(
                    type_key=key,
                    title=known[key].title,
                    here=here.covered(key),
                    there=there.covered(key),
                    is_compared=self._is_compared(key),
                    policies_here=self._here.policies.get(key, 0),
                    policies_there=self._there.policies.get(key, 0),
                )
                for key in self._type_keys
            ],
            uncertain_policies=[*self._here.uncertain, *self._there.uncertain],
            damaged=[*here.damaged, *there.damaged],
        )

    def _is_compared(self, type_key: str) -> bool:
        return all(reader.side.covered(type_key).is_answered for reader in (self._here, self._there))

    def _gaps(self, reader: "_SettingReader") -> set[SettingUncertainty]:
        reasons = {reason for policy in reader.uncertain for reason in policy.reasons}
        if not all(map(self._is_compared, self._type_keys)):
            reasons.add(SettingUncertainty.COLLECTION_NOT_READ)
        return reasons

    async def _names(self, holdings: Iterable[HeldSetting]) -> DefinitionNames:
        definitions = sorted(
            {
                holding.setting.definition or holding.setting.key
                for holding in holdings
                if holding.setting.kind in (SettingKind.SETTINGS_CATALOG, SettingKind.OMA_URI)
            }
        )
        names: dict[str, str] = {}
        for start in range(0, len(definitions), DEFINITIONS_AT_A_TIME):
            some = definitions[start : start + DEFINITIONS_AT_A_TIME]
            for reader in (self._there, self._here):
                found = await reader.names(some)
                names |= {name_id.casefold(): name for (key, name_id), name in found.items() if key == DEFINITIONS}
        return names


class _PolicyDocument:
    def __init__(self, item: PresentItem, stored: WholeItem | None) -> None:
        self.item = item
        self.reasons: set[SettingUncertainty] = set()
        self.document: JsonObject | None = None
        self.assigned_to: list[str] | None = None
        self.stale = None if stored is None else stored.stale
        if stored is None or stored.document is None:
            self.reasons.add(SettingUncertainty.NO_DOCUMENT)
            return
        self.document = decode_object(stored.document)
        if self.stale is not None:
            self.reasons.add(SettingUncertainty.STALE)
        if not stored.details_complete:
            self.reasons.add(SettingUncertainty.DETAILS_INCOMPLETE)


class _SettingReader:
    def __init__(self, side: Side, kept: KeptSettings | None = None) -> None:
        self.side = side
        self.uncertain: list[UncertainPolicy] = []
        self.policies: dict[str, int] = {}
        self._kept = kept

    async def settings(self, collection: CatalogEntry) -> list[HeldSetting]:
        """Notes uncertain policies, and how many there are."""
        key = collection.type_key
        found = None if self._kept is None else self._kept.collections.get(key)
        if found is None:
            found = await self._read(collection)
        if self._kept is not None:
            self._kept.collections[key] = found
        self.uncertain += found.uncertain
        if found.policies is not None:
            self.policies[key] = found.policies
        return found.held

    async def names(self, definitions: list[str]) -> Mapping[tuple[str, str], str]:
        names_key = tuple(definitions)
        if self._kept is not None and names_key in self._kept.names:
            return self._kept.names[names_key]
        found = await setting_names(self.side.session, names_key)
        if self._kept is not None and sum(map(len, self._kept.names.values())) < MOST_NAMES:
            self._kept.names[names_key] = found
        return found

    async def _read(self, collection: CatalogEntry) -> CollectionSettings:
        if self.side.covered(collection.type_key).state is not CoverageState.COMPLETE:
            return CollectionSettings([], [], None)
        items = await queries.present_items(self.side.session, collection.type_key)
        found = CollectionSettings([], [], len(items))
        for start in range(0, len(items), DOCUMENTS_AT_A_TIME):
            documents = await self.documents(collection, items[start : start + DOCUMENTS_AT_A_TIME])
            found.held.extend(self.holdings(collection, documents, found.uncertain))
        return found

    async def documents(self, collection: CatalogEntry, items: Sequence[PresentItem]) -> list[_PolicyDocument]:
        """Names the groups of audiences; learns translations of other ids."""
        key = collection.type_key
        ids = [item.external_id for item in items]
        found = await queries.whole_items(self.side.session, key, ids, self.side.read) if ids else {}
        documents = [_PolicyDocument(item, found.get(item.external_id)) for item in items]
        read = [(key, policy.document) for policy in documents if policy.document is not None]
        assigned = [(type_key, _assignments(document)) for type_key, document in read]
        names = await object_names(self.side.session, assigned)
        rules = Neutralizer(collection.independence_rules())
        targets = {target for _, document in read for target in rules.targets(_settings(document))}
        await self.side.id_translations.learn(self.side.session, targets)
        for policy in documents:
            if policy.document is not None:
                named = named_document(_assignments(policy.document), collection.references, names)
                policy.assigned_to = _audience(named)
        return documents

    def holdings(
        self, collection: CatalogEntry, documents: Sequence[_PolicyDocument], uncertain: list[UncertainPolicy]
    ) -> Iterator[HeldSetting]:
        """Settings with words in place of ids; adds to `uncertain` policies."""
        rules = Neutralizer(collection.independence_rules())
        translate = self.side.id_translations.of
        for policy in documents:
            item = policy.item
            kind = kind_of(collection.type_key, item.meta)
            if policy.reasons:
                uncertain.append(
                    UncertainPolicy(
                        tenant=self.side.tenant,
                        type_key=collection.type_key,
                        external_id=item.external_id,
                        display_name=item.display_name,
                        kind=kind,
                        reasons=sorted(policy.reasons),
                        stale=policy.stale,
                    )
                )
            if policy.document is None:
                continue
            own_ids = {item.external_id: OWN_ID, str(self.side.tenant.tenant_id): TENANT_ID}
            neutral = rules.of(_settings(policy.document), own_ids, translate)
            record = SettingPolicy(
                type_key=collection.type_key,
                external_id=item.external_id,
                display_name=item.display_name,
                kind=kind,
                assigned_to=policy.assigned_to,
            )
            for setting in settings_of(neutral.document, collection.type_key):
                doubts = policy.reasons | _unresolved(setting, neutral.unresolved)
                yield HeldSetting(setting, record, frozenset(doubts))


def _settings(document: JsonObject) -> JsonObject:
    return {name: value for name, value in document.items() if name != ASSIGNMENTS}


def _assignments(document: JsonObject) -> JsonObject:
    return {ASSIGNMENTS: document[ASSIGNMENTS]} if ASSIGNMENTS in document else {}


def _audience(named: Mapping[str, object]) -> list[str] | None:
    listed = named.get(ASSIGNMENTS)
    if not isinstance(listed, list):
        return None
    return [" ".join(value_lines(assignment, Place(ASSIGNMENTS))) for assignment in listed]


def _unresolved(setting: Setting, unresolved: Iterable[UnresolvedReference]) -> set[SettingUncertainty]:
    text = setting.text or ""
    ids = {reference.target_id for reference in unresolved if not reference.is_shared}
    names_one = any(len(target_id) >= MIN_TELLING_ID_LENGTH and target_id in text for target_id in ids)
    return {SettingUncertainty.UNRESOLVED_REFERENCE} if names_one else set()
