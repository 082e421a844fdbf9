"""Secrets of targets, read for each message: a rotated one needs no restart."""

import os
from pathlib import Path

from delivery.targets import UrlTarget, check_url
from inventory.user_errors import UserError


class TargetSecretError(UserError):
    """A target's secret cannot be read. The message names the variable or file, never the content."""


def read_secret(environment_name: str | None, path: Path | None) -> str:
    """Raises `TargetSecretError`."""
    if environment_name is not None:
        value = os.environ.get(environment_name, "").strip()
        if not value:
            raise TargetSecretError(f"the environment variable {environment_name} is not set for this process")
        return value
    if path is None:
        raise TargetSecretError("the target refers to no secret")
    try:
        value = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "is not UTF-8 text"
        raise TargetSecretError(f"the secret file {path} cannot be read: {reason}") from None
    if not value:
        raise TargetSecretError(f"the secret file {path} is empty")
    return value


def read_url(target: UrlTarget) -> str:
    """The target's URL. Raises `TargetSecretError` if it cannot be read."""
    if target.url is not None:
        return target.url
    url = read_secret(target.url_env, target.url_file)
    try:
        check_url(url)
    except ValueError as error:
        raise TargetSecretError(f"{target.url_env or target.url_file}: {error}") from None
    return url
