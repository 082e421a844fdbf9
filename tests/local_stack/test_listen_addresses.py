"""The addresses on which the embedded servers listen, as the kernel lists them."""

import sys
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest

from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

LISTENS = "0A"


def listening(process: int | str) -> set[str]:
    """The addresses on which a process listens by TCP."""
    links: list[str] = []
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # the process has closed it meanwhile
            links.append(str(descriptor.readlink()))
    inodes = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENS and rest[5] in inodes:
                # Words of four bytes, each in the order of the machine.
                words = bytes.fromhex(local.partition(":")[0])
                found.add(str(ip_address(b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4)))))
    return found


def is_loopback(address: str) -> bool:
    parsed = ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


def test_temporal_its_web_ui_and_its_metrics_listen_on_loopback_only(temporal: EmbeddedTemporal) -> None:
    addresses = listening(temporal.child.pid)
    assert addresses
    assert all(is_loopback(address) for address in addresses), addresses


def test_postgres_listens_on_loopback_only(postgres: EmbeddedPostgres) -> None:
    assert listening(postgres.child.pid) == {"127.0.0.1"}


def test_the_simulated_graph_listens_on_loopback_only(graph: SimulatedGraph) -> None:
    assert graph.base_url.startswith("https://127.0.0.1:")
    assert all(is_loopback(address) for address in listening("self"))
