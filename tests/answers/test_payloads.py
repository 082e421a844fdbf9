"""`show`, `diff` and `export --decoded` of custom profiles and OMA-URI values stored in clear."""

import base64
import plistlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from graph.catalog import load_catalog
from inventory.data_keys import DataKey
from inventory.exact_json import JsonObject
from inventory.observation import Observation, Observer
from storage.database import Database
from tests.cli.command_line import CommandLine
from tests.storage.support import sync

PROFILES = "deviceConfigurations"
TENANT = UUID(int=77)
POLICY = "./Device/Vendor/MSFT/Policy/Config"


def profile(kind: str, external_id: str, **properties: Any) -> Observation:
    """An object as a worker with a data key and SHOW_PAYLOADS stores it."""
    rules = load_catalog().collections[PROFILES].observation_rules(show_payloads=True)
    observer = Observer(rules.model_copy(update={"has_details": False}), data_key=DataKey(b"key"))
    return observer.observe(
        {"@odata.type": f"#microsoft.graph.{kind}", "id": external_id, "displayName": external_id, **properties}
    )


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def oma(kind: str, uri: str, value: Any) -> JsonObject:
    return {"@odata.type": f"#microsoft.graph.omaSetting{kind}", "description": None, "omaUri": uri, "value": value}


def windows(edition: int) -> Observation:
    policies = f'<policies><policy name="{edition}"></policy></policies>'
    admx = f'<policyDefinitions revision="1.0">{policies}</policyDefinitions>'
    return profile(
        "windows10CustomConfiguration",
        "windows",
        omaSettings=[
            oma("Integer", f"{POLICY}/System/AllowTelemetry", edition),
            oma("String", "./Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/Edge", admx),
            oma("String", f"{POLICY}/Edge/HomepageLocation", f'<enabled/><data id="Home" value="{edition}"/>'),
            oma("StringXml", "./Vendor/MSFT/Wlan", encoded(f"<wlan>\n\t<ssid>Büro {edition}</ssid>\n</wlan>".encode())),
            oma("String", "./Vendor/Example/WifiPassword", f"hidden-{edition}"),
        ],
    )


def mac(edition: int, password: str | None = None) -> Observation:
    secret = password or f"hidden-{edition}"
    lines = (
        '<?xml version="1.0" encoding="UTF-8"?>', '<plist version="1.0">', "<dict>", "\t<key>PayloadVersion</key>",
        f"\t<integer>{edition}</integer>", "\t<key>Password</key>", f"\t<string>{secret}</string>",
        "\t<key>AutoJoin</key>", "\t<true/>", "</dict>", "</plist>",
    )  # fmt: skip
    return profile("macOSCustomConfiguration", "mac", payload=encoded("\n".join(lines).encode()))


def ios(edition: int) -> Observation:
    content = plistlib.dumps({"allowCamera": edition == 1}, fmt=plistlib.FMT_BINARY)
    return profile("iosCustomConfiguration", "ios", payload=encoded(content))


WINDOWS_SHOWN = f"""\
displayName: "windows"
id: "windows"
omaSettings:
  - omaUri: "{POLICY}/System/AllowTelemetry", value: 2
  - omaUri: "./Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/Edge"
    value:
      | <policyDefinitions revision="1.0">
      |   <policies>
      |     <policy name="2">
      |     </policy>
      |   </policies>
      | </policyDefinitions>
  - omaUri: "{POLICY}/Edge/HomepageLocation"
    value:
      | <enabled/>
      | <data id="Home" value="2"/>
  - omaUri: "./Vendor/MSFT/Wlan"
    value:
      UTF-8
      | <wlan>
      |     <ssid>Büro 2</ssid>
      | </wlan>
  - omaUri: "./Vendor/Example/WifiPassword", value: hidden
"""

WINDOWS_DIFFERS = f"""\
~ {POLICY}/Edge/HomepageLocation: text
    <enabled/>
  - <data id="Home" value="1"/>
  + <data id="Home" value="2"/>
~ {POLICY}/System/AllowTelemetry: 1 → 2
~ ./Vendor/Example/WifiPassword: hidden, changed
~ ./Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/Edge: text
    <policyDefinitions revision="1.0">
      <policies>
  -     <policy name="1">
  +     <policy name="2">
        </policy>
      </policies>
    </policyDefinitions>
~ ./Vendor/MSFT/Wlan: UTF-8
    <wlan>
  -   <ssid>Büro 1</ssid>
  +   <ssid>Büro 2</ssid>
    </wlan>
"""


