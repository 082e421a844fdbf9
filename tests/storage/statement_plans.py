"""The plans of the statements that a test executes."""

from typing import Any, NamedTuple

from sqlalchemy import Connection

from storage.database import PROBE

GROWING = {
    "inventory_item", "item_version", "document", "item_reference", "unread_item", "audited_object", "item_name",
    "item_settings", "collection_setting", "collection_coverage",
}  # fmt: skip
WAVES = {"staged", "before", "merged", "seen"}


class Node(NamedTuple):
    """A node of a plan."""

    kind: str
    table: str | None
    by: str | None
    statement: str
    condition: str = ""


class Explained:
    """The plans of all statements that sessions execute."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.waves_looped_over: list[str] = []

    def add(
        self, connection: Connection, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
    ) -> None:
        """Explains a statement before its execution; a streamed statement as a cursor's query."""
        if context.invoked_statement is PROBE or "set_config" in statement:
            return
        declared = "DECLARE listing CURSOR FOR " if context.execution_options.get("stream_results") else ""
        cursor = connection.connection.cursor()
        cursor.execute(f"EXPLAIN (FORMAT JSON) {declared}{statement}", parameters)
        [(plans,)] = cursor.fetchall()
        rest = [plan["Plan"] for plan in plans]
        while rest:
            plan = rest.pop()
            parts = plan.get("Plans", [])
            rest += parts
            if plan["Node Type"] == "Nested Loop" and parts[-1].get("CTE Name") in WAVES:
                self.waves_looped_over.append(parts[-1]["CTE Name"])
            names = (plan.get("Relation Name"), plan.get("Index Name"))
            condition = plan.get("Index Cond", "")
            self.nodes.append(Node(plan["Node Type"], *names, " ".join(statement.split()), condition))

    def assert_by_index(self) -> None:
        read = [node for node in self.nodes if node.table in GROWING]
        assert read, "no statement read a growing table"
        assert [node for node in read if node.kind == "Seq Scan"] == []
