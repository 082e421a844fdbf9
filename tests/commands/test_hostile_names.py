"""Names that steer a terminal: no command that prints names passes them on, and JSON has them exactly."""

import re
from unicodedata import category

import orjson
import pytest

from local.simulated_graph import SimulatedGraph
from tests.end_to_end.system import System

STEERING = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2028error: forged\u200d\r\n\x7f[red]:smile:[/]"
NAME = f"Policy {STEERING}"
OTHER = f"Renamed {STEERING}"
UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
PATH = "deviceManagement/deviceConfigurations"
TYPE = "deviceConfigurations"


def assert_clean(text: str) -> None:
    found = {one for one in text if category(one) in UNSEEN and one != "\n"}
    assert not found, sorted(map(ascii, found))
    assert "\nerror: forged" not in text


@pytest.fixture
def item(system: System, graph: SimulatedGraph) -> str:
    """An item with a hostile name that was renamed to another one, refers to nobody, and is in both tenants."""
    ids = [
        tenant.add(PATH, {"@odata.type": "#microsoft.graph.windows10GeneralConfiguration", "displayName": NAME})
        for tenant in graph.tenants
    ]
    system.start_worker()
    for tenant in graph.tenants:
        assert system.starter("sync", tenant.name, "--type", TYPE, "--type", "groups").code == 0
    one, _ = graph.tenants
    assert system.starter("baseline", "set", one.name, "agreed").code in (0, 3)
    graph.tenants[0].rename(PATH, ids[0], OTHER)
    assert system.starter("sync", one.name, "--type", TYPE, "--type", "groups").code == 0
    return ids[0]


def test_no_command_prints_what_steers_a_terminal(system: System, graph: SimulatedGraph, item: str) -> None:
    one, other = (tenant.name for tenant in graph.tenants)
    asked = [
        ["items", one, "--type", TYPE],
        ["versions", one, TYPE, item],
        ["show", one, TYPE, OTHER],
        ["diff", one, TYPE, item],
        ["changes", one, "--since", "2020-01-01"],
        ["compare", one, other, "--type", TYPE, "--fields"],
        ["compare", "--golden", one, "--all", "--type", TYPE],
        ["drift", one],
        ["unassigned", one],
        ["dependencies", one, TYPE, item],
        ["dependencies", one, TYPE, item, "--format", "mermaid"],
        ["dependencies", one, TYPE, item, "--format", "dot"],
        ["export", one, str(system.folder / "exported"), "--type", TYPE],
        ["show", one, TYPE, f"nobody {STEERING}"],
    ]
    said = ""
    for arguments in asked:
        done = system.starter(*arguments, FORCE_COLOR="", TTY_COMPATIBLE="0")
        assert "Traceback" not in done.stderr
        if arguments[0] != "show":  # a pipe gets the document as it is
            assert_clean(done.stdout)
        assert_clean(done.stderr)
        said += done.stdout
    listed = system.starter("items", one, "--type", TYPE, "--json")
    assert OTHER in [orjson.loads(line)["display_name"] for line in listed.stdout.rstrip("\n").split("\n")]
    system.graph.tenants[0].remove(PATH, item)
    assert system.starter("sync", one, "--type", TYPE, "--type", "groups").code == 0
    missing = system.starter("missing", one)
    assert_clean(missing.stdout)
    for text in (said, missing.stdout):
        assert "[red]:smile:[/]" in text, "no markup, and no emoji's name"
    assert re.search("Renamed \ufffd\\[2J", said), "a mark shows that something was there"