MAC_SHOWN = """\
  hidden in part
  | <?xml version="1.0" encoding="UTF-8"?>
  | <plist version="1.0">
  | <dict>
  |     <key>PayloadVersion</key>
  |     <integer>2</integer>
  | (hidden)
  |     <key>AutoJoin</key>
  |     <true/>
  | </dict>
  | </plist>
"""


MAC_DIFFERS = """\
~ payload: hidden in part, changed
  @@ line 2 @@
    <plist version="1.0">
    <dict>
      <key>PayloadVersion</key>
  -   <integer>1</integer>
  +   <integer>2</integer>
    (hidden)
      <key>AutoJoin</key>
      <true/>
"""

ONLY_A_SECRET_DIFFERS = """\
~ payload: only the hidden part has changed
  @@ line 3 @@
    <dict>
      <key>PayloadVersion</key>
      <integer>1</integer>
    (hidden)
      <key>AutoJoin</key>
      <true/>
    </dict>
"""


@pytest.fixture
async def starter(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for edition in (1, 2):
        await sync(database, TENANT, [windows(edition), mac(edition), ios(edition)], PROFILES)
    return CommandLine(database_url, tmp_path, TENANT)


async def test_oma_uri_values_are_shown_and_compared_as_text(starter: CommandLine) -> None:
    assert (await starter("show", PROFILES, "windows")).stdout == WINDOWS_SHOWN
    assert (await starter("diff", PROFILES, "windows")).stdout == WINDOWS_DIFFERS


async def test_profile_is_shown_by_lines_with_secrets_hidden(starter: CommandLine) -> None:
    assert (await starter("show", PROFILES, "mac")).stdout.partition("payload:\n")[2] == MAC_SHOWN
    assert (await starter("diff", PROFILES, "mac")).stdout == MAC_DIFFERS
    output = (await starter("show", PROFILES, "ios")).stdout
    assert "payload:\n  binary property list\n  | <?xml" in output
    assert "\n  |     <key>allowCamera</key>\n  |     <false/>\n" in output
    differs = (await starter("diff", PROFILES, "ios")).stdout
    assert "\n      <key>allowCamera</key>\n  -   <true/>\n  +   <false/>\n" in differs


async def test_change_of_only_a_secret_is_shown_in_place(database: Database, starter: CommandLine) -> None:
    for password in ("hidden-3", "hidden-4"):
        await sync(database, TENANT, [mac(1, password)], PROFILES)
    assert (await starter("diff", PROFILES, "mac")).stdout == ONLY_A_SECRET_DIFFERS
    changed = (await starter("changes", "--json", "--since", "1h")).stdout
    assert "only the hidden part has changed" in changed
    assert "hidden-" not in changed


@pytest.mark.parametrize(
    ("secret", "expected"), [(None, "hidden in part, changed"), ("hidden-3", "only the hidden part")]
)
async def test_drift_shows_the_lines_around_a_secret(
    database: Database, starter: CommandLine, tmp_path: Path, secret: str | None, expected: str
) -> None:
    assert (await starter("baseline set", "golden")).code == 0
    await sync(database, TENANT, [windows(2), mac(1) if secret is None else mac(2, secret), ios(2)], PROFILES)
    table = (await starter("drift")).stdout
    assert expected in table
    assert ("; - <integer>2</integer>; + <integer>1</integer>\n" in table) == (secret is None)
    report, finding = (await starter("drift", "--json")).objects()
    assert (finding["label"], finding["hidden"], "\n  (hidden)\n" in finding["text"]) == ("payload", True, True)
    assert (await starter("drift", "--html", str(tmp_path / "drift.html"))).code == 0
    page = (tmp_path / "drift.html").read_text()
    assert "AutoJoin" in page
    assert not any("hidden-" in output for output in (table, str(report), str(finding), page))
    async with database.tenant(TENANT) as session:
        stored = (await session.execute(text("SELECT before, after FROM drift_finding"))).all()
    assert [tuple(row) for row in stored] == [(None, None)], "a hidden value is not stored"


async def test_decoded_export_writes_a_companion_for_each_document(starter: CommandLine, tmp_path: Path) -> None:
    assert (await starter("export", "out", "--decoded")).code == 0
    files = {path.name.partition(".")[0]: path.read_text() for path in (tmp_path / "out").rglob("*.txt")}
    assert files.keys() == {"windows", "mac", "ios"}
    assert files["windows"] == WINDOWS_SHOWN
    assert files["mac"].partition("payload:\n")[2] == MAC_SHOWN
    assert not any("hidden-" in path.read_text() for path in (tmp_path / "out").rglob("*.*") if path.is_file())
