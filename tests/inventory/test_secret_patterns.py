"""Secrets that no list names, detected by the names of properties and keys and by the shapes of values."""

import base64
import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from inventory.canonical import Canonicalizer, is_mark
from inventory.data_keys import DataKey
from inventory.differences import DifferenceKind, differences, exact_differences
from inventory.normal_form import NormalForm
from inventory.observation import ObservationRules, Observer
from inventory.secret_patterns import LEFT_OUT, has_secret, is_secret_name, readable
from tests.conftest import needs_graph_data
from tests.entry_tests import of_each
from tests.real_documents import real_documents

KEYED = Canonicalizer(by_nature=True, data_key=DataKey(b"key", "0" * 8))
SHOWN = Canonicalizer(by_nature=True, data_key=DataKey(b"key", "0" * 8), payloads=frozenset({"#type/payload"}))
KEYLESS = Canonicalizer(by_nature=True)

TEXTS = {
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nplanted\n-----END RSA PRIVATE KEY-----",
    "JSON web token": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.cGxhbnRlZC1zaWduYXR1cmU",
    "storage signature": "https://a.blob.core.windows.net/c/f.ps1?sv=2024-01-01&se=2030&sig=planted%2Bplanted%3D",
    "logic app": "https://flow.example/workflows/1/triggers/manual/paths/invoke?sp=run&sig=planted-signature",
    "function key": "https://functions.example/api/run?code=planted-function-key==",
    "storage connection": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=plantedplantedplanted==;",
    "service bus connection": "Endpoint=sb://a.example/;SharedAccessKeyName=root;SharedAccessKey=plantedplanted=",
    "database connection": "Server=db.example;Database=a;User Id=sa;Password=planted1;Encrypt=true",
    "password in an address": "curl https://deploy:planted1@files.example/agent.msi",
    "GitHub token": "ghp_" + "planted0" * 4 + "0000",
    "GitLab token": "token: glpat-" + "planted0planted0pl00",
    "Slack webhook": "https://hooks.slack.com/services/T000/B000/plantedplanted",
    "Teams webhook": "https://tenant.webhook.office.com/webhookb2/planted-planted/IncomingWebhook/1",
    "client secret of Entra ID": "secret abc8Q~" + "planted-planted-planted_planted.pl",
    "literal in PowerShell": '$ErrorActionPreference = "Stop"\n$adminPassword = "planted1"\n',
    "literal in a secure string": 'ConvertTo-SecureString "planted 1" -AsPlainText -Force',
    "literal in JSON": '{"server": "a.example", "apiKey": "planted1"}',
    "property list": "<dict><key>Password</key>\n<string>planted1</string></dict>",
    "Wi-Fi profile": "<WLANProfile><sharedKey><keyMaterial>planted1</keyMaterial></sharedKey></WLANProfile>",
    "password with spaces after a word": "wget --user=deploy --password planted1 https://files.example/a.msi",
    "parameter of PowerShell": "Set-LocalUser -Name admin -Password 'planted' -PasswordNeverExpires $true",
    "secure string, the other way round": "ConvertTo-SecureString -AsPlainText -Force -String 'planted'",
    "VPN key of PowerShell": "Add-VpnConnection -Name Office -L2tpPsk 'planted' -Force",
    "body of a form": "grant_type=client_credentials&client_id=a&client_secret=planted1",
    "key in an address": "https://api.example/agent?name=a&apikey=planted1",
    "header": "curl -H 'Authorization: Basic cGxhbnRlZDpwbGFudGVk'",
    "variable of a shell": "#!/bin/bash\nexport API_TOKEN=planted1\n",
    "quoted variable of a shell": '#!/bin/bash\nADMIN_PASS="planted"\n',
    "property of an installer": "msiexec /i agent.msi /qn CUSTOMERTOKEN=planted1",
    "option of an installer": "setup.exe /S /PASSWORD:planted1",
    "licence key of an installer": 'msiexec /i a.msi LICENSEKEY="planted" /qn',
    "product key": "slmgr.vbs /ipk PLANT-EDPLA-NTEDP-LANTE-DPLAN",
    "file of settings": "[proxy]\nuser = a\npassword = planted1\n",
    "YAML": "server: a.example\napi_key: planted1\n",
    "here-string": '$password = @"\nplanted\n"@\n',
    "block of YAML": "server: a.example\nclient_secret: >-\n  planted\n",
    "list of literals": '$passwords = @(\n  "planted1",\n  "planted2"\n)\n',
    "secure string over lines": 'ConvertTo-SecureString `\n  -String "planted" -AsPlainText -Force',
    "registry": "reg add HKLM\\Winlogon /v DefaultPassword /t REG_SZ /d planted1 /f",
    "pair in XML": '<add key="ApiSecret" value="planted"/>',
    "pair in JSON": '{"managedProperty": [{"key": "server_password", "valueString": "planted"}]}',
    "element of XML": "<Wifi><PreSharedKey>planted</PreSharedKey></Wifi>",
    "unattended installation": "<AutoLogon><Password><Value>planted</Value></Password></AutoLogon>",
    "property list with a key of an app": "<key>AuthKey</key>\n<string>planted</string>",
    "braces in a connection": "Driver={SQL};Server=a.example;Uid=sa;Pwd={planted};",
    "password of curl": "curl -u deploy:planted https://files.example/agent.msi",
    "password of net user": "net user localadmin planted! /add",
    "password of net use": "net use x: \\\\files.example\\share planted /user:example\\deploy",
    "password of a task": "schtasks /create /tn a /ru example\\deploy /rp planted /tr b.exe",
    "key of PuTTY": "PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 8\nplanted",
    "Google key": "key: AIza" + "planted0" * 4 + "pla",
    "npm token": "//registry.example/:_authToken=npm_" + "planted0" * 4 + "plan",
    "office configuration": '<Configuration><Product ID="Suite" PIDKEY="planted1"/></Configuration>',
}

