"""Faults that are switched on and off while the simulated Graph runs."""

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import count as counting
from random import Random
from threading import Lock
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from local.simulated_graph.messages import GraphRequest, Kind


class FaultKind(StrEnum):
    """Without a prefix, a fault happens to direct requests and those inside a `$batch`.

    `batch_…` faults happen to the POST, `token_…` faults to the token endpoint, those of the connection (`reset_…`,
    `slow_…`) to all but inner requests, and `app_revoked` to all.
    """

    # Instead of the answer, by status
    BAD_REQUEST = "bad_request"
    NOT_APPLICABLE = "not_applicable"
    NO_LICENCE = "no_licence"
    PREMIUM_REQUIRED = "premium_required"
    NON_PREMIUM_TENANT = "non_premium_tenant"
    NOT_SET_UP = "not_set_up"
    PAGE_EXPIRED = "page_expired"
    UNAUTHORIZED = "unauthorized"
    UNAUTHORIZED_EXPIRED = "unauthorized_expired"
    UNAUTHORIZED_CLAIMS_CHALLENGE = "unauthorized_claims_challenge"
    APP_REVOKED = "app_revoked"
    FORBIDDEN = "forbidden"
    FORBIDDEN_INTUNE = "forbidden_intune"
    NOT_FOUND = "not_found"
    REQUEST_TIMEOUT = "request_timeout"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    SERVICE_UNAVAILABLE = "service_unavailable"
    GATEWAY_TIMEOUT = "gateway_timeout"
    HTML_WITH_200 = "html_with_200"
    EMPTY_BODY = "empty_body"
    # Changes of the usual answer
    TRUNCATED_JSON = "truncated_json"
    NO_VALUE = "no_value"
    NEXT_LINK_REPEATS = "next_link_repeats"
    NEXT_LINK_FOREIGN_HOST = "next_link_foreign_host"
    NEXT_LINK_HTTP = "next_link_http"
    NEXT_LINK_OTHER_TENANT = "next_link_other_tenant"
    NEXT_LINK_OTHER_VERSION = "next_link_other_version"
    DUPLICATE_ON_NEXT_PAGE = "duplicate_on_next_page"
    SLIP = "slip"
    NOISE = "noise"
    UNKNOWN_PROPERTIES = "unknown_properties"
    # The POST around a batch
    BATCH_THROTTLED = "batch_throttled"
    BATCH_SERVER_ERROR = "batch_server_error"
    BATCH_BAD_GATEWAY = "batch_bad_gateway"
    BATCH_UNAVAILABLE = "batch_unavailable"
    BATCH_HTML_200 = "batch_html_200"
    BATCH_TRUNCATED_JSON = "batch_truncated_json"
    BATCH_MISSING_RESPONSE = "batch_missing_response"
    BATCH_DUPLICATE_RESPONSE = "batch_duplicate_response"
    # The token endpoint
    TOKEN_SERVER_ERROR = "token_server_error"  # noqa: S105 (a kind of fault)
    TOKEN_THROTTLED = "token_throttled"  # noqa: S105
    TOKEN_INVALID_CLIENT = "token_invalid_client"  # noqa: S105
    # The connection
    RESET_BEFORE_BODY = "reset_before_body"
    RESET_IN_BODY = "reset_in_body"
    SLOW_FIRST_BYTE = "slow_first_byte"
    SLOW_DRIP = "slow_drip"

    @property
    def happens_to(self) -> frozenset[Kind]:
        if self is FaultKind.APP_REVOKED:
            return frozenset(Kind)
        if self.startswith(("reset_", "slow_")):
            return frozenset({Kind.DIRECT, Kind.BATCH, Kind.TOKEN})
        if self.startswith("batch_"):
            return frozenset({Kind.BATCH})
        return frozenset({Kind.TOKEN}) if self.startswith("token_") else frozenset({Kind.DIRECT, Kind.INNER})


