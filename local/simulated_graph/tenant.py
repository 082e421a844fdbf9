"""A tenant for tests."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from local.simulated_graph.audit import audit_event
from local.simulated_graph.content import Content
from local.simulated_graph.credentials import Credentials
from local.simulated_graph.deviations import Deviation
from local.simulated_graph.endpoints import located
from local.simulated_graph.generations import advance
from local.simulated_graph.get_answers import Reader
from local.simulated_graph.licences import Licences
from local.simulated_graph.messages import GraphRequest, Kind
from local.simulated_graph.permissions import Grants
from local.simulated_graph.tokens import TokenService


class SimulatedTenant:
    """Sign-in, content, and the edits of `Content`. Thread-safe.

    Paths are without version and query: a collection's (`deviceManagement/deviceConfigurations`) or that of an object's
    parts (`deviceManagement/configurationPolicies/{id}/settings`).
    """

    def __init__(
        self,
        tenant_id: str,
        name: str,
        credentials: Credentials,
        content: Content,
        reader: Reader,
        tokens: TokenService,
        grants: Grants,
        licences: Licences,
        deviations: Sequence[Deviation] = (),
    ) -> None:
        self.id = tenant_id
        self.name = name
        self.client_id = credentials.client_id
        self.client_secret = credentials.client_secret
        self.register_secret = credentials.register_secret
        self.withdraw_secret = credentials.withdraw_secret
        self.register_certificate = credentials.register_certificate
        self.register_federated_token = credentials.register_federated_token
        self.grant = grants.set
        self.license = licences.set
        self.add = content.add
        self.change = content.change
        self.rename = content.rename
        self.remove = content.remove
        self.hold = content.hold
        self.reassign = content.reassign
        self.cut_expansions = content.cut_expansions
        self._content = content
        self._reader = reader
        self._tokens = tokens
        self._deviations = deviations
        self._generation = 0
        self._begin()

    def entry(self) -> dict[str, str]:
        return {"id": self.id, "name": self.name, "client_id": self.client_id, "client_secret": self.client_secret}

    def token(self, lifetime: timedelta | None = None) -> str:
        """A token without the token endpoint, expired if the lifetime is negative."""
        return self._tokens.issue(self.id, lifetime)

    def get(self, address: str, version: str | None = None) -> Any:
        """The body of a GET of `address` (path with query), unrecorded. Raises `LookupError` for an error.

        `version` is beta by default, or v1.0 if beta lacks the path.
        """
        version = version or _newest(address)
        path, _, query = address.partition("?")
        request = GraphRequest(Kind.DIRECT, "GET", f"/{version}/{path.strip('/')}", query)
        answer = self._reader.answer(request, self.id, self._content)
        if answer.status != 200:
            raise LookupError(f"{address}: {answer.status} {answer.body.decode()}")
        return orjson.loads(answer.body)

    def documents(self, address: str, version: str | None = None) -> list[dict[str, Any]]:
        """The objects of all pages at `address` (path with query)."""
        version = version or _newest(address)
        documents: list[dict[str, Any]] = []
        following: str | None = address
        while following is not None:
            body = self.get(following, version)
            documents += body["value"]
            link = body.get("@odata.nextLink")
            following = None if link is None else link.partition(f"/{version}/")[2]
        return documents

    def unlist(self, path: str, key: str, *, is_listed: bool = False) -> None:
        """Omits the object from lists, not from a GET by id; `is_listed` undoes that."""
        self._content.unlist(path, key, 0.0 if is_listed else math.inf)

    def log_event(
        self,
        log: str,
        object_id: str,
        operation: str,
        *,
        ago: timedelta = timedelta(0),
        listed_after: timedelta = timedelta(0),
    ) -> None:
        """Logs an act on an object in `INTUNE_LOG` or `ENTRA_LOG`; lists omit the event for `listed_after`."""
        with self._content.lock:
            key = self.add(log, audit_event(log, object_id, operation, datetime.now(UTC) - ago))
            if listed_after:
                self._content.unlist(log, key, listed_after.total_seconds())

    @property
    def generation(self) -> int:
        return self._generation

    def set_generation(self, generation: int) -> None:
        """Going back starts over, without edits."""
        if generation < 0:
            raise ValueError("a generation is 0 or above")
        with self._content.lock:
            if generation < self._generation:
                self._content.reset()
                self._generation = 0
                self._begin()
            while self._generation < generation:
                self._generation += 1
                advance(self._content, self.id, self._generation)

    def _begin(self) -> None:
        for deviation in self._deviations:
            deviation(self._content)


def _newest(address: str) -> str:
    found = located(address.partition("?")[0])
    return "v1.0" if found is not None and "beta" not in found[0].versions else "beta"