HARMLESS = {
    "policy description": "Enforces that the password is at least 14 characters, and that no secret is stored.",
    "settings-catalog choice": "device_vendor_msft_policy_config_devicelock_minimumpasswordlength_1",
    "variable": '$password = "$env:PASSWORD"; $secret = "{{secret}}"',
    "read from a vault": "$secret = Get-AutomationVariable -Name apiSecretName",
    "block of YAML without a secret": "description: |\n  How a password is chosen.\npassword: |\n  ${PASSWORD}\n",
    "list of words": 'passwords = []; $tokens = @($first, $second); "keys": ["name", "title"]',
    "masked": "Server=db.example;Password=********;",
    "address": "https://learn.microsoft.com/en-us/entra/identity?tabs=password&view=graph-rest-1.0#reset-token",
    "certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "Base64 of a picture": base64.b64encode(bytes(range(256)) * 8).decode(),
    "parameters of a function": "param([string]$Password, [securestring]$Token) Set-ADAccountPassword -Reset",
    "asked for": "$password = Read-Host -AsSecureString; Get-Credential -Message 'Password'",
    "given by a variable": "agent --token $TOKEN --verbose; net user admin $env:PASSWORD; PASSWORD=$1",
    "given by an object": "New-LocalUser -Name admin -Password $credential.Password; connect(token=self.token)",
    "made anew": "Password = [System.Web.Security.Membership]::GeneratePassword(20, 3)",
    "name of an assembly": '<assemblyIdentity publicKeyToken="31bf3856ad364e35" language="neutral"/>',
    "requirement in XML": "<PasswordRequired>true</PasswordRequired><MinimumPassword>14</MinimumPassword>",
    "requirement in a property list": "<key>forcePIN</key><true/><key>minLength</key><integer>8</integer>",
    "variable in a property list": "<key>AuthToken</key><string>{{deviceid}}</string>",
    "accounts": "net user localadmin /active:no; net localgroup administrators example\\admins /add",
    "tool that runs as another": "sudo -u deploy curl -o a.msi https://files.example/a.msi",
    "two letters and a tilde": "C:\\PROGRA~1\\Example\\Q~\\file-with-a-long-name.txt",
}

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64 with a byte-order mark": lambda text: base64.b64encode(text.encode("utf-8-sig")).decode(),
    "Base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16")).decode(),
    "Base64 of UTF-16 without a mark": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
}


ENCODED = {
    f"{kind}, {encoding}": (text, encode) for kind, text in TEXTS.items() for encoding, encode in ENCODINGS.items()
}


@of_each(ENCODED)
def test_a_text_with_a_secret_is_hidden_in_every_place(entry: tuple[str, Callable[[str], str]]) -> None:
    plain, encode = entry
    text = encode(plain)
    for place in ({"a": text}, {"a": [{"b": {"c": text}}]}, {"a": [text, "b"]}, {"a": f"{text}"}):
        document: dict[str, Any] = {"id": "i", "displayName": "Policy", **place}
        written = KEYED.canonical(document)
        assert b'"in_text":true' in written
        assert orjson.dumps(text)[1:-1] not in written
        assert KEYED.canonical(orjson.loads(written)) == written


