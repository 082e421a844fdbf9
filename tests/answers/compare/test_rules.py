"""Matching the items of two tenants, and comparing the items of a pair."""

import copy
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.compare.records import MatchedBy, Status
from answers.compare.rules import (
    AmbiguousGroup,
    Entry,
    MatchResult,
    Verdict,
    matched_by_content,
    matched_by_name,
    told_apart_by_content,
    verdict,
)
from graph.catalog import load_catalog
from inventory.canonical import Canonicalizer, JsonObject, JsonValue
from inventory.data_keys import DataKey
from inventory.references import WORDS, path_of
from inventory.tenant_neutral import (
    OWN_ID,
    TENANT_ID,
    IdTranslation,
    NeutralDocument,
    Neutralizer,
    TenantNeutralRules,
    Uncertainty,
    UnresolvedReason,
    meaning_text,
)
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

COLLECTIONS = load_catalog().collections
POLICIES = Neutralizer(COLLECTIONS["deviceCompliancePolicies"].independence_rules())
ACCESS = Neutralizer(COLLECTIONS["conditionalAccessPolicies"].independence_rules())
LIFETIMES = Neutralizer(COLLECTIONS["tokenLifetimePolicies"].independence_rules())
HERE, THERE = str(UUID(int=1 << 90)), str(UUID(int=2 << 90))
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

entries = st.lists(
    st.builds(
        Entry,
        external_id=st.integers(0, 9).map(str),
        name=st.sampled_from([None, "", "A", "a ", " A", "B", "B  c", "b C"]),
        kind=st.sampled_from(["x", "y"]),
        likeness=st.sampled_from([None, b"1", b"2"]),
    ),
    max_size=8,
    unique_by=lambda entry: entry.external_id,
)


def guid(number: int) -> str:
    return str(UUID(int=number + (7 << 100)))


def translations(**names: str) -> Any:
    """Translates the ids that have names; all others are unknown."""
    known = {guid(int(number.removeprefix("n"))): name for number, name in names.items()}

    def translate(target_types: tuple[str, ...], target_id: str) -> IdTranslation:
        if target_id in known:
            return IdTranslation(known[target_id])
        return IdTranslation(None, UnresolvedReason.UNKNOWN, is_shared="directoryRoleDefinitions" in target_types)

    return translate


def neutral(rules: Neutralizer, document: JsonObject, translate: Any = None, **options: Any) -> NeutralDocument:
    own = str(document.get("id", ""))
    return rules.of(document, {own: OWN_ID}, translate or translations(), **options)


def assigned(*numbers: int) -> list[Any]:
    kind = "#microsoft.graph.groupAssignmentTarget"
    return [{"id": f"x_{number}", "target": {"@odata.type": kind, "groupId": guid(number)}} for number in numbers]


def ids(entries: list[Entry]) -> list[str]:
    return sorted(entry.external_id for entry in entries)


def mirrored(matching: MatchResult) -> Any:
    return (
        sorted((pair.there.external_id, pair.here.external_id, pair.by) for pair in matching.pairs),
        sorted((ids(group.there), ids(group.here), group.by) for group in matching.ambiguous),
        ids(matching.only_there),
        ids(matching.only_here),
    )


def as_ids(matching: MatchResult) -> Any:
    return (
        sorted((pair.here.external_id, pair.there.external_id, pair.by) for pair in matching.pairs),
        sorted((ids(group.here), ids(group.there), group.by) for group in matching.ambiguous),
        ids(matching.only_here),
        ids(matching.only_there),
    )


def sides(matching: MatchResult) -> tuple[list[str], list[str]]:
    """The ids of all items of each side, with repetitions."""
    here = [pair.here for pair in matching.pairs] + [
        candidate for group in matching.ambiguous for candidate in group.here
    ]
    there = [pair.there for pair in matching.pairs] + [entry for group in matching.ambiguous for entry in group.there]
    return ids(here + matching.only_here), ids(there + matching.only_there)


@given(entries, entries)
def test_matching_uses_each_item_once_and_is_symmetric(here: list[Entry], there: list[Entry]) -> None:
    for matching, back in (
        (matched_by_name(here, there), matched_by_name(there, here)),
        (matched_by_content(here, there, names_tell=True), matched_by_content(there, here, names_tell=True)),
        (matched_by_content(here, there, names_tell=False), matched_by_content(there, here, names_tell=False)),
    ):
        assert sides(matching) == (ids(here), ids(there))
        assert as_ids(back) == mirrored(matching)
        assert all(pair.here.kind == pair.there.kind for pair in matching.pairs)


