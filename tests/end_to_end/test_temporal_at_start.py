"""Temporal refuses or ignores a command or a worker that starts: one line names the remedy."""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import trustme
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from configuration import load_settings
from connections import UnreachableError, connect_temporal
from local.temporal import EmbeddedTemporal
from temporal_errors import refusal
from tests.end_to_end.system import CommandResult, System
from tests.forks import Fork
from tests.namespaces import new_namespace, search_attributes_of
from tests.refusing_temporal import RefusingTemporal
from worker import WORKFLOWS, Failure, check, ended
from workflows.search_attributes import ALL, type_name

ADDING_BY_HAND = " ".join(f"--name {key.name} --type {type_name(key)}" for key in ALL)
LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) \S+ ")


def assert_one_line(result: CommandResult, code: int, *words: str) -> None:
    """The command's whole output is one line, without colours."""
    assert result.code == code, (result.code, result.stderr)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("error: ")
    assert "\x1b" not in result.stderr
    for word in words:
        assert word in result.stderr


def worker(system: System, *arguments: str, **environment: str) -> CommandResult:
    """Runs a worker that ends by itself."""
    log = system.folder / "ended-worker.log"
    fork = Fork(
        "worker.py",
        arguments,
        environment={**system.environment, **environment},
        folder=system.folder,
        stdout=log,
        stderr=log,
    )
    return CommandResult(fork.wait(600), "", log.read_text())


@pytest.mark.parametrize(
    "command",
    [
        ["sync", "Contoso", "--type", "groups", "--no-wait"],
        ["portfolio", "sync", "--all-tenants", "--type", "groups", "--no-wait"],
        ["schedule", "set", "hourly", "--all-tenants", "--type", "groups", "--every", "1h"],
    ],
)
async def test_start_adds_missing_search_attributes(
    system: System, temporal: EmbeddedTemporal, command: list[str]
) -> None:
    namespace = await new_namespace(temporal)
    result = system.starter(*command, TEMPORAL_NAMESPACE=namespace, SENSITIVE_FIELDS_KEY="")
    assert (result.code, result.stderr) == (0, "")
    client = await Client.connect(temporal.address, namespace=namespace)
    assert await search_attributes_of(client) == {key.name for key in ALL}


async def test_search_attribute_of_another_type_is_refused(system: System, temporal: EmbeddedTemporal) -> None:
    namespace = await new_namespace(temporal)
    client = await Client.connect(temporal.address, namespace=namespace)
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=namespace, search_attributes={"RunStatus": IndexedValueType.INDEXED_VALUE_TYPE_INT}
        )
    )
    result = system.starter("sync", system.tenant.name, "--type", "groups", TEMPORAL_NAMESPACE=namespace)
    assert_one_line(result, 1, "has search attributes of other types: RunStatus", "TEMPORAL_NAMESPACE")


def test_permission_error_names_the_commands_that_add_search_attributes(system: System) -> None:
    # GetSystemInfo, DescribeNamespace and ListSearchAttributes, which lists none, succeed.
    with RefusingTemporal(RPCStatusCode.PERMISSION_DENIED, accepted=3) as refusing:
        result = system.starter("sync", system.tenant.name, "--type", "groups", TEMPORAL_ADDRESS=refusing.address)
    assert_one_line(
        result,
        1,
        "lacks the search attributes TenantId, TenantName, Selection, SelectionHash, RunStatus, ErrorCodes",
        f"temporal operator search-attribute create --namespace default {ADDING_BY_HAND}",
        "tcld namespace search-attributes add --namespace default --search-attribute TenantId=Keyword",
    )


