"""Stable error codes (`docs/error-codes.md`). A released code never changes its meaning."""

from enum import StrEnum
from typing import NamedTuple


class ErrorCode(StrEnum):
    """Why a collection or a run did not end well."""

    GRAPH_THROTTLED = "graph_throttled"
    GRAPH_UNAVAILABLE = "graph_unavailable"
    GRAPH_UNAUTHORIZED = "graph_unauthorized"
    GRAPH_PERMISSION_MISSING = "graph_permission_missing"
    GRAPH_NOT_LICENSED = "graph_not_licensed"
    GRAPH_NOT_FOUND = "graph_not_found"
    GRAPH_DELEGATED_ONLY = "graph_delegated_only"
    GRAPH_BAD_REQUEST = "graph_bad_request"
    GRAPH_PAGE_EXPIRED = "graph_page_expired"
    GRAPH_PAGING_LOOP = "graph_paging_loop"
    GRAPH_UNTRUSTED_LINK = "graph_untrusted_link"
    GRAPH_MALFORMED_RESPONSE = "graph_malformed_response"
    AUTH_FAILED = "auth_failed"
    TENANT_DISABLED = "tenant_disabled"
    DETAIL_INCOMPLETE = "detail_incomplete"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    STORAGE_DAMAGED = "storage_damaged"
    CONFIGURATION_INVALID = "configuration_invalid"
    UNKNOWN_COLLECTION = "unknown_collection"
    LISTING_UNPROVEN = "listing_unproven"
    CONCURRENCY_LIMIT = "concurrency_limit"
    WORKFLOW_ID_HELD = "workflow_id_held"
    RUN_ABANDONED = "run_abandoned"
    CANCELLED = "cancelled"
    UNEXPECTED_ERROR = "unexpected_error"


class Explanation(NamedTuple):
    meaning: str
    remedy: str


