"""Traces of runs: the SDK's OpenTelemetry interceptor, with one trace for each run however it was started."""

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
    """Traces the workflows and activities of a worker."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type["_RunTrace"]:  # noqa: A002 - the SDK's name
        """Called for each workflow."""
        super().workflow_interceptor_class(input)
        return _RunTrace


class _RunTrace(TracingWorkflowInboundInterceptor):
    """Gives a workflow that no traced client started a trace of its own, named by its first run.

    Without it the SDK joins the activities of a scheduled run to nothing. The id is the same in each replay and after
    each continue-as-new.
    """

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Called before the workflow begins."""
        super().init(outbound)
        info = outbound.info()
        if self.header_key not in info.headers:
            trace_id = UUID(info.first_execution_run_id).hex
            # https://www.w3.org/TR/trace-context/#traceparent-header
            self._workflow_context_carrier = {"traceparent": f"00-{trace_id}-{trace_id[16:]}-01"}


@contextmanager
def tracing(endpoint: str) -> Iterator[RunTracing]:
    """Sends traces to `endpoint` by OTLP over HTTP while it is open, and sends what is left at the end."""
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "tenant-inventory-worker"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    try:
        yield RunTracing(provider.get_tracer("tenant-inventory"))
    finally:
        provider.shutdown()