def test_start_continues_if_search_attributes_cannot_be_listed(system: System) -> None:
    message = "Namespace default has no mapping defined for search attribute TenantId"
    error = RPCError(message, RPCStatusCode.INVALID_ARGUMENT, b"")
    assert f"temporal operator search-attribute create --namespace inv {ADDING_BY_HAND}" in refusal(error, "a", "inv")
    # A refused ListSearchAttributes does not stop the command; the next refusal is that of the start itself.
    with RefusingTemporal(RPCStatusCode.UNIMPLEMENTED, accepted=2) as refusing:
        result = system.starter("sync", system.tenant.name, "--type", "groups", TEMPORAL_ADDRESS=refusing.address)
    assert_one_line(result, 1, f"Temporal at {refusing.address} does not know the request")


def test_unknown_namespace_error_names_the_create_command(system: System) -> None:
    result = system.starter("sync", system.tenant.name, "--all", TEMPORAL_NAMESPACE="none")
    assert_one_line(result, 1, "has no namespace 'none'", "temporal operator namespace create --namespace none")


@pytest.mark.parametrize("accepted", [0, 1])
@pytest.mark.parametrize("status", RPCStatusCode)
async def test_each_rpc_status_is_one_short_line(status: RPCStatusCode, accepted: int) -> None:
    with (
        RefusingTemporal(status, accepted=accepted) as refusing,
        pytest.raises(UnreachableError, match=f"^Temporal at {refusing.address} ") as raised,
    ):
        await connect_temporal({"target_host": refusing.address})
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    "command",
    [
        ["cancel", "Contoso", "--type", "groups"],
        ["portfolio", "sync", "--all-tenants", "--type", "groups"],
        ["schedule", "list"],
        ["schedule", "pause", "hourly"],
        ["limits"],
        ["sync", "Contoso", "--type", "groups"],
    ],
)
def test_refused_call_is_one_error_line(system: System, command: list[str]) -> None:
    with RefusingTemporal(RPCStatusCode.UNAUTHENTICATED, accepted=2) as refusing:
        result = system.starter(*command, TEMPORAL_ADDRESS=refusing.address, TENANT_INVENTORY_DEBUG="1")
    assert_one_line(result, 1, f"Temporal at {refusing.address} does not accept the credentials")


@pytest.mark.slow
def test_command_does_not_print_retries_of_a_call(system: System) -> None:
    # The SDK retries a passing error for ten seconds, and logs each retry from the fifth on.
    with RefusingTemporal(RPCStatusCode.UNAVAILABLE, accepted=2) as refusing:
        result = system.starter("cancel", "Contoso", "--type", "groups", TEMPORAL_ADDRESS=refusing.address)
    assert_one_line(result, 1, f"Temporal at {refusing.address} is unavailable")


def test_server_message_becomes_one_printable_line() -> None:
    error = RPCError("one\nother\x1b[31m" + "x" * 1000, RPCStatusCode.INTERNAL, b"")
    words = refusal(error, "temporal:7233", "default")
    assert words.isprintable()
    assert words.startswith("Temporal at temporal:7233 failed (INTERNAL: one other")
    assert len(words) < 300


def test_a_server_that_cannot_write_to_its_database_is_not_called_absent() -> None:
    words = refusal(RPCError("shard status unknown", RPCStatusCode.UNAVAILABLE, b""), "temporal:7233", "default")
    assert words == (
        "Temporal at temporal:7233 cannot write to its own database (shard status unknown); its log says why; if that"
        " database's disk is full, free space there"
    )


async def test_silent_server_is_reported_after_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connections.ANSWER_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=f"does not answer at {address} within 1 seconds"):
            await connect_temporal({"target_host": address})


