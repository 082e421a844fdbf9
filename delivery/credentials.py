"""Secrets of targets, read anew for each message, so that a rotation needs no restart."""

import os
from pathlib import Path

from delivery.targets import UrlTarget, check_url
from inventory.user_errors import UserError


class TargetSecretError(UserError):
    """The message names the variable or file, never the secret."""


def read_secret(environment_name: str | None, path: Path | None) -> str:
    """Reads the variable, else the file. Raises `TargetSecretError`."""
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
    """Raises `TargetSecretError` if the URL cannot be read or is not allowed."""
    if target.url is not None:
        return target.url
    url = read_secret(target.url_env, target.url_file)
    try:
        check_url(url)
    except ValueError as error:
        raise TargetSecretError(f"{target.url_env or target.url_file}: {error}") from None
    return url