def _regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as invalid:
        raise ValueError(f"is no regular expression: {invalid}") from None
    return text


@pydantic_dataclass(frozen=True, slots=True, config=ConfigDict(strict=True, extra="forbid"))
class Fault:
    """A rule: which fault happens to which requests, how often. Raises `ValueError` for senseless values.

    `path` is a regular expression searched in the path with version and undecoded query, such as `/beta/groups?$top=5`
    or a batch's `/beta/$batch`. No `tenant_id` means every tenant. `skip` fitting requests pass, then each is hit with
    `probability`, drawn from `seed`, up to `count` times. `retry_after` is sent as it is; None omits the header.
    `seconds` is the length of slow kinds, `link` the nextLink of `next_link_foreign_host`.
    """

    kind: Annotated[FaultKind, Field(strict=False)]
    tenant_id: str | None = None
    path: Annotated[str, AfterValidator(_regular_expression)] = ""
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    count: Annotated[int, Field(ge=0)] | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    seed: int = 0
    retry_after: Annotated[str, Field(pattern=r"^[ -~]*\z")] | None = None
    seconds: Annotated[float, Field(ge=0)] = 0
    link: str | None = None

    def covers(self, request: GraphRequest) -> bool:
        if request.kind not in self.kind.happens_to or self.tenant_id not in {None, request.tenant_id}:
            return False
        if request.kind is Kind.TOKEN and not request.path.endswith("/token"):
            return False
        return re.search(self.path, request.address) is not None


@dataclass(frozen=True, slots=True)
class ActiveFault:
    id: int
    fault: Fault
    injected: int


class _Rule:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.injected = 0
        self._passed = 0
        self._random = Random(fault.seed)  # noqa: S311 (repeatable, not secret)

    @property
    def spent(self) -> bool:
        return self.fault.count is not None and self.injected >= self.fault.count

    def fires(self) -> bool:
        if self.spent:
            return False
        if self._passed < self.fault.skip:
            self._passed += 1
            return False
        if self._random.random() >= self.fault.probability:
            return False
        self.injected += 1
        return True


class Faults:
    """The rules, in order of addition. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ids = counting(1)
        self._rules: dict[int, _Rule] = {}
        self._injected: Counter[str] = Counter()

    def add(self, fault: Fault) -> int:
        """Returns the rule's id."""
        with self._lock:
            added = next(self._ids)
            self._rules[added] = _Rule(fault)
            return added

    def remove(self, fault_id: int) -> None:
        """Raises `KeyError` for an unknown id."""
        with self._lock:
            del self._rules[fault_id]

    def clear(self, tenant_id: str | None = None) -> None:
        """Removes all rules, or those for this tenant only."""
        with self._lock:
            self._rules = {
                fault_id: rule
                for fault_id, rule in self._rules.items()
                if tenant_id is not None and rule.fault.tenant_id != tenant_id
            }

    def active(self) -> list[ActiveFault]:
        """Rules that can still happen, oldest first."""
        with self._lock:
            return [
                ActiveFault(fault_id, rule.fault, rule.injected)
                for fault_id, rule in self._rules.items()
                if not rule.spent
            ]

    def injected(self) -> dict[str, int]:
        """How many faults clients got, by kind; removed rules count."""
        with self._lock:
            return dict(sorted(self._injected.items()))

    def covering(self, request: GraphRequest) -> list[ActiveFault]:
        """Active rules for the request. Call `fires` for a fault that can happen."""
        return [fault for fault in self.active() if fault.fault.covers(request)]

    def fires(self, fault_id: int) -> bool:
        """Draws whether the rule hits; a hit counts as injected."""
        with self._lock:
            rule = self._rules.get(fault_id)
            if rule is None or not rule.fires():
                return False
            self._injected[rule.fault.kind.value] += 1
            return True

    def followed(self, kind: FaultKind) -> None:
        """Counts a consequence of an earlier fault, such as a challenged token's refusal."""
        with self._lock:
            self._injected[kind.value] += 1
