"""The output of commands with `--json`: the records, each with its JSON Schema, and which command prints which.

A new record gets a row in `RECORDS`, a command that prints it one in `PRINTED`; `make docs` writes the rest.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from pydantic import BaseModel, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from activities.messages.diagnosis import CheckResult
from activities.messages.retention import ForgottenOfTenant
from answers.assignments.records import ItemAssignment
from answers.changes.records import ChangeRecord, ChangesSummary
from answers.compare.records import ComparisonRecord, ItemComparison, MatrixRecord, MatrixRow
from answers.compare.setting_records import (
    SettingComparison,
    SettingRow,
    SettingsComparisonRecord,
    SettingsMatrixRecord,
)
from answers.coverage.records import UnreadCollections
from answers.dependencies.records import (
    CannotSayRecord,
    DanglingRecord,
    DependencyRecord,
    ReachRecord,
    UnassignedRecord,
)
from answers.drift.records import BaselineRecord, DriftDecisionRecord, DriftFindingRecord, DriftReport
from answers.export.records import ExportRecord
from answers.notifications.records import NotificationRecord, NotifyTestRecord, SnoozeRecord
from answers.oldest_listing import OldestListing
from answers.promotion.records import (
    BlockedRow,
    MappingRecord,
    PlannedItem,
    PlanRecord,
    PlansRecord,
    SimulatedItem,
    SimulationRecord,
)
from answers.search.records import TenantSetting
from answers.status.records import TenantStatus
from answers.versions.records import DifferenceRecord, ShownRecord
from answers.watch.records import WatchedLogRecord
from cli.limits import Limits
from cli.tenant import AddedTenant, RemovedTenant
from cli.tenant_import import ImportedTenants
from cli.web import WebAddresses
from control.watch import WatchRecord
from inventory.access_rules import AccessRule
from inventory.people import KnownPerson
from inventory.portfolio import PortfolioRecord, TenantOutcomeRecord
from inventory.records import ItemRecord, MissingRecord, RunRecord, SyncRecord, VersionRecord
from tenants_source import TenantEntry


class DocumentLine(ShownRecord):
    """A document with its item's facts. The state is the item's, not the version's."""

    document: dict[str, Any]


class ChangesSummaryLine(BaseModel):
    """The end of a list of changes."""

    summary: ChangesSummary


class PortfolioRunLine(PortfolioRecord):
    """One portfolio run of a list: without its tenants."""

    tenants: list[TenantOutcomeRecord] = Field(default=[], exclude=True)


RECORDS: dict[str, type[BaseModel]] = {
    "run": RunRecord,
    "sync": SyncRecord,
    "tenant-status": TenantStatus,
    "portfolio-run": PortfolioRecord,
    "portfolio-run-listed": PortfolioRunLine,
    "item": ItemRecord,
    "missing-item": MissingRecord,
    "unread-collections": UnreadCollections,
    "tenant-setting": TenantSetting,
    "version": VersionRecord,
    "document": DocumentLine,
    "difference": DifferenceRecord,
    "export": ExportRecord,
    "change": ChangeRecord,
    "changes-summary": ChangesSummaryLine,
    "assignment": ItemAssignment,
    "dependency": DependencyRecord,
    "reach": ReachRecord,
    "dangling": DanglingRecord,
    "unassigned": UnassignedRecord,
    "cannot-say": CannotSayRecord,
    "oldest-listing": OldestListing,
    "compared-item": ItemComparison,
    "comparison": ComparisonRecord,
    "compared-setting": SettingComparison,
    "settings-comparison": SettingsComparisonRecord,
    "setting-row": SettingRow,
    "settings-matrix": SettingsMatrixRecord,
    "matrix-row": MatrixRow,
    "matrix": MatrixRecord,
    "baseline": BaselineRecord,
    "drift-report": DriftReport,
    "drift-finding": DriftFindingRecord,
    "drift-decision": DriftDecisionRecord,
    "plan": PlanRecord,
    "planned-item": PlannedItem,
    "blocked-row": BlockedRow,
    "plans": PlansRecord,
    "simulated-item": SimulatedItem,
    "simulation": SimulationRecord,
    "mapping": MappingRecord,
    "forgotten": ForgottenOfTenant,
    "limits": Limits,
    "tenant": TenantEntry,
    "tenant-import": ImportedTenants,
    "tenant-added": AddedTenant,
    "tenant-removed": RemovedTenant,
    "check-result": CheckResult,
    "web-addresses": WebAddresses,
    "watch": WatchRecord,
    "watched-log": WatchedLogRecord,
    "notify-test": NotifyTestRecord,
    "notification": NotificationRecord,
    "snooze": SnoozeRecord,
    "access-rule": AccessRule,
    "person": KnownPerson,
}
"""By the name of the schema's file."""


class Line(NamedTuple):
    """Lines that a command prints, and the record that each of them is."""

    which: str
    record: str


NOT_READ = Line("at the end, collections that were not read, by reason", "unread-collections")

OLDEST = Line("at the end, if the newest run has not read the whole basis", "oldest-listing")

