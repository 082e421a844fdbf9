"""Compares documents of known counterparts in two tenants."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from answers.compare.records import Status
from answers.compare.rules import verdict
from answers.compare.sides import Side
from graph.catalog import load_catalog
from inventory.canonical import JsonObject
from inventory.references import collection_of
from inventory.tenant_neutral import OWN_ID, TENANT_ID, IdTranslation, Neutralizer, Translate


class KnownPair(NamedTuple):
    """An item, and its counterpart in the other tenant."""

    type_key: str
    here_id: str
    here: JsonObject
    there_id: str
    there: JsonObject


class DocumentVerdict(NamedTuple):
    status: Status
    paths: tuple[str, ...]


async def compared_documents(
    here: Side,
    there: Side,
    pairs: Sequence[KnownPair],
    same: Mapping[tuple[str, str], str],
    mapped: Mapping[tuple[str, str], str],
) -> list[DocumentVerdict]:
    """`same`: this tenant's ids by the other's type key and id. `mapped`: the other's ids, chosen by an operator, by
    this tenant's type key and id.
    """
    collections = load_catalog().collections
    neutralizers = {pair.type_key: Neutralizer(collections[pair.type_key].independence_rules()) for pair in pairs}
    ids = {target for pair in pairs for target in neutralizers[pair.type_key].targets(pair.here)}
    others = {target for pair in pairs for target in neutralizers[pair.type_key].targets(pair.there)}
    counterparts = {(types, own_id) for types, other_id in others if (own_id := _other(types, other_id, same))}
    places = {(types, place) for types, one_id in ids if (place := _other(types, one_id, mapped))}
    await here.id_translations.learn(here.session, ids | others | counterparts)
    await there.id_translations.learn(there.session, ids | others | places)
    said_here = here.id_translations.beside(there.id_translations)
    said_there = _in_places(there.id_translations.beside(here.id_translations), said_here, same)
    said_there = _with_ids(said_there, mapped)
    said_here = _in_places(said_here, said_there, mapped)
    found = []
    for pair in pairs:
        rules = neutralizers[pair.type_key]
        document_here = rules.of(pair.here, {pair.here_id: OWN_ID, str(here.tenant.tenant_id): TENANT_ID}, said_here)
        document_there = rules.of(
            pair.there, {pair.there_id: OWN_ID, str(there.tenant.tenant_id): TENANT_ID}, said_there
        )
        compared = verdict(document_here, document_there, rules)
        found.append(DocumentVerdict(compared.status, tuple(difference.path for difference in compared.differences)))
    return found


def _with_ids(said_there: Translate, mapped: Mapping[tuple[str, str], str]) -> Translate:
    targets = {(type_key, other) for (type_key, _), other in mapped.items()}

    def translate(target_types: tuple[str, ...], target_id: str) -> IdTranslation:
        translation = said_there(target_types, target_id)
        is_target = any((collection_of(key), target_id) in targets for key in target_types)
        return IdTranslation(target_id) if translation.text is None and is_target else translation

    return translate


def _in_places(own: Translate, translate_other: Translate, other_ids: Mapping[tuple[str, str], str]) -> Translate:
    def translate(target_types: tuple[str, ...], target_id: str) -> IdTranslation:
        other = _other(target_types, target_id, other_ids)
        return translate_other(target_types, other) if other else own(target_types, target_id)

    return translate


def _other(target_types: Iterable[str], target_id: str, other_ids: Mapping[tuple[str, str], str]) -> str | None:
    keys = ((collection_of(key), target_id) for key in target_types)
    return next((other_ids[key] for key in keys if key in other_ids), None)
