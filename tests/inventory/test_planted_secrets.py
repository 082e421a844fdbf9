"""Plants every known kind of secret in documents, and searches for it in all derived data."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.canonical import Canonicalizer
from inventory.data_keys import DataKey
from inventory.differences import differences
from inventory.document_parts import Part, assemble, canonical_part
from inventory.exact_json import JsonObject
from inventory.normal_form import NormalForm, likeness_hash
from inventory.observation import Observation, ObservationRules, Observer

PLACES: dict[str, dict[str, Any]] = {
    "OMA-URI value": {"omaSettings": [{"omaUri": "./Vendor", "displayName": "Key", "value": "SECRET"}]},
    "Wi-Fi key": {"@odata.type": "#microsoft.graph.windowsWifiConfiguration", "preSharedKey": "SECRET"},
    "VPN secret": {"@odata.type": "#microsoft.graph.iosVpnConfiguration", "server": {"sharedSecret": "SECRET"}},
    "certificate password": {"certificates": {"password": "SECRET", "thumbprint": "x"}},
    "PFX blob": {"@odata.type": "#microsoft.graph.importedPfx", "encryptedPfxBlob": "SECRET"},
    "token": {"tokens": ["SECRET", "SECRET2"], "tokenName": "public"},
    "script body": {"fileName": "x.ps1", "scriptContent": "SECRET"},
    "settings-catalog secret": {
        "settings": [
            {
                "settingInstance": {
                    "settingDefinitionId": "d",
                    "simpleSettingValue": {
                        "@odata.type": "#microsoft.graph.deviceManagementConfigurationSecretSettingValue",
                        "value": "SECRET",
                    },
                }
            }
        ]
    },
    "name": {"hiddenName": "SECRET"},
}
RULES = ObservationRules(
    type_key="a",
    name_field="hiddenName",
    has_details=True,
    sensitive=frozenset(
        {
            "omaSettings/value",
            "preSharedKey",
            "#microsoft.graph.iosVpnConfiguration/server",
            "certificates/password",
            "#microsoft.graph.importedPfx/encryptedPfxBlob",
            "tokens",
            "scriptContent",
            "#microsoft.graph.deviceManagementConfigurationSecretSettingValue/value",
            "hiddenName",
        }
    ),
    meta={
        "script": ("scriptContent",),
        "tokens": ("tokens",),
        "key": ("preSharedKey",),
        "pfx": ("encryptedPfxBlob",),
    },
)
OBSERVERS = {"keyed": Observer(RULES, data_key=DataKey(b"key")), "keyless": Observer(RULES)}

secrets = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=5).map(lambda text: f"planted-{text}")


def planted(place: dict[str, Any], secret: str) -> dict[str, Any]:
    """A document with the secret in its place."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(child) for name, child in value.items()}
        if isinstance(value, list):
            return [filled(member) for member in value]
        return value.replace("SECRET", secret) if isinstance(value, str) else value

    return {"id": "6f0c8f5e-0000-4000-8000-000000000001", "displayName": "Policy", **filled(place)}


def all_fields(observation: Observation) -> bytes:
    """All fields of an observation as one text."""
    return repr(observation).encode() + observation.document


def assert_nowhere(secret: str, kept: bytes) -> None:
    assert b"planted" not in kept
    assert secret.encode() not in kept
    assert orjson.dumps(secret)[1:-1] not in kept


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("observer", OBSERVERS.values(), ids=OBSERVERS)
@given(secret=secrets)
def test_an_observation_holds_no_planted_secret(observer: Observer, place: dict[str, Any], secret: str) -> None:
    observation = observer.observe(planted(place, secret))
    assert_nowhere(secret, all_fields(observation))
    assert b'"sensitive"' in observation.document


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@given(before=secrets, after=secrets)
def test_a_changed_secret_is_detected_and_not_shown(place: dict[str, Any], before: str, after: str) -> None:
    observed_before, observed_after = (OBSERVERS["keyed"].observe(planted(place, secret)) for secret in (before, after))
    changed = before != after
    assert (observed_before.content_hash != observed_after.content_hash) is changed
    likeness_before, likeness_after = (
        likeness_hash(observation.document, observation.external_id, NormalForm())
        for observation in (observed_before, observed_after)
    )
    assert (likeness_before != likeness_after) is changed
    assert (observed_before.list_hash != observed_after.list_hash) is changed
    found = differences(orjson.loads(observed_before.document), orjson.loads(observed_after.document))
    assert [difference.hidden for difference in found] == [True] * changed
    assert_nowhere(before, repr(found).encode())
    assert_nowhere(after, repr(found).encode())
    for digits in ("sensitive", "before='", "after='"):
        assert digits not in repr(found)


@given(secrets)
def test_a_secret_in_a_detail_answer_is_not_stored(secret: str) -> None:
    canonicalizer = Canonicalizer(sensitive=RULES.sensitive, data_key=DataKey(b"key"))
    for place in PLACES.values():
        document = planted(place, secret)
        listed: JsonObject = {name: document[name] for name in ("id", "@odata.type") if name in document}
        answers = [
            Part(None, document, single=True),
            *(Part(name, value) for name, value in document.items() if isinstance(value, list)),
        ]
        stored = [canonical_part(canonicalizer, part, listed) for part in answers]
        assert_nowhere(secret, repr(stored).encode())
        assert canonicalizer.canonical(assemble(listed, stored)) == canonicalizer.canonical(document)