@given(entries, entries)
def test_resolving_an_ambiguous_group_is_symmetric(here: list[Entry], there: list[Entry]) -> None:
    group = AmbiguousGroup(here, there, MatchedBy.NAME)
    found = told_apart_by_content(group)
    assert sides(found) == (ids(here), ids(there))
    assert as_ids(told_apart_by_content(AmbiguousGroup(there, here, MatchedBy.NAME))) == mirrored(found)


def test_exact_names_match_before_names_in_other_letters() -> None:
    here = [Entry("1", "Pilot", "x"), Entry("2", "Ring  one", "x"), Entry("3", "Pilot", "y")]
    there = [Entry("4", "pilot", "x"), Entry("5", "Pilot", "x"), Entry("6", "ring one ", "x"), Entry("7", "Pilot", "z")]
    assert as_ids(matched_by_name(here, there)) == (
        [("1", "5", MatchedBy.NAME), ("2", "6", MatchedBy.NAME_IN_OTHER_LETTERS)],
        [],
        ["3"],
        ["4", "7"],
    )


def test_duplicate_names_match_by_equal_content_then_by_elimination() -> None:
    first, second = Entry("1", "A", "x", likeness=b"1"), Entry("2", "A", "x", likeness=b"2")
    twin, stranger = Entry("3", "A", "x", likeness=b"1"), Entry("4", "A", "x", likeness=b"3")
    assert as_ids(told_apart_by_content(AmbiguousGroup([first, second], [twin], MatchedBy.NAME))) == (
        [("1", "3", MatchedBy.NAME)], [], ["2"], []
    )  # fmt: skip
    by_elimination = told_apart_by_content(AmbiguousGroup([first, second], [twin, stranger], MatchedBy.NAME))
    assert as_ids(by_elimination)[0] == [("1", "3", MatchedBy.NAME), ("2", "4", MatchedBy.NAME)]
    (group,) = told_apart_by_content(AmbiguousGroup([first, second], [stranger], MatchedBy.NAME)).ambiguous
    assert (ids(group.here), ids(group.there)) == (["1", "2"], ["4"])


def test_duplicate_content_is_ambiguous_unless_names_are_ids() -> None:
    here = [Entry("1", "A", "x", likeness=b"1"), Entry("2", "B", "x", likeness=b"1")]
    there = [Entry("3", "C", "x", likeness=b"1")]
    assert as_ids(matched_by_content(here, there, names_tell=True))[1] == [(["1", "2"], ["3"], MatchedBy.CONTENT)]
    assert as_ids(matched_by_content(here, there, names_tell=False)) == ([("1", "3", MatchedBy.CONTENT)], [], ["2"], [])


def test_singletons_match_under_any_name() -> None:
    here, there = [Entry("1", "Contoso", "x", is_only_one=True)], [Entry("2", "Fabrikam", "x", is_only_one=True)]
    assert as_ids(matched_by_name(here, there))[0] == [("1", "2", MatchedBy.TYPE)]


def test_ids_and_dates_are_ignored_and_groups_are_compared_by_name() -> None:
    here: JsonObject = {
        "id": guid(100),
        "displayName": "P",
        "createdDateTime": "2025-01-01T00:00:00Z",
        "assignments": assigned(1, 2),
        "scheduledActionsForRule": [{"id": guid(101), "ruleName": "r"}],
        "note": f"see {guid(100)}",
    }
    there: JsonObject = {
        "id": guid(200),
        "displayName": "P",
        "createdDateTime": "2026-01-01T00:00:00Z",
        "assignments": assigned(4, 3),
        "scheduledActionsForRule": [{"id": guid(201), "ruleName": "r"}],
        "note": f"see {guid(200)}",
    }
    neutral_here = neutral(POLICIES, here, translations(n1="Pilot", n2="Staff"))
    neutral_there = neutral(POLICIES, there, translations(n3="Pilot", n4="Staff"))
    assert verdict(neutral_here, neutral_there, POLICIES) == Verdict(Status.SAME, [], frozenset())
    elsewhere = neutral(POLICIES, there, translations(n3="Pilot", n4="Guests"))
    found = verdict(neutral_here, elsewhere, POLICIES)
    assert found.status is Status.DIFFERENT
    assert {difference.path for difference in found.differences} == {
        "assignments[group Staff]",
        "assignments[group Guests]",
    }


