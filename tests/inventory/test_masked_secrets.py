"""Secrets of the settings catalog: Graph shows a new token at each read, so only an edit of the item may change one."""

from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.drift.evaluation import drift_rules
from answers.drift.rules import DriftDocument, deviations
from graph.catalog import load_catalog
from inventory.canonical import Canonicalizer
from inventory.changed_fields import changed_fields
from inventory.data_keys import DataKey
from inventory.differences import DifferenceKind
from inventory.exact_json import decode, encode
from inventory.normal_form import likeness_hash
from inventory.observation import Observation, Observer

SECRET = "#microsoft.graph.deviceManagementConfigurationSecretSettingValue"
COLLECTIONS = sorted(key for key, entry in load_catalog().collections.items() if entry.masked)
KEYS = [None, DataKey(b"key", "0a1b2c3d")]

HELD = [
    {
        "id": "0",
        "settingInstance": {
            "settingDefinitionId": "a",
            "simpleSettingValue": {"@odata.type": SECRET, "value": "TOKEN"},
        },
    }
]

secrets = st.just({"@odata.type": SECRET, "value": "TOKEN", "valueState": "encryptedValueToken"})
unset = st.just({"@odata.type": SECRET, "value": None, "valueState": None})
plain = st.integers(0, 3).map(lambda value: {"@odata.type": "#microsoft.graph.plain", "value": value})
instances = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"settingDefinitionId": st.sampled_from("abc"), "simpleSettingValue": secrets}),
        st.fixed_dictionaries({"settingDefinitionId": st.sampled_from("abc"), "simpleSettingValue": unset | plain}),
        st.fixed_dictionaries({
            "settingDefinitionId": st.sampled_from("abc"),
            "simpleSettingCollectionValue": st.lists(secrets | plain, max_size=3),
        }),
    ),
    lambda inner: st.fixed_dictionaries({
        "settingDefinitionId": st.sampled_from("abc"),
        "groupSettingCollectionValue": st.lists(
            st.fixed_dictionaries({"children": st.lists(inner, max_size=2)}), max_size=2
        ),
    }),
    max_leaves=6,
)  # fmt: skip
settings = st.lists(instances, max_size=4).map(
    lambda instances: [{"id": str(number), "settingInstance": instance} for number, instance in enumerate(instances)]
)


def read(type_key: str, held: list[Any], data_key: DataKey | None = None, **signs: Any) -> Observation:
    """A policy with these settings as a run reads it, with new tokens."""
    document = {"id": str(UUID(int=1)), "lastModifiedDateTime": "2026-01-01T08:00:00Z", "settings": held, **signs}
    written = encode(document)
    while b'"TOKEN"' in written:
        written = written.replace(b'"TOKEN"', f'"{uuid4()}"'.encode(), 1)
    graph_object: Any = decode(written)
    observer = Observer(load_catalog().collections[type_key].observation_rules(), data_key=data_key)
    return observer.observe(graph_object)._replace(list_hash=None)


def as_earlier_release(type_key: str, observed: Observation) -> bytes:
    """The document as an earlier release stored it: without masked values."""
    document: Any = decode(observed.document)
    return Canonicalizer(volatile=load_catalog().collections[type_key].masked).canonical(document)


def changes_and_certainty(type_key: str, before: bytes, after: bytes) -> tuple[list[DifferenceKind], list[bool]]:
    """The kinds of changes between two stored documents, and whether each deviation of drift is certain."""
    changed = changed_fields(
        cast("dict[str, Any]", decode(before)),
        cast("dict[str, Any]", decode(after)),
        load_catalog().collections[type_key].comparability,
    )
    deviating = deviations(DriftDocument(before), DriftDocument(after), drift_rules(type_key))
    assert all(difference.hidden for difference in changed)
    return [difference.kind for difference in changed], [deviation.is_certain for deviation in deviating]


@pytest.mark.parametrize("type_key", COLLECTIONS)
@given(held=settings, data_key=st.sampled_from(KEYS))
def test_new_tokens_are_no_change_but_an_edit_may_be(type_key: str, held: list[Any], data_key: DataKey | None) -> None:
    first, again = read(type_key, held, data_key), read(type_key, held, data_key)
    assert (first.content_hash, first.document) == (again.content_hash, again.document)

    edited = read(type_key, held, data_key, lastModifiedDateTime="2026-02-01T08:00:00Z")
    has_secret = SECRET.encode() in encode(held)
    assert (edited.content_hash != first.content_hash) is has_secret
    kinds, are_certain = changes_and_certainty(type_key, first.document, edited.document)
    assert set(kinds) == ({DifferenceKind.MAY_HAVE_CHANGED} if has_secret else set())
    assert set(are_certain) == ({False} if has_secret else set())


@pytest.mark.parametrize("type_key", COLLECTIONS)
@given(held=settings)
def test_a_version_stored_without_masked_values_shows_no_difference(type_key: str, held: list[Any]) -> None:
    now = read(type_key, held)
    before = as_earlier_release(type_key, now)
    assert (b'"sensitive"' in before, b'"TOKEN"' in now.document) == (False, False)
    assert changes_and_certainty(type_key, before, now.document) == ([], [])


def test_a_version_number_outranks_the_modification_time() -> None:
    first = read("reusablePolicySettings", HELD, version=1)
    touched = read("reusablePolicySettings", HELD, version=1, lastModifiedDateTime="2026-02-01T08:00:00Z")
    edited = read("reusablePolicySettings", HELD, version=2, lastModifiedDateTime="2026-02-01T08:00:00Z")
    assert first.content_hash == touched.content_hash != edited.content_hash


def test_a_recreated_policy_has_the_same_likeness_despite_new_tokens() -> None:
    form = load_catalog().collections["configurationPolicies"].form
    old, new = (
        read("configurationPolicies", HELD, lastModifiedDateTime=f"2026-0{month}-01T08:00:00Z") for month in (1, 2)
    )
    assert old.content_hash != new.content_hash
    assert likeness_hash(old.document, old.external_id, form) == likeness_hash(new.document, new.external_id, form)
