"""Readable lines of partly hidden texts, such as a profile with a password, which findings do not store."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift.baseline_queries import pinned_by
from answers.drift.evaluation import drift_rules
from answers.drift.queries import Finding, KnownFinding
from answers.drift.rules import DriftDocument, deviations, fingerprint
from graph.catalog import load_catalog
from inventory.canonical import JsonValue
from storage.bodies import BODY, DOCUMENTS_AT_A_TIME, Documents

ITEMS_AT_A_TIME = DOCUMENTS_AT_A_TIME // 2


class HiddenPart(NamedTuple):
    before: JsonValue
    after: JsonValue


_VERSION = f"""
SELECT one.version_number, one.details_complete, d.body, d.body_hash, d.is_sorted
FROM item_version AS one CROSS JOIN LATERAL (
    SELECT {BODY} FROM document WHERE document.content_hash = one.content_hash LIMIT 1
) AS d
WHERE (one.type_key, one.external_id, one.version_number) = (wanted.type_key, wanted.external_id, number) LIMIT 1
"""

_DOCUMENTS = text(f"""
SELECT wanted.pinned_by, wanted.type_key, wanted.external_id, which.is_now, found.*
FROM unnest(CAST(:pinned_by AS text[]), CAST(:type_keys AS text[]), CAST(:external_ids AS text[]))
    AS wanted (pinned_by, type_key, external_id)
CROSS JOIN LATERAL (
    (SELECT false AS is_now, version_number AS number FROM item_version_pin AS one
    WHERE (one.pinned_by, one.type_key, one.external_id) = (wanted.pinned_by, wanted.type_key, wanted.external_id)
    LIMIT 1)
    UNION ALL
    (SELECT true, version_number FROM inventory_item AS one
    WHERE (one.type_key, one.external_id) = (wanted.type_key, wanted.external_id) LIMIT 1)
) AS which
CROSS JOIN LATERAL ({_VERSION}) AS found
""")


async def hidden_parts(
    session: AsyncSession, tenant_id: UUID, known_findings: Iterable[KnownFinding]
) -> Mapping[tuple[str, str], HiddenPart]:
    """By baseline and fingerprint; without findings whose documents have changed or are another tenant's."""
    by_version: dict[tuple[str, str, str], dict[str, Finding]] = {}
    for found in known_findings:
        finding = found.finding
        collection = load_catalog().collections.get(finding.type_key)
        if found.resolved_at is None and finding.hidden and collection is not None and collection.payloads:
            item = found.baseline, finding.type_key, finding.external_id
            by_version.setdefault(item, {})[finding.fingerprint] = finding
    parts: dict[tuple[str, str], HiddenPart] = {}
    items = list(by_version)
    for start in range(0, len(items), ITEMS_AT_A_TIME):
        documents = await _documents(session, items[start : start + ITEMS_AT_A_TIME])
        for item, (before, after) in documents.items():
            baseline, type_key, external_id = item
            for deviation in deviations(before, after, drift_rules(type_key)):
                key = fingerprint(tenant_id, baseline, type_key, external_id, deviation)
                finding_there = by_version[item].get(key)
                if finding_there is not None and finding_there.value_hash == deviation.value_hash:
                    parts[baseline, key] = HiddenPart(deviation.before, deviation.after)
    return parts


async def _documents(
    session: AsyncSession, items: Sequence[tuple[str, str, str]]
) -> dict[tuple[str, str, str], tuple[DriftDocument, DriftDocument]]:
    baselines, type_keys, external_ids = zip(*items, strict=True)
    named = {baseline: pinned_by(baseline) for baseline in baselines}
    of_pin = {pinned: baseline for baseline, pinned in named.items()}
    parameters = {
        "pinned_by": [named[baseline] for baseline in baselines],
        "type_keys": list(type_keys),
        "external_ids": list(external_ids),
    }
    read = Documents()
    sides: dict[tuple[str, str, str], dict[bool, DriftDocument]] = {}
    for row in await session.execute(_DOCUMENTS, parameters):
        document = read.of(row.body, row.body_hash, row.type_key, row.external_id, row.version_number)
        if document is not None:
            drift_document = DriftDocument(document, row.details_complete is not False, row.is_sorted is True)
            sides.setdefault((of_pin[row.pinned_by], row.type_key, row.external_id), {})[row.is_now] = drift_document
    return {item: (side[False], side[True]) for item, side in sides.items() if len(side) == len((False, True))}