EXPLANATIONS: dict[ErrorCode, Explanation] = {
    ErrorCode.GRAPH_THROTTLED: Explanation(
        "Graph throttled requests until the retry limit.",
        "Run again later, or less often. If it persists, see what else reads this tenant with the same app.",
    ),
    ErrorCode.GRAPH_UNAVAILABLE: Explanation(
        "Graph answered 5xx or 408, or could not be reached or read in time, until the retry limit.",
        "Check the network, the proxy, the workers' logs and Microsoft's service health, then run again.",
    ),
    ErrorCode.GRAPH_UNAUTHORIZED: Explanation(
        "Graph answered 401, also to a fresh token.",
        "Check that the service principal is enabled in the tenant and that no location policy blocks it.",
    ),
    ErrorCode.GRAPH_PERMISSION_MISSING: Explanation(
        "Graph answered 403. The context names the permission that the catalog knows.",
        "Grant the named application permission in the tenant and give admin consent.",
    ),
    ErrorCode.GRAPH_NOT_LICENSED: Explanation(
        "The tenant has no licence for the feature, or has not set it up. The collection is skipped; a detail stays"
        " as it was read last.",
        "Nothing, unless the tenant should have the feature.",
    ),
    ErrorCode.GRAPH_NOT_FOUND: Explanation(
        "The collection does not exist in this cloud or API version. It is skipped.",
        "Nothing, unless the tenant's `cloud` in the tenants file is wrong.",
    ),
    ErrorCode.GRAPH_DELEGATED_ONLY: Explanation(
        "Microsoft opens the collection to signed-in people only. It is skipped.",
        "Nothing: no permission of an app opens it.",
    ),
    ErrorCode.GRAPH_BAD_REQUEST: Explanation(
        "Graph refused the request with another 4xx answer.",
        "Report it with the context: the catalog's entry needs a change.",
    ),
    ErrorCode.GRAPH_PAGE_EXPIRED: Explanation(
        "A page token expired again after the listing was restarted.",
        "Run again when the tenant is less busy.",
    ),
    ErrorCode.GRAPH_PAGING_LOOP: Explanation(
        "Graph repeated a nextLink, or handed out more pages than the page cap.",
        "Run again; if it persists, report it to Microsoft with the request-id in the context.",
    ),
    ErrorCode.GRAPH_UNTRUSTED_LINK: Explanation(
        "A link led away from the Graph host, or Graph did not give it to this run. It was not followed.",
        "Check for a proxy that rewrites answers, and who else may start workflows in the Temporal namespace.",
    ),
    ErrorCode.GRAPH_MALFORMED_RESPONSE: Explanation(
        "The answer was not JSON, had no `value` list, was truncated, or was too large.",
        "Check for a proxy between the worker and Graph; without one, run again.",
    ),
    ErrorCode.AUTH_FAILED: Explanation(
        "No token: wrong or expired credential, unknown tenant, or unreachable authority.",
        "Check the tenant's entry in the tenants file and its secret or certificate.",
    ),
    ErrorCode.TENANT_DISABLED: Explanation(
        "The tenant is disabled, so nothing is requested.",
        "`tenant enable NAME`, or `disabled = false` in the tenants file of every worker.",
    ),
    ErrorCode.DETAIL_INCOMPLETE: Explanation(
        "Details of some items were not read.",
        "Run again.",
    ),
    ErrorCode.STORAGE_UNAVAILABLE: Explanation(
        "PostgreSQL stayed unreachable.",
        "Check DATABASE_URL and the database, then run again.",
    ),
    ErrorCode.STORAGE_DAMAGED: Explanation(
        "A stored row of an item is damaged. The details of the other items are read.",
        "Run again. If it happens again, check the disks of the database.",
    ),
    ErrorCode.CONFIGURATION_INVALID: Explanation(
        "A worker cannot read the tenants file, or a secret or certificate that it names, and has no last valid one.",
        "Correct the file that the context and the worker's log name, then run again.",
    ),
    ErrorCode.UNKNOWN_COLLECTION: Explanation(
        "The worker's release does not know the type key, or reads it from another version of Graph. The other"
        " collections are read.",
        "Upgrade the workers, or take the type key out of the selection.",
    ),
    ErrorCode.LISTING_UNPROVEN: Explanation(
        "The workflow reported a complete listing, but the database does not show it: a page is not recorded, or an"
        " item that no page showed was not asked for by its id.",
        "Run again. If it happens again, look for workers of an earlier release, and who else may start workflows"
        " in the Temporal namespace.",
    ),
    ErrorCode.CONCURRENCY_LIMIT: Explanation(
        "No run slot became free within `RUN_QUEUE_PATIENCE_SECONDS`.",
        "Run again later, or raise `RUNS_PER_TENANT` and `RUNS_OVERALL`.",
    ),
    ErrorCode.WORKFLOW_ID_HELD: Explanation(
        "The run was not started: another workflow holds its workflow id.",
        "Run again. If it happens again, end the workflow that `sync` names, or give this deployment a namespace of"
        " its own.",
    ),
    ErrorCode.RUN_ABANDONED: Explanation(
        "The run did not close its record: its workflow was terminated, or its lease expired with no worker left."
        " Stored items are kept.",
        "Run again.",
    ),
    ErrorCode.CANCELLED: Explanation(
        "The run was cancelled. Stored items are kept.",
        "Run again when wanted.",
    ),
    ErrorCode.UNEXPECTED_ERROR: Explanation(
        "A failure without a code of its own.",
        "Report it with the worker's log line, which names the exception type.",
    ),
}

SKIPPING_CODES: frozenset[ErrorCode] = frozenset(
    {ErrorCode.GRAPH_NOT_LICENSED, ErrorCode.GRAPH_NOT_FOUND, ErrorCode.GRAPH_DELEGATED_ONLY}
)
"""The tenant, or any app, cannot have the collection: it is skipped, without an error."""

OF_TENANT_CODES: frozenset[ErrorCode] = SKIPPING_CODES - {ErrorCode.GRAPH_NOT_FOUND}
"""Answers about the tenant as a whole: one under a parent holds for all parents."""
