"""The notifications file: rules, and targets with references to their secrets."""

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from inventory.notifications import NotificationRule, TargetName
from inventory.toml_file import read_toml
from inventory.user_errors import UserError


class NotificationsFileError(UserError):
    """The message names fault and remedy in one line, without secrets."""


class TargetKind(StrEnum):
    WEBHOOK = "webhook"
    TEAMS = "teams"
    EMAIL = "email"
    APPRISE = "apprise"


class MailSecurity(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"
    """Only for a mail server on this machine."""


class Target(BaseModel, frozen=True, extra="forbid"):
    name: TargetName


class UrlTarget(Target):
    """The URL is a secret if it is the target's only credential."""

    url: str | None = None
    url_env: str | None = None
    url_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _one_url(self) -> "UrlTarget":
        sources = [name for name in ("url", "url_env", "url_file") if getattr(self, name) is not None]
        if len(sources) != 1:
            raise ValueError(f"needs exactly one of url, url_env, url_file; has {', '.join(sources) or 'none'}")
        return self


class WebhookTarget(UrlTarget):
    """A server that accepts signed JSON."""

    kind: Literal[TargetKind.WEBHOOK]
    secret_env: str | None = None
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> "WebhookTarget":
        if (self.secret_env is None) == (self.secret_file is None):
            raise ValueError("needs exactly one of secret_env, secret_file: what messages are signed with")
        if self.url is not None:
            check_url(self.url)
        return self


class SecretUrlTarget(UrlTarget):
    @model_validator(mode="after")
    def _secret_url(self) -> "SecretUrlTarget":
        if self.url is not None:
            raise ValueError("the URL of such a target is a secret; use url_env or url_file")
        return self


class TeamsTarget(SecretUrlTarget):
    """A workflow of Microsoft Teams."""

    kind: Literal[TargetKind.TEAMS]


class AppriseTarget(SecretUrlTarget):
    """A service of https://github.com/caronc/apprise/wiki"""

    kind: Literal[TargetKind.APPRISE]


Address = Annotated[str, Field(pattern=r"^[^\s@<>,;:\x00-\x1f]{1,64}@[A-Za-z0-9.-]{1,255}$")]


class EmailTarget(Target):
    kind: Literal[TargetKind.EMAIL]
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,255}$")]
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: MailSecurity = MailSecurity.STARTTLS
    sender: Address
    recipients: Annotated[tuple[Address, ...], Field(min_length=1, max_length=50)]
    username: str | None = None
    password_env: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "EmailTarget":
        passwords = [name for name in ("password_env", "password_file") if getattr(self, name) is not None]
        if len(passwords) != (self.username is not None):
            raise ValueError("username goes with exactly one of password_env, password_file")
        if self.security is MailSecurity.NONE and not is_loopback(self.host):
            raise ValueError("security none is for a mail server on this machine; use starttls or tls")
        return self


AnyTarget = WebhookTarget | TeamsTarget | EmailTarget | AppriseTarget


class Notifications(BaseModel, frozen=True):
    targets: Mapping[str, AnyTarget] = {}
    rules: tuple[NotificationRule, ...] = ()


def check_url(url: str) -> None:
    """Raises `ValueError` unless the URL is HTTPS, or HTTP to this machine. The message lacks the URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise ValueError("the URL cannot be read") from None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError("the URL must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL holds a user name; a target signs in by what the file refers to")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("the URL must begin with https://; http:// is for this machine alone")


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_notifications(path: Path) -> Notifications:
    """Raises `NotificationsFileError`."""
    content = read_toml(path, NotificationsFileError, if_missing="see docs/notifications.md")
    unknown = sorted(set(content) - {"target", "rule"})
    if unknown:
        raise NotificationsFileError(f"{path}: unknown table {unknown[0]!r}; there are [[target]] and [[rule]]")
    targets = _parsed(path, "target", content.get("target", []), _TARGET)
    rules = _parsed(path, "rule", content.get("rule", []), _RULE)
    by_name = {target.name: target for target in targets}
    if len(by_name) < len(targets):
        raise NotificationsFileError(f"{path}: two targets have the same name")
    for number, rule in enumerate(rules, start=1):
        if missing := [name for name in rule.targets if name not in by_name]:
            known = ", ".join(sorted(by_name)) or "none"
            raise NotificationsFileError(f"{path}: rule {number}: no target {missing[0]!r}; there are: {known}")
    return Notifications(targets=by_name, rules=tuple(rules))


_TARGET: TypeAdapter[AnyTarget] = TypeAdapter(Annotated[AnyTarget, Field(discriminator="kind")])
_RULE: TypeAdapter[NotificationRule] = TypeAdapter(NotificationRule)


def _parsed(path: Path, table: str, entries: Any, adapter: TypeAdapter[Any]) -> list[Any]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NotificationsFileError(f"{path}: write [[{table}]] with two brackets, once for each {table}")
    targets = []
    for number, entry in enumerate(entries, start=1):
        name = entry.get("name")
        which = f"{table} {number}" + (f" ({name})" if isinstance(name, str) else "")
        try:
            targets.append(adapter.validate_python(entry))
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            message = problem["msg"].removeprefix("Value error, ")
            raise NotificationsFileError(f"{path}: {which}: {where + ': ' if where else ''}{message}") from None
    return targets
