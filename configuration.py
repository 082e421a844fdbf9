"""Configuration from the environment, else `.env`, else this machine's embedded stack."""

import os
import re
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, SecretBytes, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from graph.tenants import Cloud, TenantConfig
from inventory.bounds import RETENTION_DAYS, RETENTION_VERSIONS, TENANTS_AT_ONCE
from inventory.data_keys import key_bytes
from inventory.log_lines import LogFormat
from inventory.user_errors import UserError
from inventory.validation_problem import first_problem

if TYPE_CHECKING:
    from inventory.wrapping_keys import WrappingKeys

CHECKOUT = Path(__file__).resolve().parent
TEMPORAL_NAMES = (
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "TEMPORAL_API_KEY",
    "TEMPORAL_PROFILE",
    "TEMPORAL_CONFIG_FILE",
)
"""`temporalio.envconfig` reads these and all names that begin with `TEMPORAL_TLS` or `TEMPORAL_GRPC_META`."""

NO_KEY = "none"
"""The SENSITIVE_FIELDS_KEY that hides sensitive values and their changes."""

NO_KEY_WARNING = (
    "SENSITIVE_FIELDS_KEY is none, so changes of hidden values are not seen; of edited objects it is only said that"
    " they may have changed (docs/secrets.md)"
)

_PROXY = re.compile(r"https?://([^\s/?#@]*@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")


SPELLING = {
    "worker_deployment_name": "write letters, digits, '_' and '-', 200 at most, first a letter or a digit",
    "worker_build_id": "write letters, digits, '_', '.', '+' and '-', 200 at most, first a letter or a digit",
}
"""What to write in place of a text that a pattern refuses."""


class TenantsFrom(StrEnum):
    FILE = "file"
    TABLE = "table"


class ConfigurationError(UserError):
    """The message names a fault and its remedy, without secrets."""


def _https(value: str | None) -> str | None:
    if value is not None and not value.startswith("https://"):
        raise ValueError("must begin with https://")
    return value.rstrip("/") if value else value


def _web_address(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"https?://[A-Za-z0-9.\-:\[\]]+(/[A-Za-z0-9._~/-]*)?", value):
        raise ValueError("must be an address such as https://temporal.example.com")
    return value.rstrip("/") if value else value


def _ids(value: object) -> object:
    try:
        return tuple(UUID(part.strip()) for part in value.split(",")) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("must be tenant ids (GUIDs), with commas between them") from None


def _proxy(value: SecretStr | None) -> SecretStr | None:
    """Errors omit the URL, which may hold a password."""
    url = "" if value is None else value.get_secret_value()
    try:
        # `urlsplit` refuses a port over 65535, and a bracketed host that is no IP address.
        is_one = value is None or bool(_PROXY.fullmatch(url) and urlsplit(url).port != 0)
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError("must be http://host:port or https://host:port, also with user:password@ before the host")
    return value


def _key(value: SecretStr | None) -> SecretStr | None:
    if value is not None and value.get_secret_value() != NO_KEY and key_bytes(value.get_secret_value()) is None:
        raise ValueError(
            "must be 32 random bytes as hexadecimal or Base64 digits; make one with: openssl rand -hex 32."
            " One that is in use already stays as SENSITIVE_FIELDS_KEY_PREVIOUS (docs/secrets.md)"
        )
    return value


def _payload_keys(value: object) -> object:
    return payload_key_ring(value) if isinstance(value, str) else value


def payload_key_ring(text: str) -> tuple[SecretBytes, ...]:
    """Reads keys separated by commas; the first encrypts. Raises `ValueError`."""
    keys = [key_bytes(part.strip()) for part in text.split(",")]
    if None in keys:
        raise ValueError(
            "must be 32 random bytes as hexadecimal or Base64 digits, or several such keys with commas between them,"
            " first the one that encrypts; make one with: openssl rand -hex 32"
        )
    return tuple(SecretBytes(key) for key in keys if key is not None)


