"""The typed search attributes of a SyncWorkflow. The Temporal namespace must have them; `worker.py` registers them."""

from temporalio.common import SearchAttributeKey

TENANT_ID = SearchAttributeKey.for_keyword("TenantId")
SELECTION_HASH = SearchAttributeKey.for_keyword("SelectionHash")
RUN_STATUS = SearchAttributeKey.for_keyword("RunStatus")
ERROR_CODES = SearchAttributeKey.for_keyword_list("ErrorCodes")
ALL = (TENANT_ID, SELECTION_HASH, RUN_STATUS, ERROR_CODES)
