"""The Helm chart: the manifests that `make chart` renders, as Kubernetes would run them."""

import fcntl
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from configuration import known_names
from inventory.version import VERSION
from tests.deadlines import DEADLINE_SECONDS
from tests.forks import CHECKOUT
from worker import GRACEFUL_SHUTDOWN

pytestmark = pytest.mark.timeout(1800)

CHART = CHECKOUT / "deploy" / "helm"
TOOLS = CHECKOUT / "build" / "chart"

Manifest = Mapping[str, Any]


@pytest.fixture(scope="module")
def rendered() -> Mapping[str, Sequence[Manifest]]:
    """The manifests that `make chart` rendered, by the name of the values."""
    TOOLS.parent.mkdir(exist_ok=True)
    with (TOOLS.parent / "chart.lock").open("w") as lock:
        # Processes of a parallel run would install into the same folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = subprocess.run(
            ["make", "--no-print-directory", "chart"],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
        assert result.returncode == 0, result.stderr
        found: Mapping[str, Sequence[Manifest]] = json.loads((TOOLS / "rendered.json").read_text())
    assert set(found) == {"least", "all"}
    return found


def kinds(manifests: Sequence[Manifest]) -> list[str]:
    return sorted(f"{manifest['kind']} {manifest['metadata']['name']}" for manifest in manifests)


def manifest_named(manifests: Sequence[Manifest], name: str) -> Any:
    (found,) = (manifest for manifest in manifests if f"{manifest['kind']} {manifest['metadata']['name']}" == name)
    return found


def pods(manifests: Sequence[Manifest]) -> Iterator[Any]:
    """The specifications of pods."""
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "Job"}:
            yield manifest["spec"]["template"]["spec"]


def environment(pod: Any) -> dict[str, Any]:
    (container,) = pod["containers"]
    names = [entry["name"] for entry in container["env"]]
    assert len(names) == len(set(names))
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


@pytest.mark.slow
def test_the_least_values_render_migrations_and_workers(rendered: Mapping[str, Sequence[Manifest]]) -> None:
    assert kinds(rendered["least"]) == [
        "Deployment inventory-worker",
        "Job inventory-migrations",
        "NetworkPolicy inventory",
        "PodDisruptionBudget inventory-worker",
    ]


@pytest.mark.slow
def test_migrations_run_first_as_the_owner(rendered: Mapping[str, Sequence[Manifest]]) -> None:
    for manifests in rendered.values():
        job = manifest_named(manifests, "Job inventory-migrations")
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        (pod,) = pods([job])
        assert pod["containers"][0]["command"][1:] == ["starter.py", "database", "upgrade"]
        assert environment(pod) == {
            "DATABASE_URL": {"secretKeyRef": {"name": "tenant-inventory-database", "key": "owner-url"}}
        }


@pytest.mark.slow
def test_pods_have_no_unneeded_rights(rendered: Mapping[str, Sequence[Manifest]]) -> None:
    every = [pod for manifests in rendered.values() for pod in pods(manifests)]
    assert len(every) == 5
    for pod in every:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.slow
def test_settings_are_known_and_secrets_come_by_reference(rendered: Mapping[str, Sequence[Manifest]]) -> None:
    for manifests in rendered.values():
        for pod in pods(manifests):
            found = environment(pod)
            unknown = {name for name in found if name not in known_names() and not name.startswith("TEMPORAL_TLS_")}
            assert unknown == set()
            for name in ("DATABASE_URL", "SENSITIVE_FIELDS_KEY", "PAYLOAD_KEYS", "TEMPORAL_API_KEY"):
                assert isinstance(found.get(name, {}), dict), name
    (worker,) = pods([manifest_named(rendered["all"], "Deployment inventory-worker")])
    assert {"PAYLOAD_KEYS", "TEMPORAL_API_KEY", "WORKER_BUILD_ID"} <= environment(worker).keys()
    assert not any(manifest["kind"] == "Secret" for manifest in rendered["all"])