def _bind_address(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        host, _, port = value.rpartition(":")
        ip_address(host.removeprefix("[").removesuffix("]"))
        is_one = 0 < int(port) < 65_536
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError("must be an address of this machine and a port, such as 127.0.0.1:9464")
    return value


BindAddress = Annotated[str | None, AfterValidator(_bind_address)]
WebAddress = Annotated[str | None, AfterValidator(_web_address)]
HttpsUrl = Annotated[str | None, AfterValidator(_https)]
ProxyUrl = Annotated[SecretStr | None, AfterValidator(_proxy)]
RandomKey = Annotated[SecretStr | None, AfterValidator(_key)]
PayloadKeys = Annotated[tuple[SecretBytes, ...], NoDecode, BeforeValidator(_payload_keys)]
TenantIds = Annotated[tuple[UUID, ...], NoDecode, BeforeValidator(_ids)]
ActivityRate = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None


class Settings(BaseSettings):
    """Each field's name is its environment variable's, in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: SecretStr
    temporal_task_queue: str = "tenant-inventory"
    temporal_web_url: WebAddress = None
    graph_base_url: HttpsUrl = None
    graph_authority_url: HttpsUrl = None
    graph_ca_file: Path | None = None
    graph_proxy_url: ProxyUrl = None
    tenants_from: TenantsFrom = TenantsFrom.FILE
    tenants_file: Path = Path("tenants.toml")
    tenant_secrets_folder: Path = Path("secrets")
    tenant_vault_url: HttpsUrl = None
    notifications_file: Path | None = None
    web_sign_in_client_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    web_sign_in_tenants: TenantIds = ()
    web_sign_in_cloud: Cloud = Cloud.PUBLIC
    web_sign_in_secret_file: Path | None = None
    web_sign_in_certificate_file: Path | None = None
    web_sign_in_federated_token_file: Path | None = None
    payload_keys: PayloadKeys = ()
    sensitive_fields_key: RandomKey = None
    sensitive_fields_key_previous: SecretStr | None = None
    sensitive_fields_comparable: bool = False
    hide_script_bodies: bool = False
    show_payloads: bool = False
    detail_refresh_hours: Annotated[int, Field(ge=1, le=8760)] = 168
    runs_per_tenant: Annotated[int, Field(ge=1, le=1000)] = 2
    runs_overall: Annotated[int, Field(ge=1, le=100_000)] = 20
    portfolio_tenants_at_once: Annotated[int, Field(ge=1, le=TENANTS_AT_ONCE)] = 10
    run_queue_patience_seconds: Annotated[int, Field(ge=0, le=604_800)] = 3600
    graph_patience_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    graph_attempts: Annotated[int, Field(ge=1, le=10_000)] = 20
    sweep_interval_seconds: Annotated[int, Field(ge=0, le=86_400)] = 300
    version_retention_days: Annotated[int, Field(ge=0, le=RETENTION_DAYS)] = 0
    version_retention_count: Annotated[int, Field(ge=0, le=RETENTION_VERSIONS)] = 0
    run_retention_days: Annotated[int, Field(ge=0, le=RETENTION_DAYS)] = 0
    retention_interval_hours: Annotated[int, Field(ge=1, le=8760)] = 24
    waves_in_flight: Annotated[int, Field(ge=1, le=64)] = 16
    worker_activities: Annotated[int, Field(ge=1, le=1000)] = 20
    worker_database_connections: Annotated[int, Field(ge=1, le=1000)] | None = None
    worker_target_memory_usage: Annotated[float, Field(gt=0, le=1)] = 0.8
    worker_target_cpu_usage: Annotated[float, Field(gt=0, le=1)] = 0.9
    worker_deployment_name: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,199}$")] | None = None
    worker_build_id: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}$")] | None = None
    activities_per_second: ActivityRate = None
    activities_per_second_per_tenant: ActivityRate = None
    worker_metrics_address: BindAddress = None
    web_metrics_address: BindAddress = None
    traces_endpoint: WebAddress = None
    metrics_tenants: bool = False
    log_format: LogFormat = LogFormat.TEXT
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def web_sign_in_app(self) -> TenantConfig | None:
        """None if people do not sign in with Entra ID."""
        if self.web_sign_in_client_id is None or not self.web_sign_in_tenants:
            return None
        return TenantConfig(
            id=self.web_sign_in_tenants[0],
            name="the web page",
            cloud=self.web_sign_in_cloud,
            client_id=self.web_sign_in_client_id,
            client_secret_file=self.web_sign_in_secret_file,
            certificate_file=self.web_sign_in_certificate_file,
            federated_token_file=self.web_sign_in_federated_token_file,
        )

    @property
    def graph_proxy(self) -> str | None:
        """The proxy's URL with its password."""
        return None if self.graph_proxy_url is None else self.graph_proxy_url.get_secret_value()

    @property
    def has_key(self) -> bool:
        """Whether changes of sensitive values show; if not, they are only hidden."""
        return self.sensitive_fields_key is not None and self.sensitive_fields_key.get_secret_value() != NO_KEY

    @property
    def wrapping_keys(self) -> "WrappingKeys | None":
        if self.sensitive_fields_key is None or not self.has_key:
            return None
        from inventory.wrapping_keys import WrappingKeys  # loads cryptography, which most commands do not need

        previous = self.sensitive_fields_key_previous
        return WrappingKeys(
            self.sensitive_fields_key.get_secret_value(), None if previous is None else previous.get_secret_value()
        )

    @property
    def database_connections(self) -> int:
        """By default one for each activity."""
        return self.worker_database_connections or self.worker_activities


def known_names() -> frozenset[str]:
    return frozenset({name.upper() for name in Settings.model_fields} | set(TEMPORAL_NAMES))


def state_folder() -> Path:
    """The folder of the embedded stack's state."""
    return Path(os.environ.get("TENANT_INVENTORY_STATE") or CHECKOUT / ".local").absolute()


def env_files() -> tuple[Path, Path]:
    """A running embedded stack's settings, and `.env`, which wins."""
    return state_folder() / "environment", Path(".env")


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8") as lines:
            broken = [binding.original for binding in parse_stream(lines) if binding.error]
        values = {} if broken else dotenv_values(path)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8; save it as UTF-8") from None
    if broken:
        blank = broken[0].string[: -len(broken[0].string.lstrip())].count("\n")
        raise ConfigurationError(f"{path}: line {broken[0].line + blank} is no setting; write NAME=value")
    known = known_names()
    for name, value in values.items():
        if name not in known and not name.startswith(("TEMPORAL_TLS", "TEMPORAL_GRPC_META")):
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; .env.example lists all names"
            raise ConfigurationError(f"{path}: unknown setting {name}{hint}")
        if value is None:
            raise ConfigurationError(f"{path}: {name} has no value; write {name}=value")
    return {name: value for name, value in values.items() if value is not None}


def load_settings() -> Settings:
    """Raises `ConfigurationError` for the first fault."""
    for path in env_files():
        _read_env_file(path)
    try:
        settings = Settings(_env_file=env_files())
    except ValidationError as error:
        raise ConfigurationError(_first_problem(error)) from None
    if settings.graph_ca_file is not None and not settings.graph_ca_file.is_file():
        raise ConfigurationError(f"GRAPH_CA_FILE: there is no file {settings.graph_ca_file}")
    if settings.sensitive_fields_key_previous is not None and not settings.has_key:
        raise ConfigurationError(
            "SENSITIVE_FIELDS_KEY_PREVIOUS needs SENSITIVE_FIELDS_KEY, which took its place; set it"
        )
    _check_sign_in(settings)
    if (settings.worker_deployment_name is None) != (settings.worker_build_id is None):
        raise ConfigurationError("WORKER_DEPLOYMENT_NAME and WORKER_BUILD_ID go together; set both, or neither")
    return settings


def _check_sign_in(settings: Settings) -> None:
    credentials = [
        name
        for name in ("web_sign_in_secret_file", "web_sign_in_certificate_file", "web_sign_in_federated_token_file")
        if getattr(settings, name) is not None
    ]
    parts = (settings.web_sign_in_client_id is not None, bool(settings.web_sign_in_tenants), len(credentials) == 1)
    if any(parts) != all(parts) or len(credentials) > 1:
        raise ConfigurationError(
            "sign-in to the web page needs WEB_SIGN_IN_CLIENT_ID, WEB_SIGN_IN_TENANTS, and one of"
            " WEB_SIGN_IN_SECRET_FILE, WEB_SIGN_IN_CERTIFICATE_FILE and WEB_SIGN_IN_FEDERATED_TOKEN_FILE (docs/web.md)"
        )


def check_key(settings: Settings) -> None:
    """Raises `ConfigurationError` unless SENSITIVE_FIELDS_KEY is set to a key or to `none`."""
    if settings.sensitive_fields_key is None:
        raise ConfigurationError(
            "SENSITIVE_FIELDS_KEY is not set; make one with: openssl rand -hex 32, give it to all workers, and back it"
            " up apart from the database. To hide sensitive values without seeing their changes, set it to: none"
            " (docs/secrets.md)"
        )


def _first_problem(error: ValidationError) -> str:
    problem = first_problem(error, Settings, spelling=SPELLING)
    name = problem.field.upper() or "settings"
    if error.errors(include_input=False)[0]["type"] == "missing":
        return f"{name} is not set; see .env.example, or start everything on this machine with: make demo"
    return f"{name}: {problem.text}"


def environment() -> dict[str, str]:
    """The environment's values, then those of `env_files`. Raises `ConfigurationError`."""
    found: dict[str, str] = {}
    for path in env_files():
        found.update(_read_env_file(path))
    return found | os.environ


def payload_keys() -> list[bytes]:
    """PAYLOAD_KEYS, for processes that load no `Settings`. Raises `ConfigurationError`."""
    text = environment().get("PAYLOAD_KEYS")
    try:
        return [key.get_secret_value() for key in payload_key_ring(text)] if text else []
    except ValueError as error:
        raise ConfigurationError(f"PAYLOAD_KEYS: {error}") from None