def test_an_unresolved_id_proves_neither_equality_nor_difference() -> None:
    here = neutral(POLICIES, {"id": guid(100), "assignments": assigned(1)})
    found = verdict(here, here, POLICIES)
    assert (found.status, found.uncertain) == (Status.UNDECIDED, frozenset({Uncertainty.UNRESOLVED_REFERENCE}))
    named_there = neutral(POLICIES, {"id": guid(200), "assignments": assigned(2)}, translations(n2="Pilot"))
    found = verdict(here, named_there, POLICIES)
    assert (found.status, len(found.differences)) == (Status.UNDECIDED, 2)
    two_there = neutral(
        POLICIES, {"id": guid(200), "assignments": assigned(2, 3)}, translations(n2="Pilot", n3="Staff")
    )
    assert verdict(here, two_there, POLICIES).status is Status.DIFFERENT, (
        "one id differs from two, whatever the ids mean"
    )
    edited = neutral(POLICIES, {"id": guid(200), "level": 1, "assignments": assigned(2)})
    assert verdict(here, edited, POLICIES).status is Status.DIFFERENT


def test_ids_assigned_by_microsoft_need_no_translation() -> None:
    def roles(*numbers: int) -> JsonObject:
        return {"conditions": {"users": {"includeRoles": [guid(number) for number in numbers]}}}

    assert verdict(neutral(ACCESS, roles(1)), neutral(ACCESS, roles(1)), ACCESS).status is Status.SAME
    other = verdict(neutral(ACCESS, roles(1)), neutral(ACCESS, roles(2)), ACCESS)
    assert other.status is Status.UNDECIDED, "a role of the tenant's own may have either name"


def test_the_same_content_under_another_name_is_renamed() -> None:
    original, renamed = (neutral(POLICIES, {"displayName": name, "level": 1}) for name in ("Pilot", "pilot"))
    assert verdict(original, renamed, POLICIES).status is Status.RENAMED
    assert POLICIES.likeness(original) == POLICIES.likeness(renamed)


def test_incomplete_documents_are_compared_by_shared_properties() -> None:
    whole: JsonObject = {"displayName": "P", "level": 1, "script": "x", "settings": [{"a": 1}]}
    listed: JsonObject = {"displayName": "P", "level": 1, "script": None}
    complete, incomplete = neutral(POLICIES, whole), neutral(POLICIES, listed, details_complete=False)
    for found in (verdict(complete, incomplete, POLICIES), verdict(incomplete, complete, POLICIES)):
        assert found == Verdict(Status.UNDECIDED, [], frozenset({Uncertainty.DETAILS_INCOMPLETE}))
    edited = neutral(POLICIES, {**listed, "level": 2}, details_complete=False)
    found = verdict(complete, edited, POLICIES)
    assert (found.status, [difference.path for difference in found.differences]) == (Status.DIFFERENT, ["level"])


@pytest.mark.parametrize("applies_to", [[], [{"id": guid(1)}]])
def test_a_detail_read_for_one_item_only_is_no_difference(applies_to: list[JsonValue]) -> None:
    listed: JsonObject = {"displayName": "P", "level": 1}
    whole: JsonObject = {**listed, "appliesTo": applies_to}
    known = translations(n1="App")
    with_detail, without_detail = neutral(LIFETIMES, whole, known), neutral(LIFETIMES, listed)
    for found in (verdict(with_detail, without_detail, LIFETIMES), verdict(without_detail, with_detail, LIFETIMES)):
        assert found == Verdict(Status.UNDECIDED, [], frozenset({Uncertainty.DETAIL_NOT_READ}))
    found = verdict(with_detail, neutral(LIFETIMES, {**listed, "level": 2}), LIFETIMES)
    assert (found.status, [difference.path for difference in found.differences]) == (Status.DIFFERENT, ["level"])
    assert verdict(without_detail, without_detail, LIFETIMES).status is Status.SAME, "both were read by one release"
    assert verdict(with_detail, with_detail, LIFETIMES).status is Status.SAME
    more = neutral(
        LIFETIMES, {**listed, "appliesTo": [*applies_to, {"id": guid(2)}]}, translations(n1="App", n2="Other")
    )
    assert verdict(with_detail, more, LIFETIMES).status is Status.DIFFERENT


