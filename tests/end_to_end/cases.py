"""The cases of `../shared/cases`, played against the real product: tenants hold a case's documents.

All cases of a process share one worker and one simulated Graph; each has two tenants of its own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest

from answers.changes.records import ChangeRecord
from answers.compare.records import ComparisonRecord, ItemComparison
from answers.drift.records import DriftFindingRecord
from answers.versions.records import DifferenceRecord
from graph.catalog import load_catalog
from inventory.records import RunRecord, VersionRecord
from local.postgres import EmbeddedPostgres
from local.simulated_graph import Answer, GraphRequest, SimulatedGraph, SimulatedTenant
from local.temporal import EmbeddedTemporal
from tests.conftest import copy_of
from tests.end_to_end.system import SEEDS, CommandResult, System

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"

needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the folder of cases is not here")

Documents = dict[str, list[dict[str, Any]]]
"""The documents of each collection, by type key."""


class Case:
    """One file: the documents before and after (the same where the case has one sync), and Graph's own answers."""

    def __init__(self, name: str) -> None:
        self.content: dict[str, Any] = orjson.loads((CASES / f"{name}.json").read_bytes())
        named = self.content["collection"]
        self.type_keys: list[str] = [named] if isinstance(named, str) else named
        self.before = self._documents("documents_before")
        self.after = self._documents("documents_after")

    def _documents(self, key: str) -> Documents:
        documents: Any = self.content.get(key, self.content.get("documents"))
        return dict(documents) if isinstance(documents, dict) else {self.type_keys[0]: documents}

    @property
    def ids(self) -> list[str]:
        """The ids of the first collection's items."""
        return [str(document["id"]) for document in self.before[self.type_keys[0]]]

    def answers(self, when: str) -> Iterator[tuple[re.Pattern[str], int, Any]]:
        """Graph's own answers: a pattern of addresses, the status and the body."""
        for answer in self.content.get("answers", ()):
            if answer.get("when", when) == when:
                address = str(answer["request"]).removeprefix("GET ")
                prefix = address.removesuffix("…")
                rest = ".*" if prefix.endswith("/") or "?" in prefix else r"(\?.*)?"
                pattern = re.escape(prefix) + (rest if address.endswith("…") else "")
                yield re.compile(pattern), int(answer["status"]), answer["body"]


