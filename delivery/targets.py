"""The notifications file: rules, and targets with references to their secrets."""

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError, model_validator

from inventory.notifications import NotificationRule, TargetName
from inventory.toml_file import read_toml
from inventory.user_errors import UserError
from inventory.validation_problem import LABEL_SPELLING, first_problem


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
    targets = [_target(which, entry) for which, entry in _entries(path, "target", content)]
    rules = [_rule(which, entry) for which, entry in _entries(path, "rule", content)]
    by_name = {target.name: target for target in targets}
    if len(by_name) < len(targets):
        raise NotificationsFileError(f"{path}: two targets have the same name")
    for number, rule in enumerate(rules, start=1):
        if missing := [name for name in rule.targets if name not in by_name]:
            known = ", ".join(sorted(by_name)) or "none"
            raise NotificationsFileError(f"{path}: rule {number}: no target {missing[0]!r}; there are: {known}")
    return Notifications(targets=by_name, rules=tuple(rules))


_MODELS: Mapping[str, type[AnyTarget]] = {
    TargetKind.WEBHOOK: WebhookTarget,
    TargetKind.TEAMS: TeamsTarget,
    TargetKind.EMAIL: EmailTarget,
    TargetKind.APPRISE: AppriseTarget,
}

_ADDRESS_SPELLING = "write a mail address, such as ada@example.com"

SPELLING = {
    "name": LABEL_SPELLING,
    "targets": LABEL_SPELLING,
    "tags": LABEL_SPELLING,
    "host": "write a host's name or IP address",
    "sender": _ADDRESS_SPELLING,
    "recipients": _ADDRESS_SPELLING,
}
"""What to write in place of a text that a pattern refuses."""


def _entries(path: Path, table: str, content: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Each entry of the table, with words that name it."""
    entries = content.get(table, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NotificationsFileError(f"{path}: write [[{table}]] with two brackets, once for each {table}")
    return [
        (f"{path}: {table} {number}" + (f" ({name})" if isinstance(name := entry.get("name"), str) else ""), entry)
        for number, entry in enumerate(entries, start=1)
    ]


def _target(which: str, entry: dict[str, Any]) -> AnyTarget:
    kind = entry.get("kind")
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise NotificationsFileError(f"{which}: kind: must be one of: {', '.join(_MODELS)}")
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        problem = first_problem(error, model, noun=f"target of kind {kind}", spelling=SPELLING)
        raise NotificationsFileError(f"{which}: {problem}") from None


def _rule(which: str, entry: dict[str, Any]) -> NotificationRule:
    try:
        return NotificationRule.model_validate(entry)
    except ValidationError as error:
        problem = first_problem(error, NotificationRule, noun="rule", spelling=SPELLING, repeats_values=True)
        raise NotificationsFileError(f"{which}: {problem}") from None