def test_hidden_values_are_compared_by_keyed_hash_only() -> None:
    keyed = Canonicalizer(sensitive=frozenset({"secret"}), data_key=DataKey(b"key"))
    bare = Canonicalizer(sensitive=frozenset({"secret"}))

    def hidden(canonicalizer: Canonicalizer, secret: str) -> NeutralDocument:
        return neutral(POLICIES, canonicalizer.canonical_value({"secret": secret}))

    assert verdict(hidden(keyed, "x"), hidden(keyed, "x"), POLICIES).status is Status.SAME
    changed = verdict(hidden(keyed, "x"), hidden(keyed, "y"), POLICIES)
    assert (changed.status, changed.differences[0].hidden) == (Status.DIFFERENT, True)
    for here, there in ((hidden(bare, "x"), hidden(bare, "x")), (hidden(bare, "x"), hidden(keyed, "x"))):
        found = verdict(here, there, POLICIES)
        assert (found.status, found.uncertain) == (Status.UNDECIDED, frozenset({Uncertainty.HIDDEN_WITHOUT_KEY}))
    plain = verdict(hidden(keyed, "x"), neutral(POLICIES, {"secret": "x"}), POLICIES)
    assert (plain.status, plain.uncertain) == (Status.UNDECIDED, frozenset({Uncertainty.HIDDEN_ON_ONE_SIDE}))


def test_values_hidden_under_two_keys_are_undecided_but_other_differences_count() -> None:
    names = frozenset({"user", "password"})
    keys = [Canonicalizer(sensitive=names, data_key=DataKey(b"%d" % number, f"{number:08x}")) for number in range(9)]

    def hidden(canonicalizer: Canonicalizer, *ports: int) -> NeutralDocument:
        # Only its port distinguishes a member: most of its values are hidden.
        proxies: list[JsonValue] = [{"port": port, "user": f"u{port}", "password": "p"} for port in ports]
        return neutral(POLICIES, canonicalizer.canonical_value({"proxies": proxies}))

    here = hidden(keys[0], 1, 2, 3, 4)
    for key in keys[1:]:
        found = verdict(here, hidden(key, 1, 2, 3, 4), POLICIES)
        assert (found.status, found.uncertain) == (Status.UNDECIDED, frozenset({Uncertainty.HIDDEN_UNDER_TWO_KEYS}))
        found = verdict(here, hidden(key, 1, 2, 3, 4, 5), POLICIES)
        assert (found.status, found.uncertain) == (Status.DIFFERENT, frozenset({Uncertainty.HIDDEN_UNDER_TWO_KEYS}))


def test_a_secret_that_graph_does_not_show_is_undecided() -> None:
    setting: JsonObject = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationSecretSettingValue",
        "valueState": "set",
    }
    policy = neutral(POLICIES, {"settings": [setting]})
    assert verdict(policy, policy, POLICIES) == Verdict(Status.UNDECIDED, [], frozenset({Uncertainty.SECRET_NOT_SHOWN}))


@pytest.mark.parametrize(
    ("name", "kind", "says", "text"),
    [
        ("Pilot", None, None, "Pilot"),
        ("Portal", "Win32 app", None, "Portal (Win32 app)"),
        ("Any", "Filter", {"platform": "iOS", "rule": "(x)"}, "Filter: platform iOS; rule (x)"),
        ("HQ", "IP", {"isTrusted": True, "ipRanges": [{"cidrAddress": "a"}, {"cidrAddress": "b"}]},
         "IP: isTrusted true; ipRanges a, b"),
        ("All", None, None, '"All"'),
        ("email_x", None, None, '"email_x"'),
        (None, "Groups", None, None),
    ],
)  # fmt: skip
def test_an_id_translates_to_its_objects_properties_or_name(name: Any, kind: Any, says: Any, text: Any) -> None:
    assert meaning_text(name, kind, says) == text


@given(st.text(min_size=250, max_size=300), st.text(max_size=3))
def test_long_id_translations_stay_distinct(text: str, more: str) -> None:
    assert (meaning_text(text, None) == meaning_text(text + more, None)) is (more == "")


TYPE_KEYS = {
    "deviceAppManagement/mobileApps": "mobileApps",
    "deviceManagement/compliancePolicies": "compliancePolicies",
    "deviceManagement/configurationPolicies": "configurationPolicies",
    "deviceManagement/deviceCompliancePolicies": "deviceCompliancePolicies",
    "deviceManagement/deviceConfigurations": "deviceConfigurations",
    "deviceManagement/groupPolicyConfigurations": "groupPolicyConfigurations",
    "deviceManagement/intents": "intents",
    "groups": "groups",
    "identity/conditionalAccess/namedLocations": "namedLocations",
    "identity/conditionalAccess/policies": "conditionalAccessPolicies",
}


