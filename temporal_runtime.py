"""The SDK's own runtime, which otherwise writes lines of its own, with ANSI colours, to the process's output."""

import logging
from functools import cache

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

LOGGER = "temporalio.core"


@cache
def quiet_runtime() -> Runtime:
    """For commands: they print one line for a person, and nothing else."""
    return Runtime(telemetry=TelemetryConfig(logging=None), worker_heartbeat_interval=None)


@cache
def logging_runtime() -> Runtime:
    """For a worker: warnings and errors go to the logger `temporalio.core`, in the format of all other lines."""
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                forwarding=LogForwardingConfig(
                    logging.getLogger(LOGGER), append_target_to_name=False, prepend_target_on_message=False
                ),
            )
        )
    )