@of_each(ENCODED)
def test_payload_lines_without_a_secret_stay_readable(entry: tuple[str, Callable[[str], str]]) -> None:
    plain, encode = entry
    payload = encode(f"<!-- before -->\n{plain}\nWrite-Host after\n")
    written = SHOWN.canonical({"payload": payload})
    lines = orjson.loads(written)["payload"]["readable"].splitlines()
    assert lines[0] == "<!-- before -->"
    # The end of some keys cannot be detected.
    assert lines[-1] in ("Write-Host after", LEFT_OUT)
    assert LEFT_OUT in lines
    assert not re.search("plant|cGxhb", "\n".join(lines), re.IGNORECASE)
    assert SHOWN.canonical(orjson.loads(written)) == written
    assert "readable" not in orjson.loads(KEYED.canonical({"payload": payload}))["payload"]


def test_a_secret_repeated_on_other_lines_is_left_out_there() -> None:
    text = 'Write-Host "Sync"\n$password = "planted1"\nnet.exe use z: \\\\a\\b planted1\necho planted1\nexit 0\n'
    assert readable(text) == f'Write-Host "Sync"\n{LEFT_OUT}\nexit 0'


@pytest.mark.parametrize("secret", ["abc", "pin12", "planted1"])
def test_a_repeated_short_secret_is_left_out_twice(secret: str) -> None:
    text = f"<a><Password>{secret}</Password><b>kept</b><again>{secret}</again></a>"
    assert readable(text) == f"<a>\n{LEFT_OUT}\n<b>kept</b>\n{LEFT_OUT}\n</a>"


def test_a_multi_line_property_list_value_is_left_out_whole() -> None:
    text = "<dict>\n<key>Password</key>\n<data>\ncGxhbnRlZA\nZGV0bmFscA\n</data>\n<key>SSID</key>\n</dict>"
    assert readable(text) == f"<dict>\n{LEFT_OUT}\n<key>SSID</key>\n</dict>"


@of_each({kind: text for kind, text in TEXTS.items() if "\n" not in text and "><" not in text})
def test_a_single_line_text_with_a_secret_is_hidden_whole(text: str) -> None:
    assert readable(text) is None


def test_single_line_xml_is_left_out_element_by_element() -> None:
    text = (
        "<plist><dict><key>SSID</key><string>office</string><key>Password</key><string>planted1</string>"
        "<key>Again</key><string>planted1</string><key>Hidden</key><true/></dict></plist>"
    )
    assert readable(text) == (
        "<plist>\n<dict>\n<key>SSID</key>\n<string>office</string>\n(hidden)\n<key>Again</key>\n(hidden)\n"
        "<key>Hidden</key>\n<true/>\n</dict>\n</plist>"
    )


def test_readable_lines_do_not_count_as_content() -> None:
    document: dict[str, Any] = {"payload": "Write-Host 'a'\n$password = 'planted'\n"}
    stored: Any = SHOWN.canonical_value(document)
    kept = {name: value for name, value in stored["payload"].items() if name != "readable"}
    before: dict[str, Any] = {"payload": kept}
    assert before != stored
    assert NormalForm().hash(before) == NormalForm().hash(stored)
    assert exact_differences(before, stored) == []
    (found,) = differences(stored, SHOWN.canonical_value({"payload": "Write-Host 'a'\n$password = 'another'\n"}))
    masked = {"sensitive": True, "readable": f"Write-Host 'a'\n{LEFT_OUT}"}
    assert (found.kind, found.hidden, found.before, found.after) == (DifferenceKind.CHANGED, True, masked, masked)


@of_each(HARMLESS)
def test_a_text_without_a_secret_stays_unchanged(text: str) -> None:
    assert KEYED.canonical_value({"a": text, "b": base64.b64encode(text.encode()).decode()})["a"] == text
    assert not has_secret(base64.b64encode(text.encode()).decode())


@pytest.mark.parametrize(
    "name",
    ["password", "adDomainPassword", "clientSecret", "azureOperationalInsightsWorkspaceKey", "preSharedKey",
     "devicePin", "WiFi Password", "api_key", "storage-account-key", "enrollmentToken", "privateKey", "PIN",
     "connectionString", "wepKey", "authKey", "wpaPsk", "keyMaterial"],
)  # fmt: skip
def test_a_secret_is_detected_by_its_name(name: str) -> None:
    assert is_secret_name(name)
    documents: list[dict[str, Any]] = [
        {name: "x"}, {"a": [{name: "x"}]}, {"a": {"key": name, "value": "x"}}, {"a": {name: ["x"]}}
    ]  # fmt: skip
    for document in documents:
        assert b'"x"' not in KEYED.canonical(document)
        assert b'"x"' not in KEYLESS.canonical(document)