def stored_real_documents() -> Iterator[tuple[str, JsonObject]]:
    """Real documents as they are stored, each with its type key."""
    for path, document in real_documents():
        type_key = TYPE_KEYS.get(path)
        if type_key is not None:
            rules = COLLECTIONS[type_key].observation_rules()
            canonicalizer = Canonicalizer(
                volatile=rules.volatile, sensitive=rules.sensitive, ordered=rules.ordered, data_key=DataKey(b"key")
            )
            yield type_key, canonicalizer.canonical_value(document)


def copied(value: Any, rules: TenantNeutralRules, fresh: dict[str, str], source: random.Random, path: str = "") -> Any:
    """The same configuration in another tenant: other ids and dates everywhere, arrays in another order."""
    if isinstance(value, dict):
        return {
            name: copied(child, rules, fresh, source, f"{path}.{name}" if path else name)
            for name, child in reversed(value.items())
        } | {"@odata.context": source.random()}
    if isinstance(value, list):
        members = [copied(member, rules, fresh, source, path) for member in value]
        if not rules.form.is_sequence(path.rpartition(".")[2], value):
            source.shuffle(members)
        return members
    if not isinstance(value, str):
        return value
    *_, parent, name = ("", *path.split("."))
    if name == "createdDateTime":
        return f"20{source.randrange(10, 99)}-01-01T00:00:00Z"
    is_identity = path == rules.id_field or f"{parent}/{name}" in rules.identity or name in rules.identity
    is_reference = path in {path_of(rule) for rule in rules.references}
    if (is_identity or is_reference) and value not in WORDS:
        return GUID.sub(lambda match: fresh.setdefault(match[0], str(UUID(int=source.getrandbits(128)))), value)
    return value


def translate_all(names: dict[str, str]) -> Any:
    return lambda _, target_id: IdTranslation(
        "object " + GUID.sub(lambda match: names.get(match[0], match[0]), target_id)
    )


@needs_graph_data
def test_a_real_document_with_fresh_ids_differs_only_where_edited() -> None:
    source = random.Random(7)
    counts: Counter[str] = Counter()
    for type_key, document in stored_real_documents():
        rules = Neutralizer(COLLECTIONS[type_key].independence_rules())
        fresh: dict[str, str] = {}
        copy_there = copied(document, rules.rules, fresh, source)
        names = {new: old for old, new in fresh.items()}
        own, other = str(document.get("id")), str(copy_there.get("id"))
        original = rules.of(document, {own: OWN_ID, HERE: TENANT_ID}, translate_all({}))
        twin = rules.of(copy_there, {other: OWN_ID, THERE: TENANT_ID}, translate_all(names))
        found = verdict(original, twin, rules)
        assert found.differences == [], (type_key, own)
        assert found.status is (Status.UNDECIDED if found.uncertain else Status.SAME)
        assert found.uncertain <= {Uncertainty.SECRET_NOT_SHOWN}
        edited = rules.of(
            {**copy.deepcopy(copy_there), "description": "edited"},
            {other: OWN_ID, THERE: TENANT_ID},
            translate_all(names),
        )
        found = verdict(original, edited, rules)
        assert (found.status, [difference.path for difference in found.differences]) == (
            Status.DIFFERENT,
            ["description"],
        )
        counts[type_key] += 1
    assert set(counts) == set(TYPE_KEYS.values())


@needs_graph_data
def test_differences_of_real_documents_are_symmetric_and_quote_their_values() -> None:
    by_kind: dict[tuple[str, Any], list[JsonObject]] = {}
    for type_key, document in stored_real_documents():
        by_kind.setdefault((type_key, document.get("@odata.type")), []).append(document)
    compared = 0
    for (type_key, _), alike in by_kind.items():
        rules = Neutralizer(COLLECTIONS[type_key].independence_rules())
        documents = [
            rules.of(document, {str(document.get("id")): OWN_ID}, translate_all({})) for document in alike[:12]
        ]
        for first, second in combinations(documents, 2):
            there, back = verdict(first, second, rules), verdict(second, first, rules)
            assert there.status is back.status
            assert bool(there.differences) is (first.canonical != second.canonical)
            old_text, new_text = json.dumps(first.document), json.dumps(second.document)
            for difference in there.differences:
                if difference.path.endswith("]") or difference.hidden:
                    continue
                assert difference.before is None or json.dumps(difference.before) in old_text, difference
                assert difference.after is None or json.dumps(difference.after) in new_text, difference
            compared += 1
    assert compared > 300
