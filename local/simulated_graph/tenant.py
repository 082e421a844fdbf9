"""One tenant as a test sees it: how to sign in, what it serves, and how to edit it."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from local.simulated_graph.audit import audit_event
from local.simulated_graph.content import Content
from local.simulated_graph.credentials import Credentials
from local.simulated_graph.deviations import Deviation
from local.simulated_graph.endpoints import located
from local.simulated_graph.generations import advance
from local.simulated_graph.licences import Licences
from local.simulated_graph.messages import GraphRequest, Kind
from local.simulated_graph.permissions import Grants
from local.simulated_graph.reading import Reader
from local.simulated_graph.tokens import TokenService


class SimulatedTenant:
    """One of the simulated Graph's tenants. Everything here may be called from any thread while it is served.

    Paths are those of the collections, without version and query: `deviceManagement/deviceConfigurations`. What belongs
    to an object is edited under its own: `deviceManagement/configurationPolicies/{id}/settings`.
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
        """`deviations` are there from the beginning of its life."""
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
        self._content = content
        self._reader = reader
        self._tokens = tokens
        self._deviations = deviations
        self._generation = 0
        self._begin()

    def token(self, lifetime: timedelta | None = None) -> str:
        """An access token, without the way through the token endpoint; expired where the lifetime is negative."""
        return self._tokens.issue(self.id, lifetime)

    def get(self, address: str, version: str | None = None) -> Any:
        """The body that a GET of `address`, a path with its query, shows now; `LookupError` where that is an error.

        Without a `version` it is beta, or v1.0 where beta lacks the path. Nothing is recorded.
        """
        version = version or _newest(address)
        path, _, query = address.partition("?")
        request = GraphRequest(Kind.DIRECT, "GET", f"/{version}/{path.strip('/')}", query)
        answer = self._reader.answer(request, self.id, self._content)
        if answer.status != 200:
            raise LookupError(f"{address}: {answer.status} {answer.body.decode()}")
        return orjson.loads(answer.body)

    def documents(self, address: str, version: str | None = None) -> list[dict[str, Any]]:
        """Everything that a list at `address`, a path with its query, shows now, over all of its pages."""
        version = version or _newest(address)
        documents: list[dict[str, Any]] = []
        following: str | None = address
        while following is not None:
            body = self.get(following, version)
            documents += body["value"]
            link = body.get("@odata.nextLink")
            following = None if link is None else link.partition(f"/{version}/")[2]
        return documents

    def add(self, path: str, document: Any, *, raw: bool = False) -> str:
        """Append an object to a collection, and return its key for further edits: its id, if that is its own.

        The server gives it what it lacks: an id, times, a version. With `raw` it is served as it is, even if it is no
        object, has another's id, or is bytes that are no JSON.
        """
        return self._content.add(path, document, raw=raw)

    def change(self, path: str, key: str, changes: Mapping[str, Any], *, silently: bool = False) -> None:
        """Give an object's properties other values; its modified time and version follow unless it is `silently`.

        Below an object the time is the object's, and follows where Graph has it so: for a setting of a policy, but not
        for an assignment or for an enrollment profile of a token. A single relation's key is its id, if it has one.
        """
        self._content.change(path, key, changes, silently=silently)

    def rename(self, path: str, key: str, name: str) -> None:
        """Give an object another display name, under whatever property it has that."""
        self._content.rename(path, key, name)

    def remove(self, path: str, key: str) -> None:
        """Take an object away: lists leave it out, a GET by its id answers 404."""
        self._content.remove(path, key)

    def hold(self, path: str, documents: Sequence[dict[str, Any]]) -> None:
        """Have a collection hold these documents, each with what belongs to it, and no others."""
        self._content.hold(path, documents)

    def unlist(self, path: str, key: str, *, is_listed: bool = False) -> None:
        """Leave an object out of its listings, though a GET by its id finds it; with `is_listed` take that back."""
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
        """Have an audit log (`INTUNE_LOG` or `ENTRA_LOG`) say that something was done to an object, some time ago.

        With `listed_after` the event comes late: until then no list shows it.
        """
        with self._content.lock:
            key = self.add(log, audit_event(log, object_id, operation, datetime.now(UTC) - ago))
            if listed_after:
                self._content.unlist(log, key, listed_after.total_seconds())

    def cut_expansions(self, size: int | None) -> None:
        """Have `$expand` show so many of any navigation, with a link to the rest; None for as many as Graph shows."""
        self._content.cut_expansions(size)

    def reassign(self, path: str, key: str, group_ids: Sequence[str]) -> None:
        """Assign an object to these groups and nobody else."""
        self._content.reassign(path, key, group_ids)

    @property
    def generation(self) -> int:
        """How many steps of its life the tenant is from its beginning."""
        return self._generation

    def set_generation(self, generation: int) -> None:
        """Take the tenant to `generation`. On the way back it starts over, and edits made by hand are gone."""
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
            deviation.apply(self._content)


def _newest(address: str) -> str:
    found = located(address.partition("?")[0])
    return "v1.0" if found is not None and "beta" not in found[0].versions else "beta"
