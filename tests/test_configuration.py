"""Settings are checked at start; each error message is one line."""

import codecs
import re
from pathlib import Path

import pytest

from configuration import ConfigurationError, Settings, load_settings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with only the required setting, in a folder without an `.env`."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENANT_INVENTORY_STATE", str(tmp_path / "no-stack"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@localhost/none")
    return monkeypatch


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ACTIVITIES_PER_SECOND": "0"}, "ACTIVITIES_PER_SECOND: must be more than 0"),
        ({"ACTIVITIES_PER_SECOND": "many"}, "ACTIVITIES_PER_SECOND: must be a number"),
        ({"ACTIVITIES_PER_SECOND_PER_TENANT": "nan"}, "ACTIVITIES_PER_SECOND_PER_TENANT: must be a finite number"),
        ({"WORKER_TARGET_MEMORY_USAGE": "80"}, "WORKER_TARGET_MEMORY_USAGE: must be 1.0 or less"),
        ({"WORKER_TARGET_CPU_USAGE": "0"}, "WORKER_TARGET_CPU_USAGE: must be more than 0"),
        ({"WORKER_METRICS_ADDRESS": "9464"}, "WORKER_METRICS_ADDRESS: must be an address of this machine and a port"),
        (
            {"WEB_METRICS_ADDRESS": "localhost:9464"},
            "WEB_METRICS_ADDRESS: must be an address of this machine",
        ),
        ({"LOG_LEVEL": "info"}, "LOG_LEVEL: must be one of: DEBUG, INFO, WARNING, ERROR"),
        ({"TENANTS_FROM": "hunter2"}, "TENANTS_FROM: must be one of: file, table"),
        ({"RUNS_OVERALL": "hunter2"}, "RUNS_OVERALL: must be a whole number"),
        ({"METRICS_TENANTS": "hunter2"}, "METRICS_TENANTS: must be true or false"),
        ({"WORKER_BUILD_ID": "1"}, "WORKER_DEPLOYMENT_NAME and WORKER_BUILD_ID go together; set both, or neither"),
        ({"WORKER_DEPLOYMENT_NAME": "a"}, "WORKER_DEPLOYMENT_NAME and WORKER_BUILD_ID go together"),
        (
            {"WORKER_DEPLOYMENT_NAME": "a.b", "WORKER_BUILD_ID": "1"},
            "WORKER_DEPLOYMENT_NAME: write letters, digits, '_' and '-'",
        ),
    ],
)
def test_an_invalid_setting_is_reported_in_one_line(
    environment: pytest.MonkeyPatch, values: dict[str, str], words: str
) -> None:
    for name, value in values.items():
        environment.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        load_settings()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_unset_or_empty_limits_and_versions_are_off(environment: pytest.MonkeyPatch) -> None:
    # docker-compose.yml passes variables that its env file omits as empty.
    for name in ("ACTIVITIES_PER_SECOND", "ACTIVITIES_PER_SECOND_PER_TENANT", "WORKER_BUILD_ID"):
        environment.setenv(name, "")
    settings = load_settings()
    assert (settings.activities_per_second, settings.activities_per_second_per_tenant) == (None, None)
    assert (settings.worker_deployment_name, settings.worker_build_id) == (None, None)
    assert (settings.worker_target_memory_usage, settings.worker_target_cpu_usage) == (0.8, 0.9)


def test_the_example_and_the_docs_name_every_setting() -> None:
    example = (Path(__file__).resolve().parents[1] / ".env.example").read_text()
    documented = (Path(__file__).resolve().parents[1] / "docs" / "configuration.md").read_text()
    for name in Settings.model_fields:
        assert f"{name.upper()}=" in example, name
        assert f"`{name.upper()}`" in documented, name


def test_the_example_has_the_defaults() -> None:
    text = (Path(__file__).resolve().parents[1] / ".env.example").read_text()
    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))
    defaults = {
        name.upper(): str(field.default)
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, int | float | str) and name != "tenants_from"
    }
    assert len(defaults) > 20
    assert {name: example[name].lower() for name in defaults} == {
        name: default.lower() for name, default in defaults.items()
    }


def test_an_env_file_may_begin_with_a_byte_order_mark(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.delenv("DATABASE_URL")
    (tmp_path / ".env").write_bytes(codecs.BOM_UTF8 + b"DATABASE_URL=postgresql://user@localhost/marked\r\n")
    assert load_settings().database_url.get_secret_value() == "postgresql://user@localhost/marked"


@pytest.mark.parametrize("line", ["LOG_LEVEL INFO", "=INFO", "LOG_LEVEL='INFO"])
def test_an_unreadable_line_of_an_env_file_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    (tmp_path / ".env").write_text(f"# a comment\nRUNS_OVERALL=3\n\n\n{line}\nLOG_FORMAT=json\n")
    with pytest.raises(ConfigurationError, match=r"^\.env: line 5 is no setting; write NAME=value$"):
        load_settings()


def test_an_env_file_that_is_not_utf_8_says_how_to_save_it(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("LOG_LEVEL=INFO\n".encode("utf-16"))
    with pytest.raises(ConfigurationError, match=r"^\.env: is not UTF-8; save it as UTF-8$"):
        load_settings()