PRINTED: dict[str, tuple[Line, ...]] = {
    "demo": (Line("each tenant", "run"),),
    "sync": (Line("one line", "sync"),),
    "runs": (Line("each line", "run"),),
    "run": (Line("one line", "run"),),
    "status": (Line("each line", "tenant-status"),),
    "portfolio sync": (Line("one line", "portfolio-run"),),
    "portfolio runs": (Line("each line", "portfolio-run-listed"),),
    "portfolio run": (Line("one line", "portfolio-run"),),
    "search": (Line("each item", "item"), NOT_READ),
    "settings": (Line("each line", "tenant-setting"),),
    "items": (Line("each item", "item"), NOT_READ),
    "missing": (Line("each item", "missing-item"), NOT_READ),
    "versions": (Line("each line", "version"),),
    "show": (Line("one line", "document"),),
    "diff": (Line("each line", "difference"),),
    "export": (Line("one line", "export"),),
    "changes": (Line("each change", "change"), Line("the last", "changes-summary")),
    "assignments": (
        Line("each assignment, and each item without any", "assignment"),
        Line("at the end, each collection that leaves something open", "cannot-say"),
        OLDEST,
    ),
    "dependencies": (
        Line("each reference", "dependency"),
        Line("with `--reaches`, each item", "reach"),
        Line("at the end, each collection that leaves something open", "cannot-say"),
    ),
    "dangling": (
        Line("each reference", "dangling"),
        Line("at the end, each collection that leaves something open", "cannot-say"),
        OLDEST,
    ),
    "unassigned": (
        Line("each item", "unassigned"),
        Line("at the end, each collection that leaves something open", "cannot-say"),
        OLDEST,
    ),
    "compare": (
        Line("each item, or two that belong together", "compared-item"),
        Line("the last", "comparison"),
        Line("with `--by-setting`, each setting", "compared-setting"),
        Line("with `--by-setting`, the last", "settings-comparison"),
        Line("with `--golden`, each item", "matrix-row"),
        Line("with `--golden`, the last", "matrix"),
        Line("with `--golden` and `--by-setting`, each setting of the golden tenant", "setting-row"),
        Line("with `--golden` and `--by-setting`, the last", "settings-matrix"),
    ),
    "baseline set": (Line("one line", "baseline"),),
    "baseline list": (Line("each line", "baseline"),),
    "drift show": (Line("the first of each baseline", "drift-report"), Line("each finding after it", "drift-finding")),
    "drift decide": (
        Line("of a finding, one line", "drift-finding"),
        Line("of an item or a field, one line", "drift-decision"),
    ),
    "drift decisions": (Line("each line", "drift-decision"),),
    "promote plan": (
        Line("each item", "planned-item"),
        Line("the last", "plan"),
        Line("of several tenants: each reason", "blocked-row"),
        Line("of several tenants: the last", "plans"),
    ),
    "promote show": (Line("each item", "planned-item"), Line("the last", "plan")),
    "promote simulate": (Line("each item that would be written", "simulated-item"), Line("the last", "simulation")),
    "promote list": (Line("each line", "plan"),),
    "promote approve": (Line("one line", "plan"),),
    "promote reject": (Line("one line", "plan"),),
    "promote map": (Line("each line", "mapping"),),
    "retention": (Line("each tenant", "forgotten"),),
    "limits": (Line("one line", "limits"),),
    "doctor": (Line("each line", "check-result"),),
    "tenant import": (Line("the import", "tenant-import"),),
    "tenant add": (Line("the first", "tenant-added"), Line("the last, after waiting", "check-result")),
    "tenant remove": (Line("one line", "tenant-removed"),),
    "tenant test": (Line("one line", "check-result"),),
    "tenant list": (Line("each line", "tenant"),),
    "tenant disable": (Line("one line", "tenant"),),
    "tenant enable": (Line("one line", "tenant"),),
    "web": (Line("one line", "web-addresses"),),
    "watch list": (Line("the first", "watch"), Line("each audit log of a tenant after it", "watched-log")),
    "notify test": (Line("each target", "notify-test"),),
    "notify list": (Line("each line", "notification"),),
    "notify snooze": (Line("one line", "snooze"),),
    "notify snoozes": (Line("each line", "snooze"),),
    "notify unsnooze": (Line("one line", "snooze"),),
    "access list": (Line("each line", "access-rule"),),
    "access people": (Line("each line", "person"),),
    "access grant": (Line("one line", "access-rule"),),
    "access exclude": (Line("one line", "access-rule"),),
    "access revoke": (Line("one line", "access-rule"),),
}
"""By command."""


class _AsPrinted(GenerateJsonSchema):
    """Every field of a record is always printed, and no other."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {**super().model_schema(schema), "additionalProperties": False}

    def field_is_required(self, *_field: object, **_total: object) -> bool:
        return True

    def field_title_should_be_set(self, _schema: object) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def schema(record: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a record as it is printed."""
    described = record.model_json_schema(mode="serialization", schema_generator=_AsPrinted)
    return {"$schema": _AsPrinted.schema_dialect, **described}


def schema_page(record: type[BaseModel]) -> str:
    """A file of `docs/schemas/`."""
    return json.dumps(schema(record), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def overview() -> str:
    """`docs/schemas/README.md`."""
    lines = [
        "# JSON Schemas of what commands print",
        "",
        "Generated from the records of the code by `make docs`. With `--json` a command prints JSON Lines: one object",
        "a line. Each is described here by a JSON Schema (draft 2020-12): every field is always there, null where it",
        "has no value, and there is no other. Tests hold what commands print against these files.",
        "",
        "A release may add fields, and words to enumerations; it takes none away and gives none another meaning. So",
        "read what you know and skip the rest: check against the schemas of the release that you run, or without",
        "`additionalProperties`.",
        "",
        "`catalog`, `check`, `permissions` and `schedule` have no schema, nor has what only says that it was done.",
        "",
        "| command | line | schema |",
        "|---|---|---|",
    ]
    for command, printed in PRINTED.items():
        lines += [f"| `{command}` | {line.which} | [{line.record}]({line.record}.schema.json) |" for line in printed]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "schemas/README.md": overview,
    **{f"schemas/{name}.schema.json": partial(schema_page, record) for name, record in RECORDS.items()},
}
"""By their paths below `docs/`."""
