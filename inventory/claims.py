"""A run's claimed outcomes, checked against the database."""

from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Outcome, RunStatus, error_codes, run_status


class Claims(NamedTuple):
    status: RunStatus
    error_codes: list[ErrorCode]
    collections: Mapping[str, CollectionResult]


class Evidence(NamedTuple):
    listed: Set[str]
    """Collections that were listed to their end, and merged."""
    refused: Set[str]
    """Collections that the tenant cannot have, by Graph's answers."""
    undetailed: Set[str]
    """Collections with items whose details were not read."""
    unconfirmed: Set[str]
    """Collections with unlisted items that were to be asked for by id, and were not."""


def proven(claims: Claims, type_keys: Iterable[str], evidence: Evidence) -> Claims:
    """A collection is complete or skipped only if the recorded pages show it, and its unlisted items are confirmed.

    A collection of `type_keys` without a claim counts as incomplete.
    """
    selected = list(type_keys)
    collections = {
        key: _proven(key, claims.collections[key], evidence) for key in selected if key in claims.collections
    }
    codes = sorted({*claims.error_codes, *error_codes(collections.values())})
    status = claims.status
    if status in (RunStatus.SUCCESS, RunStatus.PARTIAL):
        unknown = CollectionResult(outcome=Outcome.INCOMPLETE)
        status = run_status(collections.get(key, unknown) for key in selected)
    return Claims(status, codes, collections)


def _proven(type_key: str, claim: CollectionResult, evidence: Evidence) -> CollectionResult:
    if claim.outcome is Outcome.COMPLETE and (type_key not in evidence.listed or type_key in evidence.unconfirmed):
        return _unproven(claim, Outcome.INCOMPLETE)
    if claim.outcome is Outcome.SKIPPED and type_key not in evidence.refused:
        return _unproven(claim, Outcome.FAILED)
    if claim.outcome is Outcome.COMPLETE and claim.error_code is None and type_key in evidence.undetailed:
        return claim.model_copy(update={"error_code": ErrorCode.DETAIL_INCOMPLETE})
    return claim


def _unproven(claim: CollectionResult, outcome: Outcome) -> CollectionResult:
    return claim.model_copy(update={"outcome": outcome, "error_code": ErrorCode.LISTING_UNPROVEN})