@pytest.mark.slow
def test_workers_scale_with_temporals_backlog_and_have_time_to_stop(rendered: Mapping[str, Sequence[Manifest]]) -> None:
    deployment = manifest_named(rendered["all"], "Deployment inventory-worker")
    assert "replicas" not in deployment["spec"], "the autoscaler sets the number of replicas"
    assert manifest_named(rendered["least"], "Deployment inventory-worker")["spec"]["replicas"] == 2
    (pod,) = pods([deployment])
    assert pod["terminationGracePeriodSeconds"] > GRACEFUL_SHUTDOWN.total_seconds() + 15
    assert pod["containers"][0]["livenessProbe"]["httpGet"]["path"] == "/metrics"
    scaled = manifest_named(rendered["all"], "ScaledObject inventory-worker")["spec"]
    assert scaled["scaleTargetRef"]["name"] == "inventory-worker"
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "temporal"
    assert {name: trigger["metadata"][name] for name in ("endpoint", "namespace", "taskQueue", "queueTypes")} == {
        "endpoint": environment(pod)["TEMPORAL_ADDRESS"],
        "namespace": environment(pod)["TEMPORAL_NAMESPACE"],
        "taskQueue": environment(pod)["TEMPORAL_TASK_QUEUE"],
        "queueTypes": "workflow,activity",
    }
    authentication = manifest_named(rendered["all"], f"TriggerAuthentication {trigger['authenticationRef']['name']}")
    assert [part["parameter"] for part in authentication["spec"]["secretTargetRef"]] == ["apiKey", "cert", "key"]


@pytest.mark.slow
def test_the_page_is_reachable_only_through_its_ingress(rendered: Mapping[str, Sequence[Manifest]]) -> None:
    manifests = rendered["all"]
    (pod,) = pods([manifest_named(manifests, "Deployment inventory-web")])
    (container,) = pod["containers"]
    assert container["command"][3:] == [
        "--listen=0.0.0.0",
        "--behind-proxy=inventory.example.com",
        "--proxy-address=10.0.0.0/28",
        "--proxy-address=10.0.1.0/28",
    ]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
    selector = manifest_named(manifests, "Service inventory-web")["spec"]["selector"]
    labels = manifest_named(manifests, "Deployment inventory-web")["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    policy = manifest_named(manifests, "NetworkPolicy inventory")["spec"]
    assert {"Ingress", "Egress"} == set(policy["policyTypes"])
    assert [rule["ports"][0]["port"] for rule in policy["ingress"]] == ["metrics", "http"]
    assert "ingress" not in manifest_named(rendered["least"], "NetworkPolicy inventory")["spec"], (
        "workers accept no connections"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("image.repository", "image.repository is the image in your registry"),
        ("temporal.address", "temporal.address is host:port"),
        ("web.hostname", "web.hostname is the name"),
        ("web.proxyAddresses", "web.proxyAddresses are those of the ingress controller"),
        ("web.ingress.tlsSecret", "nothing goes over the network in clear"),
    ],
)
def test_a_missing_value_is_named_in_the_error(
    rendered: Mapping[str, Sequence[Manifest]], path: str, message: str
) -> None:
    program = (
        "import importlib.machinery as m, importlib.util as u, sys\n"
        "spec = u.spec_from_loader('check', m.SourceFileLoader('check', 'deploy/check-chart'))\n"
        "check = u.module_from_spec(spec); spec.loader.exec_module(check)\n"
        "*path, last = sys.argv[1].split('.')\n"
        "part = check.ALL\n"
        "for name in path: part = part[name]\n"
        "del part[last]\n"
        "check.rendered(check.ALL)\n"
    )
    result = subprocess.run(
        [TOOLS / "bin" / "python", "-B", "-c", program, path],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert result.returncode == 1
    assert message in result.stderr


def test_the_chart_has_the_version_of_this_release() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == VERSION


def test_the_kubernetes_page_names_each_secret_of_the_chart() -> None:
    page = (CHECKOUT / "docs" / "kubernetes.md").read_text()
    secrets = yaml.safe_load((CHART / "values.yaml").read_text())["secrets"]
    named = {secrets["tenants"], *(entry["name"] for entry in secrets.values() if isinstance(entry, dict))} - {""}
    assert named <= set(re.findall(r"[a-z-]+", page))
