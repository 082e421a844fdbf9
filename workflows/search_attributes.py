"""The typed search attributes of runs and portfolio runs.

The Temporal namespace must have them; `worker.py` registers them.
"""

from typing import Any
from uuid import UUID

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from inventory.outcomes import RunStatus
from inventory.selection import Selection

TENANT_ID = SearchAttributeKey.for_keyword("TenantId")
SELECTION_HASH = SearchAttributeKey.for_keyword("SelectionHash")
RUN_STATUS = SearchAttributeKey.for_keyword("RunStatus")
ERROR_CODES = SearchAttributeKey.for_keyword_list("ErrorCodes")
ALL: tuple[SearchAttributeKey[Any], ...] = (TENANT_ID, SELECTION_HASH, RUN_STATUS, ERROR_CODES)


def type_name(key: SearchAttributeKey[Any]) -> str:
    """The type of a search attribute as Temporal's command line calls it: `Keyword`, `KeywordList`."""
    return key.indexed_value_type.name.title().replace("_", "")


def queued(tenant_id: UUID, selection: Selection) -> TypedSearchAttributes:
    """Those that a run is started with."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(TENANT_ID, str(tenant_id)),
            SearchAttributePair(SELECTION_HASH, selection.hash()),
            SearchAttributePair(RUN_STATUS, RunStatus.QUEUED),
        ]
    )


def portfolio(selection: Selection) -> TypedSearchAttributes:
    """Those that a portfolio run is started with."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(SELECTION_HASH, selection.hash()),
            SearchAttributePair(RUN_STATUS, RunStatus.QUEUED),
        ]
    )
