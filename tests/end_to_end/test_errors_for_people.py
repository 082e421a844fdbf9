"""A user's mistakes: one line with the remedy, the right exit code, no traceback, no secret."""

from pathlib import Path
from uuid import UUID

import pytest

from local.processes import free_port
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.end_to_end.system import SEEDS, CommandResult, System

SECRET = "hunter2-hunter2"


def assert_one_line(result: CommandResult, code: int, *words: str) -> None:
    """Exactly one line of stderr is the error, and nothing shows a traceback or a secret."""
    assert result.code == code, (result.code, result.stderr)
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    for word in words:
        assert word in line
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stderr


def test_wrong_secret_is_explained_once_and_never_shown(system: System) -> None:
    secret_file = system.folder / "secrets" / str(system.tenant.id)
    secret_file.write_text(SECRET)
    system.start_worker()
    result = system.starter("sync", system.tenant.name, "--all")
    assert result.code == 4
    assert result.stdout.count("auth_failed") == 1
    assert len(result.stdout.splitlines() + result.stderr.splitlines()) < 20
    words = " ".join(result.stdout.split())
    assert words.count("the client secret is wrong") == 1
    assert words.count("Check the tenant's entry in the tenants file") == 1
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    for text in (result.stdout, result.stderr, system.logs()):
        assert SECRET not in text
        assert "Traceback" not in text
    again = system.starter("sync", system.tenant.name, "--type", "groups", "--json")
    assert again.code == 4
    assert again.run().collections["groups"].context["aadsts"] == 7000215


def test_unknown_tenant_is_refused_with_the_known_names(system: System) -> None:
    assert_one_line(system.starter("sync", "nobody", "--all"), 2, "unknown tenant 'nobody'", system.tenant.name)


def test_unknown_type_key_is_refused_with_a_suggestion(system: System) -> None:
    result = system.starter("sync", system.tenant.name, "--type", "deviceConfiguration")
    assert_one_line(result, 2, "unknown type key 'deviceConfiguration'", "did you mean 'deviceConfigurations'?")


def test_unknown_category_is_refused(system: System) -> None:
    assert_one_line(system.starter("sync", system.tenant.name, "--category", "none"), 2, "unknown category 'none'")


def test_empty_selection_is_refused(system: System) -> None:
    assert_one_line(system.starter("sync", system.tenant.name), 2, "--type KEY, --category NAME or --all")


@pytest.mark.parametrize(
    "command", [["sync", "Contoso", "--all"], ["items", "Contoso"], ["runs"], ["database", "upgrade"]]
)
def test_unreachable_database_is_one_error_line(system: System, command: list[str]) -> None:
    url = f"postgresql://user:{SECRET}@127.0.0.1:{free_port()}/db"
    assert_one_line(
        system.starter(*command, DATABASE_URL=url), 1, "nothing listens at the host and port of DATABASE_URL"
    )


def test_empty_database_error_names_the_upgrade_command(system: System, empty_database_url: str) -> None:
    result = system.starter("runs", DATABASE_URL=empty_database_url)
    assert_one_line(result, 1, "python starter.py database upgrade")


def test_unreachable_temporal_error_names_its_address(system: System) -> None:
    address = f"127.0.0.1:{free_port()}"
    result = system.starter("sync", system.tenant.name, "--all", TEMPORAL_ADDRESS=address)
    assert_one_line(result, 1, f"Temporal does not answer at {address}", "TEMPORAL_ADDRESS")


def test_unreachable_graph_fails_the_run_with_a_remedy(
    temporal: EmbeddedTemporal, database_url: str, tmp_path: Path
) -> None:
    with (
        SimulatedGraph(tenants=1, seed=next(SEEDS)) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        system.environment["GRAPH_BASE_URL"] = f"https://127.0.0.1:{free_port()}"
        system.environment["GRAPH_PATIENCE_SECONDS"] = "2"
        system.start_worker()
        result = system.starter("sync", system.tenant.name, "--type", "groups")
    assert result.code == 4
    assert "graph_unavailable: 1 failed" in result.stdout
    assert "Check the network" in " ".join(result.stdout.split())
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[[tenant]\n", ["not valid TOML"]),
        ('[[tenant]]\nid = "x"\nname = "Contoso"\n', ["Contoso", "id"]),
        ("tenant = 1\n", ["[[tenant]]"]),
        ("[[tenants]]\n", ["unknown table 'tenants'"]),
        (
            f'[[tenant]]\nid = "{UUID(int=1)}"\nname = "c"\nclient_id = "a"\nclient_secret = "{SECRET}"\n',
            ["client_secret", "client_secret_env"],
        ),
    ],
)
def test_malformed_tenants_file_is_refused(system: System, content: str, words: list[str]) -> None:
    path = system.folder / "broken.toml"
    path.write_text(content)
    assert_one_line(system.starter("sync", "Contoso", "--all", TENANTS_FILE=str(path)), 2, "broken.toml", *words)


def test_absent_tenants_file_is_refused(system: System) -> None:
    assert_one_line(system.starter("sync", "Contoso", "--all", TENANTS_FILE="none.toml"), 2, "none.toml: no such file")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "", "DATABASE_URL is not set"),
        ("DATABASE_URL", f"mysql://user:{SECRET}@host/db", "does not start with postgresql://"),
        ("GRAPH_BASE_URL", "http://plain", "must begin with https://"),
        ("GRAPH_PROXY_URL", f"socks5://user:{SECRET}@host:1080", "must be http://host:port"),
        ("RUNS_PER_TENANT", "many", "RUNS_PER_TENANT"),
        ("GRAPH_CA_FILE", "none.pem", "there is no file none.pem"),
    ],
)
def test_malformed_setting_is_refused(system: System, name: str, value: str, words: str) -> None:
    assert_one_line(system.starter("runs", **{name: value}), 2, words)


def test_unknown_setting_in_env_file_is_refused_with_a_suggestion(system: System) -> None:
    (system.folder / ".env").write_text("DATABSE_URL=x\n")
    assert_one_line(system.starter("runs"), 2, "unknown setting DATABSE_URL", "did you mean DATABASE_URL?")


def test_malformed_run_id_is_refused(system: System) -> None:
    assert_one_line(
        system.starter("run", "latest"), 2, "'latest' is neither a run id nor 4 or more characters of its beginning"
    )


def test_unknown_run_id_is_refused(system: System) -> None:
    assert_one_line(system.starter("run", "00000000-0000-0000-0000-000000000000"), 2, "there is no run")


def test_cancel_without_a_run_under_way_is_refused(system: System) -> None:
    assert_one_line(system.starter("cancel", system.tenant.name, "--all"), 2, "no such run is under way")


def test_unknown_selection_hash_is_refused(system: System) -> None:
    assert_one_line(system.starter("missing", system.tenant.name, "--selection", "abc"), 2, "'abc'")


def test_unknown_option_is_a_usage_error(system: System) -> None:
    result = system.starter("runs", "--nonsense")
    assert result.code == 2
    assert "--nonsense" in result.stderr


def test_follower_reports_that_no_worker_is_polling(system: System) -> None:
    follower = system.begin("sync", system.tenant.name, "--type", "groups")
    follower.wait_for_line("no worker is polling")
    system.start_worker()
    assert follower.finished().code == 0
