"""A worker's traces, as a collector receives them: OTLP over HTTP."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.end_to_end.system import System


class Collector(ThreadingHTTPServer):
    """Keeps the requests that it receives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.received: list[ExportTraceServiceRequest] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.received
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


def test_run_is_one_trace_of_workflow_and_activities(system: System) -> None:
    with collecting() as collector:
        system.environment["TRACES_ENDPOINT"] = collector.endpoint
        worker = system.start_worker()
        record = system.sync("--type", "deviceCompliancePolicies")
        worker.ask_to_stop()
        assert worker.wait() == 0, "it sends the remaining spans at its end"
    spans = {span.name: span for span in collector.spans()}
    run = spans["RunWorkflow:SyncWorkflow"]
    attributes = {attribute.key: attribute.value.string_value for attribute in run.attributes}
    assert attributes["temporalWorkflowID"] == record.workflow_id
    names = {span.name for span in collector.spans() if span.trace_id == run.trace_id}
    assert {f"RunActivity:{name}" for name in ("begin_run", "read_wave", "upsert_items", "finish_run")} <= names
    (service,) = {
        attribute.value.string_value
        for request in collector.received
        for of_resource in request.resource_spans
        for attribute in of_resource.resource.attributes
        if attribute.key == "service.name"
    }
    assert service == "tenant-inventory-worker"
    sent = b"".join(request.SerializeToString() for request in collector.received)
    assert system.tenant.client_secret.encode() not in sent
    assert system.tenant.documents("deviceManagement/deviceCompliancePolicies")[0]["displayName"].encode() not in sent
