"""A long history with edits and Graph's rollouts of new properties: only the edits are changes."""

from collections import Counter
from copy import deepcopy
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from graph.catalog import load_catalog
from inventory.observation import Observer
from storage import documents, versions
from storage.database import Database
from tests.inventory.graph_noise import GraphNoise
from tests.storage.support import sync

COLLECTION = load_catalog().collections["deviceConfigurations"]
RUNS = 40

PROFILES: list[dict[str, Any]] = [
    {
        "@odata.type": "#microsoft.graph.iosVpnConfiguration",
        "id": f"10000000-0000-4000-8000-00000000000{number}",
        "displayName": f"VPN {number}",
        "createdDateTime": "2026-01-01T08:00:00Z",
        "lastModifiedDateTime": "2026-01-01T08:00:00Z",
        "version": 1,
        "description": None,
        "roleScopeTagIds": ["0", "1"],
        "safariDomains": [],
        "proxyServer": {"address": None, "port": None},
        "onDemandRules": [
            {"action": "disconnect", "ssids": ["office", "lab"], "dnsSearchDomains": ["b.example", "a.example"]},
            {"action": "connect", "ssids": [], "interfaceTypeMatch": "notConfigured"},
        ],
        "assignments": [
            {"id": f"{group}", "target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group}}
            for group in ("1f0c7a4e-0a51-4b0e-9d59-0b6f2f6a7c11", "9b2dd3a0-11aa-4c5e-8f00-5a1e6f0c7a4e")
        ],
    }
    for number in range(5)
]


def edited(profile: dict[str, Any], random: Random, run: int) -> dict[str, Any]:
    """The profile after one real edit."""
    profile = deepcopy(profile)
    edit = random.choice(["rules", "order", "search", "assigned", "described", "proxied"])
    rules = profile["onDemandRules"]
    if edit == "rules":
        rules[0]["ssids"] = [*rules[0]["ssids"], f"new {run}"]
    elif edit == "order":
        rules.reverse()
    elif edit == "search":
        next(rule for rule in rules if "dnsSearchDomains" in rule)["dnsSearchDomains"].reverse()
    elif edit == "assigned":
        profile["assignments"] = profile["assignments"][1:] or PROFILES[0]["assignments"]
    elif edit == "described":
        profile["description"] = f"as of {run}"
    else:
        profile["proxyServer"] = {"address": f"proxy{run}.example", "port": run}
    return profile


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
async def test_rollout_neither_adds_nor_hides_changes(database: Database, seed: int) -> None:
    random, tenant_id = Random(seed), uuid4()
    noise, observer = GraphNoise(random, COLLECTION.form), Observer(COLLECTION.observation_rules())
    held, edits, first_served = list(PROFILES), Counter[str](), dict[bytes, bytes]()
    for run in range(RUNS):
        chosen = set(random.sample(range(len(held)), random.randrange(3))) if run else set()
        held = [edited(item, random, run) if number in chosen else item for number, item in enumerate(held)]
        observations = [observer.observe(noise.serve(document))._replace(list_hash=None) for document in held]
        for entry in observations:
            first_served.setdefault(entry.content_hash, entry.document)
        merged = await sync(
            database, tenant_id, observations, COLLECTION.type_key, comparability=COLLECTION.comparability
        )
        assert merged.changed == len(chosen), f"run {run}"
        edits.update(held[number]["id"] for number in chosen)
        async with database.tenant(tenant_id, read_only=True) as session:
            for number in chosen:
                item = COLLECTION.type_key, held[number]["id"]
                newest = (await versions.history(session, *item))[0]
                stored = await documents.document(session, *item, newest.version)
                assert stored == first_served[observations[number].content_hash], "as Graph first served this content"
    async with database.tenant(tenant_id, read_only=True) as session:
        for profile in held:
            kept = await versions.history(session, COLLECTION.type_key, profile["id"])
            assert len(kept) == 1 + edits[profile["id"]]
    assert edits.total() > RUNS / 2
