"""OpenTelemetry traces, one for each run."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from temporalio.contrib.opentelemetry import TracingInterceptor, TracingWorkflowInboundInterceptor
from temporalio.worker import WorkflowInterceptorClassInput, WorkflowOutboundInterceptor


class RunTracing(TracingInterceptor):
    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type["_RunTrace"]:  # noqa: A002 - the SDK's name
        super().workflow_interceptor_class(input)
        return _RunTrace


class _RunTrace(TracingWorkflowInboundInterceptor):
    """Gives a workflow whose client was not traced a trace of its own.

    The trace id, from the first execution's run id, survives replays and continue-as-new.
    """

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(outbound)
        info = outbound.info()
        if self.header_key not in info.headers:
            trace_id = UUID(info.first_execution_run_id).hex
            # https://www.w3.org/TR/trace-context/#traceparent-header
            self._workflow_context_carrier = {"traceparent": f"00-{trace_id}-{trace_id[16:]}-01"}


@contextmanager
def tracing(endpoint: str) -> Iterator[RunTracing]:
    """Sends traces by OTLP over HTTP, and flushes them on exit."""
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "tenant-inventory-worker"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    try:
        yield RunTracing(provider.get_tracer("tenant-inventory"))
    finally:
        provider.shutdown()
