"""A worker's log as JSON, for a program that collects logs."""

from typing import Any

import orjson

from tests.end_to_end.system import System


def test_every_log_line_is_json_and_activity_lines_name_run_and_tenant(system: System) -> None:
    system.environment |= {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}
    system.start_worker()
    record = system.sync("--type", "deviceCompliancePolicies")
    lines: list[dict[str, Any]] = [orjson.loads(line) for line in system.logs().splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    of_run = [line for line in lines if line.get("run_id") == str(record.run_id)]
    assert {line["tenant_id"] for line in of_run} == {str(system.tenant.id)}
    assert {line["workflow_id"] for line in of_run} == {record.workflow_id}
    assert {"begin_run", "finish_run"} <= {line["activity"] for line in of_run}
    assert not [line for line in lines if "activity_id" in line["message"]], "the fields hold it, not the message"
    assert system.tenant.client_secret not in system.logs()
