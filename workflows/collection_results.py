"""The results of a run's collections, and the run's counts."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from activities.messages.pages import NAMED_INVALID, InvalidItem
from inventory.backoff import REMEMBERED_CODES
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, ContextValue, Counts

FAILURE_CONTEXT = ("http_status", "graph_error_code", "request_id", "permission", "attempts")


class CollectionResults(BaseModel):
    """`results` are by type key. A collection without an outcome is still being read."""

    model_config = ConfigDict(extra="ignore")

    results: dict[str, CollectionResult] = {}
    counts: Counts = Counts()
    incomplete: list[str] = []
    """Collections with items whose details cannot be read."""

    def fold_invalid(self, type_key: str, invalid: int, named: Sequence[InvalidItem]) -> None:
        """Counts a page's bad objects, and names the first of each collection."""
        self.counts.invalid += invalid
        for entry in named:
            self._name_invalid(type_key, entry)

    def _open(self) -> list[str]:
        return [type_key for type_key, result in self.results.items() if result.outcome is None]

    def _is_open(self, type_key: str) -> bool:
        return self.results[type_key].outcome is None

    def _name_invalid(self, type_key: str, named: InvalidItem) -> None:
        context = self.results[type_key].context
        names = context.setdefault("invalid", [])
        if isinstance(names, list) and len(names) < NAMED_INVALID:
            names.append(named.model_dump(exclude_none=True))

    def _name_cause(self, type_key: str, code: ErrorCode, context: dict[str, ContextValue]) -> None:
        """Notes why details cannot be read: the first cause that was retried to its limit, else the first cause."""
        context_of_result = self.results[type_key].context
        named = context_of_result.get("detail_error_code")
        if type_key not in self.incomplete:
            self.incomplete.append(type_key)
        elif code not in REMEMBERED_CODES or named in REMEMBERED_CODES:
            return
        for name in FAILURE_CONTEXT:
            context_of_result.pop(name, None)
        context_of_result.update({"detail_error_code": code, **context})
