"""The typed search attributes of a SyncWorkflow. The Temporal namespace must have them; `worker.py` registers them."""

from typing import Any

from temporalio.common import SearchAttributeKey

TENANT_ID = SearchAttributeKey.for_keyword("TenantId")
SELECTION_HASH = SearchAttributeKey.for_keyword("SelectionHash")
RUN_STATUS = SearchAttributeKey.for_keyword("RunStatus")
ERROR_CODES = SearchAttributeKey.for_keyword_list("ErrorCodes")
ALL: tuple[SearchAttributeKey[Any], ...] = (TENANT_ID, SELECTION_HASH, RUN_STATUS, ERROR_CODES)


def type_name(key: SearchAttributeKey[Any]) -> str:
    """The type of a search attribute as Temporal's command line calls it: `Keyword`, `KeywordList`."""
    return key.indexed_value_type.name.title().replace("_", "")
