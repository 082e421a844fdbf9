"""Lines about what an answer rests on."""

from uuid import UUID

import pytest

from answers.coverage.records import UnreadCollections
from cli.basis_lines import say_unread


def test_unread_collections_of_many_tenants_take_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    tenants = [UUID(int=number) for number in range(1, 301)]
    reasons = ("failed:graph_throttled", "failed:graph_permission_missing", "incomplete:listing_unproven", "never_read")
    keys = [f"collection{number}" for number in range(8)]
    found = [UnreadCollections(reason=reason, type_keys=keys, tenant_ids=tenants) for reason in reasons]
    say_unread(found, lambda tenant_id: f"T{tenant_id.int}")
    first, *others, last = capsys.readouterr().err.splitlines()
    named = "collection0, collection1, collection2, collection3, collection4, collection5 and 2 more"
    assert first == f"not read of T1, T10, T100 and 297 more: {named} (failed:graph_throttled)"
    assert len(others) == 2
    assert last == "not read for 1 more reason; --json names all"