@contextmanager
def tls_server(authority: trustme.CA) -> Iterator[str]:
    """The address of a server that speaks only TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    listener = socket.create_server(("127.0.0.1", 0))
    Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_tls_mismatch_is_one_error_line(system: System, tmp_path: Path) -> None:
    command = ("sync", system.tenant.name, "--all")
    words = ("do not agree about TLS", "TEMPORAL_TLS")
    assert_one_line(system.starter(*command, TEMPORAL_TLS="true"), 1, *words)
    with tls_server(trustme.CA()) as address:
        # Such a server closes the connection or, on a busy machine, does not answer.
        assert_one_line(system.starter(*command, TEMPORAL_ADDRESS=address), 1, "TEMPORAL_TLS")
        assert_one_line(system.starter(*command, TEMPORAL_ADDRESS=address, TEMPORAL_TLS="true"), 1, *words)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for name in ("TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_PATH"):
        assert_one_line(system.starter(*command, **{name: str(nonsense)}), 1, *words)


@pytest.mark.parametrize("address", ["http://localhost:7233", "localhost", "localhost:port", "a b:7233"])
def test_malformed_address_is_refused(system: System, address: str) -> None:
    result = system.starter("sync", system.tenant.name, "--all", TEMPORAL_ADDRESS=address)
    assert_one_line(result, 2, f"TEMPORAL_ADDRESS: {address!r} is not an address", "host:port")


def test_unknown_host_is_one_error_line(system: System) -> None:
    result = system.starter("sync", system.tenant.name, "--all", TEMPORAL_ADDRESS="temporal.invalid:7233")
    assert_one_line(result, 1, "Temporal's host is not known: temporal.invalid:7233")


def test_worker_without_permission_for_schedules_ends_with_an_error(system: System) -> None:
    with RefusingTemporal(RPCStatusCode.PERMISSION_DENIED, accepted=2) as refusing:
        result = worker(system, TEMPORAL_ADDRESS=refusing.address, SWEEP_INTERVAL_SECONDS="300")
    assert result.code == 1
    # The SDK's thread may still log the same refusal after the worker's line.
    [line] = [line for line in result.stderr.splitlines() if not LOGGED.match(line)]
    assert line.startswith("worker: Temporal does not let this worker keep a schedule (PERMISSION_DENIED)")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_worker_ends_with_an_error_if_its_polls_are_refused(system: System) -> None:
    # The SDK retries refused polls for a minute.
    with RefusingTemporal(RPCStatusCode.PERMISSION_DENIED, accepted=5) as refusing:
        result = worker(system, TEMPORAL_ADDRESS=refusing.address)
    assert result.code == 1
    lines = result.stderr.splitlines()
    [line] = [line for line in lines if not LOGGED.match(line)]
    assert line.startswith(f"worker: Temporal at {refusing.address} denies access to namespace 'default'")
    assert any("temporalio.core" in line for line in lines), "the SDK's log lines have the same form"
    assert "\x1b" not in result.stderr


async def test_a_worker_ends_after_a_fatal_error_even_if_its_shutdown_hangs() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    failure = Failure()
    working = asyncio.create_task(hang())
    await failure.tell(RuntimeError("refused"))
    with pytest.raises(RuntimeError, match="refused"):
        await ended(working, failure, timedelta(0))
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_check_builds_the_workers_parts_and_starts_nothing(
    system: System, temporal: EmbeddedTemporal, tmp_path: Path
) -> None:
    namespace = await new_namespace(temporal)
    result = worker(system, "--check", TEMPORAL_NAMESPACE=namespace, SWEEP_INTERVAL_SECONDS="300")
    assert (result.code, result.stderr) == (0, "")
    client = await Client.connect(temporal.address, namespace=namespace)
    assert await search_attributes_of(client) == set()
    assert [listed.id async for listed in await client.list_schedules()] == []

    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    result = worker(system, "--check", GRAPH_CA_FILE=str(nonsense))
    assert result.code == 2, "the client for Graph is built"
    assert result.stderr.startswith("worker: ")


async def test_a_check_builds_the_worker_itself(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in system.environment.items():
        monkeypatch.setenv(name, value)
    await check(load_settings())
    monkeypatch.setattr("worker.WORKFLOWS", (*WORKFLOWS, WORKFLOWS[0]))
    with pytest.raises(ValueError, match="More than one workflow named"):
        await check(load_settings())