class TenantPair:
    """Two tenants that hold a case's documents, and the commands about them."""

    def __init__(self, system: System, tenant: SimulatedTenant, other: SimulatedTenant) -> None:
        self.system = system
        self.tenant = tenant
        self.other = other
        self._answers: list[tuple[re.Pattern[str], int, Any]] = []

    def hold(self, documents: Documents, tenant: SimulatedTenant | None = None) -> None:
        """Makes the tenant hold these documents, and no other documents of their collections."""
        tenant = tenant or self.tenant
        for type_key, held in documents.items():
            collection = load_catalog().collections[type_key]
            path = collection.path.strip("/")
            for document in tenant.documents(path, collection.api_version):
                tenant.remove(path, document[collection.id_field])
            for document in held:
                tenant.add(path, document)

    def answer(self, case: Case, when: str) -> None:
        """Makes Graph give the case's own answers for `before` or `after`, in the first tenant."""
        self._answers = list(case.answers(when))

    def answer_with(self, pattern: str, status: int, body: Any) -> None:
        """Makes Graph give this answer to matching addresses, in the first tenant; the latest match counts."""
        self._answers.insert(0, (re.compile(pattern), status, body))

    def intercept(self, request: GraphRequest) -> Answer | None:
        """The case's own answer to a request, if it has one."""
        for pattern, status, body in self._answers:
            if pattern.fullmatch(unquote(request.address)):
                return Answer.of(status, body)
        return None

    def sync(self, type_keys: Iterable[str], *options: str) -> RunRecord:
        """Syncs the first tenant."""
        result = self.command("sync", *_types(type_keys), *options, "--json")
        assert result.stdout, result.stderr
        return result.run()

    def play(self, case: Case, *options: str, baseline: bool = False) -> tuple[RunRecord, RunRecord]:
        """Syncs the case's documents before and after its change; with `baseline`, sets a baseline in between."""
        self.hold(case.before)
        self.answer(case, "before")
        before = self.sync(case.type_keys, *options)
        if baseline:
            result = self.command("baseline", "set", "golden", "--run", str(before.run_id), "--reason", "the case")
            assert result.code == 0, result.stderr
        self.hold(case.after)
        self.answer(case, "after")
        return before, self.sync(case.type_keys, *options)

    def command(self, name: str, *arguments: str) -> CommandResult:
        """Runs a command about the first tenant, whose name follows the command's one or two words."""
        if name == "baseline":
            return self.system.starter(name, arguments[0], self.tenant.name, *arguments[1:])
        return self.system.starter(name, self.tenant.name, *arguments)

    def changes(self, *type_keys: str) -> list[ChangeRecord]:
        """The changes since the first sync, which itself reports none."""
        result = self.command("changes", *_types(type_keys), "--json")
        assert result.code == 0, result.stderr
        return [ChangeRecord.model_validate(line) for line in result.objects() if "external_id" in line]

    def versions(self, type_key: str, external_id: str) -> list[VersionRecord]:
        """The versions of an item, newest first."""
        result = self.command("versions", type_key, external_id, "--json")
        assert result.code == 0, result.stderr
        return [VersionRecord.model_validate(line) for line in result.objects()]

    def show(self, type_key: str, external_id: str) -> dict[str, Any]:
        """The document that `show` shows."""
        result = self.command("show", type_key, external_id, "--json")
        assert result.code == 0, result.stderr
        document: dict[str, Any] = result.objects()[0]["document"]
        return document

    def diff(self, type_key: str, external_id: str) -> list[DifferenceRecord]:
        """The differences of the last two versions."""
        result = self.command("diff", type_key, external_id, "--json")
        assert result.code == 0, result.stderr
        return [DifferenceRecord.model_validate(line) for line in result.objects() if "path" in line]

    def drift(self) -> list[DriftFindingRecord]:
        """The findings against the baseline."""
        result = self.command("drift", "--json")
        assert result.code == 0, result.stderr
        return [DriftFindingRecord.model_validate(line) for line in result.objects() if "fingerprint" in line]

    def compare(self, case: Case) -> tuple[list[ItemComparison], ComparisonRecord]:
        """Compares the case before, in the first tenant, with the case after, in the other, by its first collection."""
        for tenant, documents in ((self.tenant, case.before), (self.other, case.after)):
            self.hold(documents, tenant)
            result = self.system.starter("sync", tenant.name, *_types(case.type_keys), "--json")
            assert result.code == 0, result.stderr
        names = self.tenant.name, self.other.name
        result = self.system.starter("compare", *names, "--type", case.type_keys[0], "--json")
        assert result.code == 0, result.stderr
        *items, last = result.objects()
        return [ItemComparison.model_validate(item) for item in items], ComparisonRecord.model_validate(last)


class SharedSystem:
    """One product for all cases of a process: a pair of tenants for each."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._tenants = iter(system.graph.tenants)
        self._pairs: dict[str, TenantPair] = {}
        system.graph.before_answer = self._intercept

    def pair(self) -> TenantPair:
        """A pair of unused tenants."""
        pair = TenantPair(self._system, next(self._tenants), next(self._tenants))
        self._pairs[pair.tenant.id] = pair
        return pair

    def _intercept(self, request: GraphRequest) -> Answer | None:
        pair = self._pairs.get(request.tenant_id or "")
        return None if pair is None else pair.intercept(request)


@contextmanager
def shared_system(
    postgres: EmbeddedPostgres,
    template: str,
    temporal: EmbeddedTemporal,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    cases: int,
) -> Iterator[SharedSystem]:
    """A system for `cases` cases, with a running worker; `environment` adds to its configuration."""
    database_urls = copy_of(postgres, template)
    with (
        SimulatedGraph(tenants=2 * cases, items_per_collection=1, seed=next(SEEDS)) as graph,
        System(graph, temporal, next(database_urls), folder) as system,
    ):
        system.environment.update(environment or {})
        system.start_worker()
        yield SharedSystem(system)
    next(database_urls, None)


def _types(type_keys: Iterable[str]) -> list[str]:
    return [argument for key in type_keys for argument in ("--type", key)]
