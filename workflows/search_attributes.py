"""Search attributes of runs and portfolio runs."""

from typing import Any
from uuid import UUID

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from inventory.outcomes import RunStatus
from inventory.selection import Selection

TENANT_ID = SearchAttributeKey.for_keyword("TenantId")
TENANT_NAME = SearchAttributeKey.for_keyword("TenantName")
SELECTION = SearchAttributeKey.for_keyword("Selection")
SELECTION_HASH = SearchAttributeKey.for_keyword("SelectionHash")
RUN_STATUS = SearchAttributeKey.for_keyword("RunStatus")
ERROR_CODES = SearchAttributeKey.for_keyword_list("ErrorCodes")
ALL: tuple[SearchAttributeKey[Any], ...] = (TENANT_ID, TENANT_NAME, SELECTION, SELECTION_HASH, RUN_STATUS, ERROR_CODES)


def type_name(key: SearchAttributeKey[Any]) -> str:
    """The name in Temporal's command line: `Keyword`, `KeywordList`."""
    return key.indexed_value_type.name.title().replace("_", "")


def queued(
    tenant_id: UUID, selection: Selection, *, tenant_name: str | None = None, selection_name: str | None = None
) -> TypedSearchAttributes:
    """The run later sets names that its starter does not know."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(TENANT_ID, str(tenant_id)),
            *([] if tenant_name is None else [SearchAttributePair(TENANT_NAME, tenant_name)]),
            *([] if selection_name is None else [SearchAttributePair(SELECTION, selection_name)]),
            SearchAttributePair(SELECTION_HASH, selection.hash()),
            SearchAttributePair(RUN_STATUS, RunStatus.QUEUED),
        ]
    )


def names(tenant_name: str | None, selection_name: str | None) -> list[SearchAttributeUpdate[str]]:
    """Set when the run begins. Workers before release 0.4 give no names."""
    pairs = ((TENANT_NAME, tenant_name), (SELECTION, selection_name))
    return [key.value_set(name) for key, name in pairs if name is not None]


def portfolio(selection: Selection, selection_name: str) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(SELECTION, selection_name),
            SearchAttributePair(SELECTION_HASH, selection.hash()),
            SearchAttributePair(RUN_STATUS, RunStatus.QUEUED),
        ]
    )
