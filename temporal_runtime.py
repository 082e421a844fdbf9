"""The SDK's runtime. With an address it serves Prometheus: the SDK's metrics, and ours through its `metric_meter`."""

import logging
from datetime import timedelta
from functools import cache

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from inventory.user_errors import UserError

LOGGER = "temporalio.core"


class MetricsAddressError(UserError):
    """Nothing can be served at the configured address."""


def quiet_runtime(metrics_address: str | None = None) -> Runtime:
    """For commands, which print only their own lines. Raises `MetricsAddressError`."""
    return _runtime(metrics_address, is_logging=False)


def logging_runtime(metrics_address: str | None = None) -> Runtime:
    """The runtime of a worker: warnings and errors go to the logger `temporalio.core`.

    Raises `MetricsAddressError`.
    """
    return _runtime(metrics_address, is_logging=True)


_LOGGING = LoggingConfig(
    filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
    forwarding=LogForwardingConfig(
        logging.getLogger(LOGGER), append_target_to_name=False, prepend_target_on_message=False
    ),
)

_WORKER_HEARTBEAT = timedelta(seconds=60)
"""The SDK's default."""


@cache
def _runtime(metrics_address: str | None, *, is_logging: bool) -> Runtime:
    metrics = None
    if metrics_address is not None:
        # Names that Prometheus recommends; dashboards and alerts depend on them.
        metrics = PrometheusConfig(
            bind_address=metrics_address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
        )
    telemetry = TelemetryConfig(logging=_LOGGING if is_logging else None, metrics=metrics, attach_service_name=False)
    try:
        return Runtime(telemetry=telemetry, worker_heartbeat_interval=_WORKER_HEARTBEAT if is_logging else None)
    except ValueError as error:
        if metrics_address is None:
            raise
        reason = str(error).rpartition(": ")[2]
        raise MetricsAddressError(f"metrics cannot be served at {metrics_address}: {reason}") from None
