"""The SDK's runtime. At a metrics address, it serves the SDK's metrics and ours (`metric_meter`) to Prometheus."""

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
    """Metrics cannot be served at the configured address."""


def quiet_runtime(metrics_address: str | None = None) -> Runtime:
    """A runtime that logs nothing, for commands. Raises `MetricsAddressError`."""
    return _runtime(metrics_address, is_logging=False)


def logging_runtime(metrics_address: str | None = None) -> Runtime:
    """A worker's runtime, which logs warnings and errors to `temporalio.core`. Raises `MetricsAddressError`."""
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