@pytest.mark.parametrize(
    "name",
    [
        "passwordMinimumLength",
        "tokenName",
        "spin",
        "keyUsage",
        "secretReferenceValueId",
        "displayName",
        "pinned",
        "psks",
    ],
)
def test_other_names_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)
    assert KEYED.canonical_value({name: "x"}) == {name: "x"}


def test_a_secret_name_hides_only_texts() -> None:
    document: dict[str, Any] = {"hasPassword": True, "passcode": None, "localAdminPassword": {"isEnabled": False}}
    assert KEYED.canonical_value(document) == document


def test_only_a_text_setting_with_a_secret_name_is_hidden() -> None:
    def setting(definition: str, value: object) -> dict[str, Any]:
        return {"settings": [{"settingInstance": {"settingDefinitionId": definition, "simpleSettingValue": value}}]}

    hidden = KEYED.canonical(setting("device_x_networkpassword", {"value": "planted1"}))
    assert b"planted1" not in hidden
    for kept in (setting("device_x_networkpassword", {"value": 5}), setting("device_x_networkname", {"value": "a"})):
        assert KEYED.canonical_value(kept) == kept
    placeholder = setting("com.apple.extensiblesso_registrationtoken", {"value": "{{DEVICEREGISTRATION}}"})
    assert KEYED.canonical_value(placeholder) == placeholder


@pytest.mark.parametrize("label", ["Password:", "Pre-shared key", "API token: *"])
def test_an_administrative_template_text_with_a_secret_label_is_hidden(label: str) -> None:
    def filled_in(label: str) -> dict[str, Any]:
        return {"presentationValues": [{"id": "1", "value": "planted", "presentation": {"label": label}}]}

    assert b"planted" not in KEYED.canonical(filled_in(label))
    assert KEYED.canonical_value(filled_in("Password length:")) == filled_in("Password length:")


@pytest.mark.parametrize("text", [TEXTS["GitHub token"], TEXTS["database connection"]])
def test_a_display_name_with_a_secret_is_dropped(text: str) -> None:
    observation = Observer(ObservationRules(type_key="a", meta={"x": ("note",)})).observe(
        {"id": "i", "displayName": text, "note": text}
    )
    assert observation.display_name is None
    assert text not in repr(observation)


def test_a_secret_added_to_a_text_is_a_change() -> None:
    clean, secret = "Write-Output 'a longer script'", TEXTS["literal in PowerShell"]
    before, after = KEYED.canonical_value({"body": clean}), KEYED.canonical_value({"body": secret})
    for old, new in ((before, after), (after, before)):
        (found,) = exact_differences(old, new)
        assert (found.kind, found.hidden, found.untold) == (DifferenceKind.CHANGED, True, False)
    (found,) = exact_differences({"body": secret}, after)
    assert found.untold


def test_an_edit_is_a_possible_change_behind_an_unchanged_mark() -> None:
    def observed(version: int | None, value: str, key: DataKey | None = None) -> dict[str, Any]:
        rules = ObservationRules(
            type_key="a", sensitive=frozenset({"omaSettings/value"}), volatile=frozenset({"version"})
        )
        document: dict[str, Any] = {"id": "i", "version": version, "omaSettings": [{"omaUri": "./A", "value": value}]}
        read: dict[str, Any] = orjson.loads(Observer(rules, data_key=key).observe(document).document)
        return read

    key = DataKey(b"key", "0" * 8)
    for old, new in (
        (observed(1, "a"), observed(2, "b")),
        (observed(1, "****", key), observed(2, "****", key)),
    ):
        (found,) = differences(old, new)
        assert (found.path, found.kind, found.hidden) == (
            "omaSettings[./A].value", DifferenceKind.MAY_HAVE_CHANGED, True,
        )  # fmt: skip
        assert (found.before, found.after) == (None, None)
    assert observed(1, "a") == observed(1, "b")
    assert observed(1, "same", key) == observed(2, "same", key)
    (found,) = exact_differences(observed(None, "a"), observed(2, "a"))
    assert found.untold
    assert is_mark(observed(1, "a")["omaSettings"][0]["value"])


@needs_graph_data
def test_secret_patterns_hide_values_of_few_real_documents() -> None:
    hidden = [
        (collection, document.get("name") or document.get("displayName"))
        for collection, document in real_documents()
        if KEYED.canonical(document) != Canonicalizer(data_key=DataKey(b"key")).canonical(document)
    ]
    assert {collection for collection, _ in hidden} <= {"deviceManagement/configurationPolicies"}
    assert len(hidden) <= 3
